"""NT-Xent in tiles against the whole matrix, which other tests hold to the
official numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.contrastive import NTXent
from simclr_keras.contrastive import chunking
from simclr_keras.contrastive import nt_xent

# Anchors, candidates (None: the anchors), first anchor. Tiles are of 16 rows,
# eight images: one, some whole ones, and such as are not filled.
SIZES = [
    (1, None, 0),
    (8, None, 0),
    (13, None, 0),
    (37, None, 0),
    (16, 32, 16),
    (9, 45, 13),
    (3, 130, 127),
]
# The temperature, whether rows are normalised: all pairs of one size, and of
# the others one; the rest in the long run.
CASES = [
    pytest.param(
        sizes,
        temperature,
        normalize,
        marks=[]
        if (temperature, normalize) == (0.1, True) or sizes == (9, 45, 13)
        else pytest.mark.long,
    )
    for sizes in SIZES
    for temperature in (0.01, 0.1, 1.0)
    for normalize in (True, False)
]
# Bytes of a tile of 16 x 16 floats; of one that holds everything.
SMALL, WHOLE = 16 * 16 * 4, 2**40


def views(sizes, dtype=np.float64, d=7):
    """Anchors, perhaps candidates, upstream weights, position."""
    n, num_images, first = sizes
    rng = np.random.default_rng(0)
    tensors = list(rng.normal(size=(2, n, d)).astype(dtype))
    if num_images:
        tensors += list(rng.normal(size=(2, num_images, d)).astype(dtype))
    upstream = rng.normal(size=(2, n)).astype(dtype)
    return tensors, upstream, first


def value_and_gradients(tensors, upstream, first, temperature, **arguments):
    """Losses of the anchors and, for these weights, all gradients."""
    tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]
    temperature = tf.constant(temperature, tensors[0].dtype)
    names = ("z_a", "z_b", "z_a_global", "z_b_global")
    with tf.GradientTape() as tape:
        tape.watch([*tensors, temperature])
        losses = nt_xent(
            **dict(zip(names, tensors)),
            temperature=temperature,
            first_anchor=first,
            **arguments,
        )
        total = tf.reduce_sum(losses * upstream)
    return losses, *tape.gradient(total, [*tensors, temperature])


def assert_close(results, expected, tolerance):
    """Apart by this part of the largest number of each tensor."""
    assert len(results) == len(expected)
    for result, value in zip(results, expected):
        assert result.dtype == value.dtype and result.shape == value.shape
        np.testing.assert_allclose(
            result, value, rtol=0, atol=tolerance * np.abs(value).max()
        )


@pytest.mark.newest
@pytest.mark.parametrize("sizes, temperature, normalize", CASES)
def test_equal_the_whole_matrix_in_float64(
    tiles, sizes, temperature, normalize
):
    """Random weights for each anchor; by all four tensors and temperature.

    Logits of up to some 10 / 0.01 are rounded to 1e-13, and e to them as much.
    """
    example = views(sizes)
    tiles(WHOLE)
    expected = value_and_gradients(*example, temperature, normalize=normalize)
    tiles(2 * SMALL)
    results = value_and_gradients(*example, temperature, normalize=normalize)
    assert_close(results, expected, 1e-12)
    losses = results[0]
    assert np.ptp(losses) > 0.01 or sizes[0] == 1


@pytest.mark.newest
@pytest.mark.parametrize(
    "images, side, count",
    [(29, 16, 5), pytest.param(273, 32, 19, marks=pytest.mark.long)],
)
def test_more_than_the_last_tile_is_filled(tiles, images, side, count):
    """An odd number of tiles, the last of them empty, the one before not full.

    58 views in 5 tiles of 16: the fourth is short of 6 rows; and 546 in 19
    tiles of 32, the last but one short of 30.
    """
    cut = chunking.RowPartition.of(2 * images, side, odd=True)
    assert (cut.count, cut.size) == (count, side)
    example = views((images, None, 0))
    tiles(WHOLE)
    expected = value_and_gradients(*example, 0.1)
    tiles(side * side * 8)
    in_graph = tf.function(value_and_gradients)  # 190 tiles of 19, twice
    assert_close(in_graph(*example, 0.1), expected, 1e-12)


@pytest.mark.newest
@pytest.mark.parametrize("sizes", [(37, None, 0), (9, 45, 13)])
@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
def test_float32_is_as_exact_as_its_logits(tiles, sizes, temperature):
    """Against float64. Logits of 1 / tau are wrong by a few 2^-24 of it, and
    so relatively is e to them; ten of these cover sums of d = 7 products. The
    gradient by tau is a sum over anchors that may cancel: its terms are a
    weight times the difference of two means of logits, over tau."""
    example = views(sizes)
    tiles(WHOLE)
    exact = value_and_gradients(*example, temperature)
    tensors, upstream, first = views(sizes, np.float32)
    tiles(SMALL)
    results = value_and_gradients(tensors, upstream, first, temperature)
    assert all(result.dtype == tf.float32 for result in results)
    *results, by_tau = [tf.cast(result, tf.float64) for result in results]
    *exact, exactly_by_tau = exact
    tolerance = 10 * 2**-24 / temperature
    assert_close(results, exact, tolerance)
    terms = 2 * np.abs(upstream).sum() / temperature**2
    assert abs(by_tau - exactly_by_tau) < tolerance * terms


@pytest.mark.parametrize(
    "sizes, jit_compile, known",
    [
        ((13, None, 0), True, False),
        ((13, None, 0), False, True),
        ((9, 21, 5), True, True),
        ((9, 21, 5), False, False),
        pytest.param((13, None, 0), True, True, marks=pytest.mark.long),
        pytest.param((13, None, 0), False, False, marks=pytest.mark.long),
        pytest.param((9, 21, 5), True, False, marks=pytest.mark.long),
        pytest.param((9, 21, 5), False, True, marks=pytest.mark.long),
    ],
)
def test_in_graphs_of_known_and_unknown_size(tiles, sizes, jit_compile, known):
    tensors, upstream, first = views(sizes)
    tiles(WHOLE)
    expected = value_and_gradients(tensors, upstream, first, 0.2)
    tiles(2 * SMALL)

    def spec(array):
        shape = array.shape if known else [None] * array.ndim
        return tf.TensorSpec(shape, array.dtype)

    @tf.function(
        input_signature=[
            [spec(tensor) for tensor in tensors],
            tf.TensorSpec([2, sizes[0] if known else None], tf.float64),
            tf.TensorSpec([], tf.int64),
        ],
        jit_compile=jit_compile,
    )
    def function(tensors, upstream, first):
        return value_and_gradients(tensors, upstream, first, 0.2)

    results = function(tensors, upstream, tf.constant(first, tf.int64))
    assert_close(results, expected, 1e-12)


@pytest.mark.newest
def test_equal_the_official_values_and_gradients(tiles, cases):
    """ntxent.npz, of all kinds; tolerances as in test_nt_xent.py."""
    tiles(SMALL)
    for case, expected in cases("ntxent.npz"):
        if case["optional_mask_leak"]:
            continue  # has its own test
        loss = NTXent(case["temperature"], case["hidden_norm"], "sum")
        hidden = tf.constant(expected["hidden"])
        with tf.GradientTape() as tape:
            tape.watch(hidden)
            value = loss(*tf.split(hidden, 2))
        np.testing.assert_allclose(
            value, expected["loss"], rtol=1e-4, atol=1e-6, err_msg=str(case)
        )
        scale = np.abs(expected["grad"]).max()
        if case["kind"] == "collapsed":  # the true gradient is zero
            scale = 0.1
        np.testing.assert_allclose(
            tape.gradient(value, hidden),
            expected["grad"],
            rtol=0,
            atol=1e-5 * scale,
            err_msg=str(case),
        )


@pytest.mark.newest
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(40, None, 0), (20, 40, 9)])
def test_huge_logits_neither_leak_nor_overflow(tiles, sizes, dtype):
    """Products of up to 1e10, most of the softmax on one of them.

    Rounding 1e10 in float32 moves it by hundreds: whether the largest is a
    little or much larger is then chance, where they are close. These are
    whole numbers times 2^28, which float32 holds.
    """
    tensors, upstream, first = views(sizes, dtype)
    tensors = [np.round(2 * tensor) * dtype(2**14) for tensor in tensors]
    tiles(WHOLE)
    expected = value_and_gradients(
        tensors, upstream, first, 1.0, normalize=False
    )
    tiles(SMALL)
    results = value_and_gradients(
        tensors, upstream, first, 1.0, normalize=False
    )
    assert np.max(expected[0]) > 1e9
    assert_close(results, expected, 2**-20)


@pytest.mark.newest
def test_what_is_not_a_number_stays_so(tiles):
    """So that a diverged run is noticed."""
    tiles(SMALL)
    z = np.ones([20, 3], np.float32)
    broken = z.copy()
    broken[17] = np.nan
    assert np.isnan(nt_xent(z, broken, temperature=1.0)).all()


@pytest.mark.newest
def test_is_differentiated_once(tiles):
    """A second gradient is refused, not wrong."""
    tiles(SMALL)
    z = tf.constant(views((20, None, 0))[0])
    with tf.GradientTape() as outer:
        outer.watch(z)
        with tf.GradientTape() as inner:
            inner.watch(z)
            loss = NTXent()(z[0], z[1])
        norm = tf.norm(inner.gradient(loss, z))
    with pytest.raises(LookupError, match="once only"):
        outer.gradient(norm, z)


@pytest.mark.newest
def test_what_fits_is_computed_as_a_whole(tiles):
    """2n x 2N floats, and only where these are known."""
    tiles(4 * 100 * 200)
    assert chunking.fits_one_tile(100, 200, tf.float32)
    assert not chunking.fits_one_tile(100, 201, tf.float32)
    assert not chunking.fits_one_tile(100, 200, tf.float64)
    assert not chunking.fits_one_tile(tf.constant(100), 200, tf.float32)


@pytest.mark.newest
@pytest.mark.parametrize("odd", [False, True])
def test_rows_are_cut_and_joined(odd):
    """Rows in order, the rest zeros; with lengths that fill nothing, and
    where more than one part is empty."""
    for length in (1, 16, 17, 33, 4753):
        cut = chunking.RowPartition.of(length, 48, odd)
        assert cut.size % 2 == 0 and cut.size <= 48
        assert cut.count % 2 or not odd
        rows = 1.0 + tf.reshape(tf.range(3.0 * length), [length, 3])
        parts = cut.parts(rows)
        assert parts.shape == (cut.count, cut.size, 3)
        assert tf.math.count_nonzero(parts) == 3 * length
        np.testing.assert_array_equal(cut.join(parts), rows)


def test_training_moves_the_same_weights(tiles):
    """Six steps in float64 of a small SimCLR, in tiles and not.

    Views are crops without distorted colours, which would take longer to trace.
    Only rounding may differ, which such few steps do not raise much; the loss
    is logged in float32.
    """

    def train():
        keras.utils.set_random_seed(0)
        model = sk.SimCLR(
            sk.TinyResNet((4,), dtype="float64"),
            sk.ProjectionHead(num_layers=2, out_dim=8, dtype="float64"),
            sk.TwoViews(
                16, color_strength=0.0, grayscale_probability=0.0, jit=False
            ),
        )
        model.compile(sk.LARS(0.3), NTXent(0.2))
        before = model.get_weights()
        images = np.random.default_rng(1).integers(
            0, 256, (40, 16, 16, 3), np.uint8
        )
        history = model.fit(
            tf.data.Dataset.from_tensors(images).repeat(6), verbose=0
        ).history
        return before, model.get_weights(), history

    tiles(WHOLE)
    start, expected, history = train()
    tiles(SMALL)
    again, weights, in_tiles = train()
    for one, two in zip(start, again):
        np.testing.assert_array_equal(one, two)
    assert max(np.abs(w - s).max() for w, s in zip(expected, start)) > 1e-2
    for weight, other in zip(weights, expected):
        np.testing.assert_allclose(weight, other, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(in_tiles["loss"], history["loss"], rtol=1e-6)
