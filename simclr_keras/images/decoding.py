"""Decodes image files of any format, mode and bit depth to RGB.

Training, evaluation and the exported graph use the same function. The first
bytes identify the format, and only the decoder of that format sees the rest.
Conversion to RGB: grey is repeated; 16 bits lose their lower eight; palettes
are looked up; CMYK is converted; transparent pixels are composited onto white;
an animation gives its first frame; the EXIF orientation is applied.

TensorFlow operations cannot decode animated WebP, compressed bitmaps, and, in
older releases of TensorFlow, any WebP. Pillow decodes these when Python runs;
an exported graph refuses them.

With a stated number of channels nothing is converted: an image has the channels
of its file, or is refused. tifffile then decodes TIFF. pydicom decodes DICOM.
"""

from __future__ import annotations

import functools

import tensorflow as tf

from simclr_keras import compat
from simclr_keras.choices import MAX_PIXELS
from simclr_keras.images import channels as channel_counts
from simclr_keras.images import checks
from simclr_keras.images.formats import contents
from simclr_keras.images.formats import decoders
from simclr_keras.images.formats import headers
from simclr_keras.images.formats import orientation
from simclr_keras.images.formats import python_decoders

_ANY = 0  # as many channels as the file has
# Signature of the decoding functions: encoded image, max_pixels.
_SPECS = tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)
_RULE = (
    "An image must be JPEG, PNG, GIF, BMP or WebP, whole, and of at most"
    " max_pixels pixels. Received: "
)


def decode(
    encoded: tf.Tensor,
    max_pixels: int = MAX_PIXELS,
    *,
    pixel_range: tuple[float, float] | None = None,
    channels: int | None = None,
    in_graph: bool = False,
) -> tf.Tensor:
    """Decodes an image file.

    Args:
        encoded: string scalar, the content of an image file.
        max_pixels: largest height times width to decode, checked against the
            header. Default 89,478,485, as in Pillow.
        pixel_range: pair (low, high), the values of 16-bit PNG files that
            become 0 and 255; for others see `tiff.decode` and `dicom.decode`.
            Default None: the lower eight bits are dropped, so 0 and 65535.
        channels: number that the file must have. Default None: any, and the
            image becomes RGB.
        in_graph: whether to use TensorFlow operations alone, for a graph that
            will run without Python. Default False: Pillow decodes what
            TensorFlow cannot, and for all formats but JPEG a `tf.data` pipeline
            calls back into one function that is traced once per process. Its
            two thousand operations inside the pipeline would cost seconds in
            every epoch; the hundred for JPEG are in the pipeline, and do not
            wait for Python.

    Returns:
        `uint8` tensor `[H, W, 3]`, or `[H, W, channels]`. The operation fails
        if the image is of another format, corrupt, cut short or too large, or
        has other channels.
    """
    max_pixels = checks.check_max_pixels(max_pixels)
    shape = [None, None, channels or 3]
    if in_graph:
        function = _exportable(pixel_range, channels)
        limit = tf.constant(max_pixels, tf.int64)
        return tf.ensure_shape(function(encoded, limit), shape)
    function = _trace_once(_decode, pixel_range, channels)
    jpeg = functools.partial(_decode, file_format=contents.JPEG)
    image = _jpeg_or_any(
        lambda: jpeg(encoded, max_pixels, pixel_range, channels),
        lambda: _call_traced(
            *(function, encoded, max_pixels, tf.uint8),
            *(python_decoders.decode, pixel_range, channels),
        ),
        encoded,
    )
    return tf.ensure_shape(image, shape)


def image_size(
    encoded: tf.Tensor,
    max_pixels: int = MAX_PIXELS,
    channels: int | None = None,
) -> tf.Tensor:
    """Reads the size of the image that `decode` returns from the header alone.

    Args:
        encoded: string scalar, the content of an image file.
        max_pixels: as for `decode`.
        channels: as for `decode`; only whether it is None matters.

    Returns:
        `int32` tensor `[2]`: height and width in pixels. The operation fails
        if the header shows that `decode` will fail.
    """
    max_pixels = checks.check_max_pixels(max_pixels)
    function = _trace_once(_image_size)
    size = _jpeg_or_any(
        lambda: _image_size(encoded, max_pixels, file_format=contents.JPEG),
        lambda: _call_traced(
            *(function, encoded, max_pixels, tf.int32),
            *(python_decoders.size, channels),
        ),
        encoded,
    )
    return tf.ensure_shape(size, [2])


def _jpeg_or_any(jpeg, other, encoded):
    """Result of `jpeg` in a graph, if the file is a JPEG; else of `other`."""
    if tf.executing_eagerly():
        return other()
    return tf.cond(contents.is_jpeg(encoded), jpeg, other)


def stored_channels(encoded: bytes, max_pixels: int = MAX_PIXELS) -> int | None:
    """Number of channels that an image file has, alpha included.

    Args:
        encoded: content of the file.
        max_pixels: as for `decode`.

    Returns:
        Integer; or None if its channels cannot be read.

    Raises:
        ImportError: tifffile or pydicom, which reads it, is not installed.
    """
    try:
        reader = python_decoders.reader_of(encoded, _ANY)
        if reader is not None:
            return reader.describe(encoded, max_pixels)[0][-1]
        if encoded[:2] == b"\xff\xd8":
            # A JPEG in CMYK is decoded to RGB.
            return min(3, int(tf.io.extract_jpeg_shape(encoded)[-1]))
        if contents.is_plain_png(encoded):
            return contents.PNG_CHANNELS[encoded[25]]
        keep = _trace_once(_decode, None, _ANY)
        limit = tf.constant(checks.check_max_pixels(max_pixels), tf.int64)
        return int(keep(tf.constant(encoded), limit).shape[-1])
    except (ValueError, tf.errors.OpError):
        return None


@functools.cache
def _trace_once(function, *arguments):
    """A function of (encoded image, max_pixels), traced once per process."""
    with tf.init_scope(), tf.device("CPU:0"):
        return tf.function(
            lambda encoded, limit: function(encoded, limit, *arguments),
            autograph=False,
        ).get_concrete_function(*_SPECS)


@functools.cache
def _exportable(pixel_range, channels):
    """`_decode` without Pillow, as a function that exported graphs call."""
    return tf.function(
        lambda encoded, limit: _decode(
            encoded, limit, pixel_range, channels, pillow=False
        ),
        input_signature=_SPECS,
        autograph=False,
    )


def _call_traced(function, encoded, max_pixels, dtype, read, *how):
    """Calls a traced function, from within a graph too.

    `read`, a function of `python_decoders`, takes its place unless it returns
    None. It is called here because a call of Python in the traced function
    waits for a thread of TensorFlow's, while this one holds one: with few
    threads, no image would ever be finished.
    """

    def call(encoded):
        found = read(encoded, max_pixels, *how)
        if found is not None:
            return found
        limit = tf.constant(max_pixels, tf.int64)
        try:
            return function(tf.constant(encoded), limit).numpy()
        except tf.errors.OpError as error:
            # TensorFlow turns this into an InvalidArgumentError.
            raise ValueError(error.message) from None

    if not tf.executing_eagerly():
        return tf.numpy_function(call, [encoded], dtype, stateful=False)
    encoded = tf.convert_to_tensor(encoded)
    try:
        found = read(encoded.numpy(), max_pixels, *how)
    except ValueError as error:
        raise tf.errors.InvalidArgumentError(None, None, str(error)) from error
    if found is None:
        return function(encoded, tf.constant(max_pixels, tf.int64))
    return tf.constant(found)


def _decode(
    encoded,
    max_pixels,
    pixel_range,
    channels=None,
    pillow=True,
    file_format=None,
):
    """Pixels `[H, W, C]`; `channels` as in `decode`, or `_ANY`."""
    header, encoded = _check_header(encoded, max_pixels, pillow, file_format)
    known = decoders.in_order(pixel_range, channels is not None, pillow)
    if file_format is not None:  # JPEG, which Pillow never decodes
        image = known[file_format](encoded)
    else:
        number = header.format
        if pillow:
            special = _needs_pillow(header)
            number = tf.where(special, len(known) - 1, number)
        image = tf.switch_case(
            number,
            [lambda decoder=decoder: decoder(encoded) for decoder in known],
        )
    shape = [None, None, 3]
    if channels is not None:
        shape[2] = channels or None
    image = tf.ensure_shape(image, shape)
    image = orientation.turn_upright(image, header.orientation)
    return tf.ensure_shape(image, shape)


def _image_size(encoded, max_pixels, file_format=None):
    header, _ = _check_header(encoded, max_pixels, True, file_format)
    size = tf.cast(tf.stack([header.height, header.width]), tf.int32)
    swapped = orientation.swaps_sides(header.orientation)
    return tf.where(swapped, size[::-1], size)


def problem(
    encoded: bytes,
    max_pixels: int = MAX_PIXELS,
    *,
    pixel_range: tuple[float, float] | None = None,
    channels: int | None = None,
) -> str:
    """Says why `decode` refuses an image.

    Args:
        encoded: `bytes`, the content of an image file.
        max_pixels: as for `decode`.
        pixel_range: as for `decode`.
        channels: as for `decode`.

    Returns:
        String such as "it is a GIF cut short".
    """
    if channels is not None:
        found = stored_channels(encoded, max_pixels)
        if found not in (None, channels):
            counted = channel_counts.counted(found)
            return f"it has {counted}, and channels={channels} is stated"
    reader = python_decoders.reader_of(encoded, channels)
    if reader is not None:
        return reader.problem(encoded, max_pixels, pixel_range)
    try:
        header = headers.read(tf.constant(encoded))
        text = headers.problem(header, max_pixels, pillow=True).numpy().decode()
    except tf.errors.OpError:
        text = ""  # the header is right: a decoder failed
    return text or "it is corrupt or cut short"


def _check_header(encoded, max_pixels, pillow, file_format=None):
    """Returns the header and the content, which fail if the header is bad.

    Both depend on the check, so that no decoder runs before it.
    """
    header = headers.read(encoded, file_format)
    text = headers.problem(header, max_pixels, pillow)
    message = tf.strings.join([_RULE, text])
    check = tf.debugging.Assert(tf.equal(text, ""), [message])
    with tf.control_dependencies([check]):
        return headers.Header(*map(tf.identity, header)), tf.identity(encoded)


def _needs_pillow(header):
    special = tf.not_equal(header.special, "")
    if not compat.DECODES_WEBP:
        special |= tf.equal(header.format, contents.WEBP)
    return special
