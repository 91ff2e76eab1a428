"""Photographs are cropped as the model's views are configured."""

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import data
from simclr_keras.images.random_crops import Crops
from simclr_keras.models import crops as view_crops
from simclr_keras.models import fitting

SIZE = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve pictures whose red says the column and whose green the row."""
    path = tmp_path_factory.mktemp("ramps")
    for k in range(12):
        height, width = 60 + k, 90 - k
        image = np.zeros((height, width, 3), np.uint8)
        image[..., 0] = np.linspace(0, 255, width)
        image[..., 1] = np.linspace(0, 255, height)[:, None]
        (path / "ab"[k % 2]).mkdir(exist_ok=True)
        PIL.Image.fromarray(image).save(path / "ab"[k % 2] / f"{k}.png")
    return f"folder:{path}"


def load(folder, **options):
    options = {"batch_size": 6, "seed": 3, **options}
    return sk.data.load(folder, image_size=SIZE, **options)


def areas(crops):
    """Part of the picture that each crop `[..., S, S, 3]` covers.

    Sampled at pixel centres, a crop misses half a pixel at each side.
    """
    spans = np.ptp(np.asarray(crops, float)[..., :2], axis=(-3, -2)) / 255
    return np.prod(spans * SIZE / (SIZE - 1), axis=-1)


def simclr(**views):
    views = {"jit": False, **views}
    model = sk.SimCLR(sk.TinyResNet((4,)), views=sk.TwoViews(SIZE, **views))
    model.compile(keras.optimizers.SGD(0.1))
    return model


def prepared(model, dataset, **arguments):
    return fitting.prepare(model, dataset, arguments), arguments


def test_fit_cuts_the_crops_of_the_views(folder):
    """Of the default the smallest of 24 crops is far below 0.9."""
    dataset = load(folder)
    free = areas(np.concatenate(list(dataset)))
    assert free.min() < 0.6
    dataset.seek(0)
    made, _ = prepared(simclr(crop_area=(0.9, 1.0)), dataset)
    cut = areas(np.concatenate([batch for batch in made]))
    assert cut.shape == (12, 2) and cut.min() > 0.8 and cut.max() < 1.1


def test_each_branch_has_its_own_crops(folder):
    model = simclr(crop_area=(0.9, 1.0), second={"crop_area": (0.1, 0.4)})
    made, _ = prepared(model, load(folder))
    cut = areas(np.concatenate([batch for batch in made]))
    assert cut[:, 0].min() > 0.8 and cut[:, 1].max() < 0.5


def test_all_that_views_state_of_crops_is_handed_on(folder):
    stated = dict(
        crop_area=(0.2, 0.9),
        crop_aspect=(0.5, 2.0),
        crop_sampler="torchvision",
        antialias=True,
    )
    dataset = load(folder)
    crops = view_crops.stated_crops(simclr(**stated).views)
    made = data.with_crops(dataset, crops)
    expected = Crops((0.2, 0.9), (0.5, 2.0), "torchvision", True)
    assert made.crops() == (expected, expected)
    dataset.seek(3)
    assert made.epoch == 3
    assert data.with_crops(made, crops) is made


def test_what_disagrees_is_refused_and_what_agrees_is_not(folder):
    model = simclr(crop_area=(0.9, 1.0))
    with pytest.raises(ValueError, match=r"`crop_area` must be stated once.*"):
        prepared(model, load(folder, crop_area=(0.5, 1.0)))
    with pytest.raises(ValueError, match="`antialias`.*antialias=True of the"):
        prepared(model, load(folder, antialias=True))
    dataset = load(folder, crop_area=[0.9, 1.0])
    prepared(model, dataset)


def test_crops_that_nobody_cuts_are_not_stated_in_silence(folder):
    images = np.zeros((8, SIZE, SIZE, 3), np.uint8)
    with pytest.raises(ValueError, match="`crop_area` is for photographs"):
        sk.data.load(images, batch_size=4, crop_area=(0.5, 1.0))
    with pytest.raises(ValueError, match="`crop_sampler` is for photographs"):
        load(folder, training=False, crop_sampler="official")


@pytest.mark.newest
def test_validation_and_what_is_made_of_data_sets_follow(folder):
    model = simclr(crop_area=(0.9, 1.0))
    _, arguments = prepared(
        model, load(folder), validation_data=load(folder, seed=5)
    )
    crops = next(iter(arguments["validation_data"]))
    assert areas(crops).min() > 0.8
    probe = load(folder, labelled=True, views=1)
    whole = data.grouped(data.with_probe(load(folder), probe), 2)
    crops = view_crops.stated_crops(model.views)
    made = data.with_crops(whole, crops)
    batches = list(made)
    assert len(batches) == made.steps == 4
    for batch in batches:
        assert areas(batch["images"]).min() > 0.8
        assert areas(batch["probe_images"]).min() > 0.8


@pytest.mark.parametrize(
    "training, stated",
    [
        (True, {"crop_proportion": 0.5}),
        (False, {"antialias": True}),
        (False, {"crop_proportion": 0.5}),
    ],
)
def test_evaluation_crops_of_images_in_memory_are_not_stated_in_silence(
    training, stated
):
    """The model crops those; of photographs the data set does."""
    images = np.zeros((4, 16, 16, 3), np.uint8)
    (name,) = stated
    with pytest.raises(ValueError, match=f"`{name}` is for photographs"):
        sk.data.load(images, batch_size=2, training=training, **stated)


def test_crops_of_evaluation_are_not_stated_for_training(folder):
    with pytest.raises(ValueError, match="`crop_proportion` is for photogr"):
        sk.data.load(folder, image_size=16, batch_size=2, crop_proportion=0.5)


def test_one_crop_cannot_be_contrasted(folder):
    with pytest.raises(ValueError, match="must be loaded with views=2"):
        simclr().fit(load(folder, views=1), verbose=0)


@pytest.mark.newest
def test_a_classifier_does_not_crop_crops(folder):
    """Whole pictures in, no flip, no colour: the views change nothing."""
    view = sk.View(
        SIZE,
        crop_area=(0.99, 1.0),
        flip_probability=0.0,
        color_strength=0.0,
        grayscale_probability=0.0,
    )
    model = sk.Classifier(sk.TinyResNet((4,)), 2, views=view, image_size=SIZE)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(load(folder, views=1, labelled=True), verbose=0)
    crops = next(iter(load(folder, views=1)))
    views = model._augmentation(crops, tf.constant(0, tf.int64), True)
    np.testing.assert_allclose(views, crops / np.float32(255), atol=1e-6)


def test_a_classifier_takes_one_crop_of_each(folder):
    """Of batches with two for pre-training: the first of each pair."""
    model = sk.Classifier(sk.TinyResNet((4,)), 2, image_size=SIZE)
    model.compile("sgd", "sparse_categorical_crossentropy")
    pairs = load(folder, labelled=True)
    pairs.seek(2)
    made = view_crops.with_crops(model, pairs)
    assert made.epoch == 2
    for (crops, labels), (two, same) in zip(made, load_epoch(folder, 2)):
        np.testing.assert_array_equal(crops, two[:, 0])
        np.testing.assert_array_equal(labels, same)
    model.fit(pairs, verbose=0)
    with pytest.warns(UserWarning, match="load images to evaluate on with"):
        model.evaluate(pairs, verbose=0)
    with pytest.raises(ValueError, match="load them with training=False"):
        model.predict(pairs, verbose=0)
    grouped = data.grouped(pairs, 2)
    assert (
        view_crops.with_crops(model, grouped).element_spec == made.element_spec
    )
    with pytest.warns(UserWarning, match="load images to evaluate on with"):
        model.fit(grouped, validation_data=pairs, verbose=0)
    in_order = load(folder, labelled=True, training=False)
    assert len(model.predict(in_order, verbose=0)) == 12


def load_epoch(folder, number):
    dataset = load(folder, labelled=True)
    dataset.seek(number)
    return dataset


def test_crops_and_whole_images_are_evaluated_in_turn(folder):
    model = simclr()
    whole = np.zeros([6, SIZE, SIZE, 3], np.uint8)
    for images in (load(folder), whole, load(folder)):
        logs = model.evaluate(
            images, batch_size=None, return_dict=True, verbose=0
        )
        assert np.isfinite(logs["loss"])
    for images in (load(folder), (whole,)):
        model.fit(whole, batch_size=6, validation_data=images, verbose=0)
    for images in (whole, load(folder, training=False), whole):
        assert model.predict(images, verbose=0)["h"].shape[1] == 4


@pytest.mark.parametrize("name", ["SimCLR", "Classifier"])
def test_a_model_that_is_not_compiled_cannot_be_fitted(folder, name):
    if name == "SimCLR":
        model = sk.SimCLR(sk.TinyResNet((4,)), views=sk.TwoViews(SIZE))
    else:
        model = sk.Classifier(sk.TinyResNet((4,)), 2)
    with pytest.raises(ValueError, match=f"Received: a {name} that is not"):
        model.fit(load(folder, labelled=True))
