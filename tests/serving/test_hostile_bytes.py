"""An export answers a request or refuses it, and then goes on serving."""

import io
import pathlib
import struct
import zlib

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import compat

SIZE = 16
# Small, so that what is answered is answered soon.
MAX_PIXELS = 100_000


@pytest.fixture(scope="module")
def signatures(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = sk.Classifier(sk.TinyResNet((4,)), 3, image_size=SIZE)
    path = tmp_path_factory.mktemp("served") / "export"
    path = sk.export(model, path, max_pixels=MAX_PIXELS)
    return tf.saved_model.load(str(path)).signatures


def _encode(kind, height=20, width=30, **options):
    pixels = np.random.default_rng(0).integers(
        0, 256, (height, width, 3), np.uint8
    )
    image = PIL.Image.fromarray(pixels)
    if kind == "GIF":
        image = image.quantize(16)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _huge_png(side=20_000):
    """A PNG of one bit a pixel, all black, written by hand."""

    def chunk(name, content):
        code = zlib.crc32(name + content)
        return (
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", code)
        )

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    row = bytes(1 + side // 8)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(side))
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", head),
            chunk(b"IDAT", packed + packer.flush()),
            chunk(b"IEND", b""),
        ]
    )


def _resident():
    """Resident memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


needs_linux = pytest.mark.skipif(
    not pathlib.Path("/proc/self/statm").exists(), reason="Linux tells memory"
)


def _refusal(signatures, content, name="serve_encoded"):
    with pytest.raises(tf.errors.OpError) as error:
        signatures[name](encoded=tf.constant([content]))
    return str(error.value)


@needs_linux
@pytest.mark.parametrize("name", ["serve_encoded", "classify"])
def test_too_many_pixels_are_refused_by_the_header(signatures, name):
    """Decoded, it would take 400 MB at least."""
    content = _huge_png()
    assert len(content) < 60_000
    signatures[name](encoded=tf.constant([_encode("PNG")]))
    before = _resident()
    text = _refusal(signatures, content, name)
    assert "20000 x 20000 pixels" in text and f"{MAX_PIXELS}" in text
    assert _resident() - before < 50e6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_the_bound_holds_for_every_format(signatures, kind):
    """316 * 317 > 100,000 pixels; 316 * 316 are fewer."""
    text = _refusal(signatures, _encode(kind, 316, 317))
    assert "it has 316 x 317 pixels" in text
    if kind != "WEBP" or compat.DECODES_WEBP:
        content = tf.constant([_encode(kind, 316, 316)])
        assert signatures["serve_encoded"](encoded=content)


def test_an_animated_webp_is_refused(signatures):
    """The PNG decoder would end the process on such bytes."""
    frames = [PIL.Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    content = file.getvalue()
    assert "animated WebP" in _refusal(signatures, content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no image at all",
        b"\x89PNG\r\n\x1a",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"II*\0" + bytes(100),
        b"GIF7" + bytes(100),
    ],
)
def test_only_signatures_of_ours_reach_a_decoder(signatures, content):
    assert "its first bytes are not those" in _refusal(signatures, content)


def test_one_bad_image_spares_the_next_request(signatures):
    good = _encode("PNG")
    serve = signatures["serve_encoded"]
    before = serve(encoded=tf.constant([good]))["embedding"]
    _refusal(signatures, good[:100])
    after = serve(encoded=tf.constant([good]))["embedding"]
    np.testing.assert_array_equal(before, after)


def test_no_images_give_no_rows(signatures):
    images = tf.zeros([0, 30, 20, 3], tf.uint8)
    nothing = tf.zeros([0], tf.string)
    for outputs in (
        signatures["serving_default"](images=images),
        signatures["serve_encoded"](encoded=nothing),
    ):
        shapes = {name: tuple(x.shape) for name, x in outputs.items()}
        assert shapes == {
            "embedding": (0, 4),
            "logits": (0, 3),
            "probabilities": (0, 3),
        }
    outputs = signatures["classify"](encoded=nothing)
    assert tuple(outputs["class_names"].shape) == (0, 3)
    assert tuple(outputs["probabilities"].shape) == (0, 3)


# Mutations


def _mutated(rng, files):
    """A file with some of its bytes changed, or another's, or cut short."""
    content = bytearray(files[rng.integers(len(files))])
    kind = rng.integers(6)
    if kind == 0:  # its header
        for place in rng.integers(0, min(64, len(content)), 3):
            content[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
    elif kind == 1:  # anything
        for place in rng.integers(0, len(content), rng.integers(1, 10)):
            content[place] = rng.integers(256)
    elif kind == 2:
        del content[rng.integers(len(content)) :]
    elif kind == 3:  # the beginning of one, the end of another
        other = files[rng.integers(len(files))]
        del content[rng.integers(len(content)) :]
        content += other[rng.integers(len(other)) :]
    elif kind == 4:  # a part that is missing or twice there
        first, last = sorted(rng.integers(0, len(content), 2))
        content[first:last] = content[first:last] * rng.choice([0, 2])
    else:  # one number of four bytes
        place = rng.integers(max(len(content) - 4, 1))
        number = int(rng.choice([0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1]))
        order = str(rng.choice(["<I", ">I"]))
        content[place : place + 4] = struct.pack(order, number)
    return bytes(content)


def _fuzz(signatures, files, count):
    """(answered, refused, memory at each tenth), by `serve_encoded`."""
    rng = np.random.default_rng(0)
    answered, seen = 0, []
    for number in range(count):
        content = tf.constant([_mutated(rng, files)])
        try:
            outputs = signatures["serve_encoded"](encoded=content)
        except tf.errors.OpError:
            pass
        else:
            answered += 1
            assert np.isfinite(outputs["probabilities"]).all()
        if (number + 1) % (count // 10) == 0:
            seen.append(_resident())
    return answered, count - answered, seen


def _kept_of_an_error(count=3000):
    """Bytes that TensorFlow keeps of each failed check, whoever makes it.

    About 1,000 with TensorFlow 2.15 and 2.21.
    """

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def fail(text):
        check = tf.debugging.Assert(tf.equal(text, ""), [text])
        with tf.control_dependencies([check]):
            return tf.identity(text)

    for number in range(2 * count):
        if number == count:
            before = _resident()
        try:
            fail(
                tf.constant(
                    "a message of sixty letters, as long as those of ours are"
                )
            )
        except tf.errors.OpError:
            pass
    return max(0, _resident() - before) / count


@pytest.mark.newest
@needs_linux
@pytest.mark.parametrize(
    "count", [2_000, pytest.param(100_000, marks=pytest.mark.long)]
)
def test_mutated_files_are_answered_or_refused(signatures, count):
    """In this process, which would end where memory is overwritten."""
    files = [
        _encode("JPEG"),
        _encode("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
        _encode("PNG"),
        _encode("GIF"),
        _encode("BMP"),
        _encode("WEBP"),
        _encode("WEBP", lossless=True),
    ]
    frames = [PIL.Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        files.append(file.getvalue())
    answered, refused, seen = _fuzz(signatures, files, count)
    print(f"{answered} answered, {refused} refused, memory {seen}")
    assert answered > count / 20 and refused > count / 4
    # Buffers fill first; what was kept of each request would be more.
    kept = max(seen[5:]) - max(seen[:5]) - _kept_of_an_error() * refused / 2
    assert kept < 20e6 + 200 * count
