"""What `load` returns: no `tf.data.Dataset`, but taken by all that is ours."""

import shutil

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import data
from simclr_keras.data import decoded_batches
from simclr_keras.images.random_crops import Crops

SIZE = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for k in range(10):
        image = rng.integers(0, 256, (20 + k, 30, 3), np.uint8)
        (path / "ab"[k % 2]).mkdir(exist_ok=True)
        PIL.Image.fromarray(image).save(path / "ab"[k % 2] / f"{k}.png")
    return f"folder:{path}"


def load(spec, **options):
    options = {"batch_size": 4, "seed": 1, **options}
    return data.load(spec, image_size=SIZE, **options)


@pytest.fixture
def traced(monkeypatch):
    """List of the crops for which a pipeline of photographs was traced."""
    crops = []
    call = decoded_batches.DecodedBatches.__call__

    def counted(self, *arguments):
        crops.append(arguments[-1])
        return call(self, *arguments)

    monkeypatch.setattr(decoded_batches.DecodedBatches, "__call__", counted)
    return crops


@pytest.mark.newest
def test_a_pipeline_is_traced_when_it_is_needed_and_once(folder, traced):
    whole = data.grouped(
        data.with_probe(load(folder), load(folder, labelled=True, views=1)), 2
    )
    crops = (Crops((0.5, 1.0)), None)
    whole = data.with_crops(whole, crops)
    assert len(whole) == 4 and traced == []
    first = [batch["images"] for batch in whole]
    whole.seek(0)
    again = [batch["images"] for batch in whole.as_dataset()]
    assert traced == [crops, crops]  # the images and the probe's
    np.testing.assert_array_equal(first, again)


def test_what_draws_crops_is_traced_once_in_a_process(folder):
    crops = (Crops((0.4, 1.0)),)
    draw = decoded_batches.random_boxes((SIZE, SIZE), 1, crops)
    for _ in range(2):
        dataset = load(folder, views=1)
        list(data.with_crops(dataset, crops * 2))
    assert draw.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"labelled": True, "views": 1},
        {"training": False, "labelled": True},
        {"training": False, "drop_remainder": True},
    ],
)
def test_the_form_of_the_batches_is_known_before(folder, options):
    arrays = np.zeros((10, 8, 8, 3), np.uint8), np.arange(10) % 2
    for spec in (folder, arrays):
        batches = load(spec, **options)
        assert batches.element_spec == batches.as_dataset().element_spec


def test_the_form_of_what_is_combined_is_known_before(folder):
    plain, probe = load(folder), load(folder, labelled=True, views=1)
    for batches in (
        data.grouped(plain, 2),
        data.with_probe(plain, probe),
        data.grouped(data.with_probe(plain, probe), 2),
        data.with_probe(data.grouped(plain, 2), probe),
    ):
        assert batches.element_spec == batches.as_dataset().element_spec


@pytest.mark.newest
def test_crops_and_grouping_outlive_a_combination(folder):
    """In whatever order they are stated; None states nothing."""
    crops = (Crops((0.5, 1.0)), Crops((0.6, 1.0)))
    plain, probe = load(folder), load(folder, labelled=True, views=1)
    before = data.with_probe(data.with_crops(plain, crops), probe)
    after = data.with_crops(data.with_probe(plain, probe), crops)
    drawn = list(before), list(after)
    assert len(drawn[0]) == len(drawn[1]) == len(before)
    for a, b in zip(*drawn):
        np.testing.assert_array_equal(a["images"], b["images"])
        np.testing.assert_array_equal(a["probe_images"], b["probe_images"])
    assert data.with_crops(before, (None, None)) is before
    both = data.with_probe(data.grouped(plain, 2), probe)
    assert both.epochs_per_fit_epoch == 2
    other = data.with_crops(probe, (Crops((0.7, 1.0)), None))
    with pytest.raises(ValueError, match="cropped as `dataset` is"):
        data.with_probe(data.with_crops(plain, crops), other)


@pytest.mark.parametrize("name", ["take", "map", "prefetch", "batch"])
def test_it_has_no_methods_of_tf_data_and_says_where_they_are(name):
    batches = load(np.zeros((8, 8, 8, 3), np.uint8))
    with pytest.raises(AttributeError, match=rf"as_dataset\(\)\.{name}\."):
        getattr(batches, name)
    assert hasattr(batches.as_dataset(), name)
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        batches.fly  # noqa: B018
    assert "as_dataset() gives the tf.data.Dataset" in repr(batches)


def test_it_is_not_tuned():
    """Nor is what is made of it: `untuned` says why."""
    dataset = data.load("shapes", batch_size=4, num_examples=8).as_dataset()
    for each in (dataset, dataset.map(lambda x: x).prefetch(1)):
        assert each.options().autotune.enabled is False


def test_what_is_made_of_it_shares_its_position():
    images = np.arange(12, dtype=np.uint8).reshape(12, 1, 1, 1)
    batches = load(images.repeat(3, 3))
    dataset = batches.as_dataset()
    assert isinstance(dataset, tf.data.Dataset) and len(dataset) == 3
    expected = [list(batches) for _ in range(3)]
    batches.seek(1)
    np.testing.assert_array_equal(list(dataset), expected[1])
    assert batches.epoch == 2
    np.testing.assert_array_equal(list(dataset.take(1)), expected[2][:1])
    assert data.as_dataset(dataset) is dataset


@pytest.mark.newest
def test_models_and_evaluation_take_it(folder, traced):
    """A classifier and SimCLR, and crops that their views state."""
    views = sk.TwoViews(SIZE, crop_area=(0.5, 1.0), jit=False)
    model = sk.SimCLR(sk.TinyResNet((4,)), views=views)
    model.compile("sgd")
    model.fit(load(folder), validation_data=load(folder), verbose=0)
    model.evaluate(load(folder), verbose=0)
    assert len(traced) == 3
    assert {each.area for pair in traced for each in pair} == {(0.5, 1.0)}
    still = load(folder, training=False, labelled=True)
    features, labels = sk.evaluation.extract(model.encoder, still)
    assert features.shape == (10, 4)
    np.testing.assert_array_equal(labels, [0] * 5 + [1] * 5)
    assert len(model.predict(still, verbose=0)["h"]) == 10
    knn = sk.evaluation.KNNCallback(still, still, k=2)
    probe = sk.Classifier(model.encoder, 2, freeze="all")
    probe.compile("sgd", "sparse_categorical_crossentropy")
    history = probe.fit(
        load(folder, labelled=True, views=1), callbacks=[knn], verbose=0
    ).history
    h, y = sk.evaluation.extract(probe.encoder, still.as_dataset())
    expected = sk.evaluation.knn_accuracy(h, y, h, y, k=2)
    assert history["knn_accuracy"][0] == expected
    loss = probe.evaluate(still.as_dataset(), verbose=0)
    assert probe.evaluate(still, verbose=0) == pytest.approx(loss)
    assert probe.predict(still, verbose=0).shape == (10, 2)


@pytest.mark.newest
def test_a_range_of_batches_skips_the_others(folder, tmp_path):
    """Without decoding what comes before; an epoch goes by, as with all."""
    path = tmp_path / "photographs"
    shutil.copytree(folder.removeprefix("folder:"), path)
    (path / "a" / "0.png").write_bytes(b"\x89PNG damaged")
    damaged = load(f"folder:{path}", training=False)
    whole = list(load(folder, training=False))
    for first, stop in ((1, 3), (2, 3), (2, 2)):
        part = damaged.between(first, stop)
        assert int(part.cardinality()) == stop - first
        found = list(part)
        assert len(found) == stop - first
        for ours, theirs in zip(found, whole[first:stop]):
            np.testing.assert_array_equal(ours, theirs)
    shuffled, same = (load(folder, seed=3) for _ in range(2))
    for _ in range(2):
        (ours,) = shuffled.between(1, 2)
        np.testing.assert_array_equal(ours, list(same)[1])
