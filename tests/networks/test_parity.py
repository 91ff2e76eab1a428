"""Encoders and heads against the official implementation's outputs.

The numbers are those of tests/fixtures or shared/parity (README there,
sections 0, 5, 6, 8). Rebuilt in float64, the official networks agree with
their own float64 run to 1e-12, so 1e-6 (and the small copies' rounding to
float32) leaves no room for a different network.
"""

import json

import keras
import numpy as np
import pytest

from simclr_keras.networks import ProjectionHead
from simclr_keras.networks import ResNet

STAGES = ("initial_conv", "initial_max_pool") + tuple(
    f"block_group{stage}" for stage in (1, 2, 3, 4)
)


def case_of(path, case):
    """The settings of a case, and its arrays by name."""
    with np.load(path, allow_pickle=False) as file:
        settings = {c["case"]: c for c in json.loads(str(file["cases_json"]))}
        if case not in settings:
            pytest.skip(f"the small copy of {path.name} has no {case}")
        arrays = {
            name[len(case) + 1 :]: file[name]
            for name in file.files
            if name.startswith(case)
        }
    return settings[case], arrays


def _cases(*short, count=9):
    """All cases; those that the short run leaves out have a mark."""
    return [
        f"case{i:02d}"
        if i in short
        else pytest.param(f"case{i:02d}", marks=pytest.mark.long)
        for i in range(count)
    ]


def _network(settings, dtype):
    return ResNet(
        settings["resnet_depth"],
        width=settings["width_multiplier"],
        sk_ratio=settings["sk_ratio"],
        se_ratio=settings["se_ratio"],
        small_images=settings["cifar_stem"],
        dtype=dtype,
    )


def _floats(images):
    """The reference divides in float32."""
    return images.astype("float32") / np.float32(255)


def as_numpy(variables):
    return np.concatenate([np.ravel(v.numpy()) for v in variables])


# Each kind of layer once: basic blocks, bottlenecks, selective kernels with
# their stem, squeeze-and-excitation at an odd size. The others join kinds.
@pytest.mark.parametrize("case", _cases(0, 2, 7, 8))
def test_resnet_is_the_official_one(parity, set_formula_values, case):
    settings, expected = case_of(parity("resnet.npz"), case)
    encoder = _network(settings, "float64")
    variables = encoder.variables_in_forward_order()
    listed = json.loads(str(expected["variables_json"]))
    assert [list(v.shape) for v in variables] == [v["shape"] for v in listed]
    assert [v.trainable for v in variables] == [v["trainable"] for v in listed]
    assert encoder.count_params() == settings["total_params"]
    assert (
        sum(int(np.prod(v.shape)) for v in encoder.trainable_variables)
        == settings["trainable_params"]
    )

    set_formula_values(variables, settings["seed"])
    images = _floats(expected["images_uint8"]).astype("float64")
    *stages, h = encoder.outputs_of((*STAGES, "pooled_features"))(
        images[:2], training=False
    )
    np.testing.assert_allclose(h, expected["pooled_inference_f64"], atol=1e-6)
    for name, stage in zip(STAGES, stages):
        # Float32 sums of the reference: 1e-5 of the largest value.
        stage = stage.numpy()
        tolerance = {"atol": 1e-5 * np.abs(stage).max()}
        assert stage.shape == tuple(expected[f"{name}_shape"])
        for statistic, value in (
            ("mean", stage.mean()),
            ("std", stage.std()),
            ("channel_mean", stage.mean((0, 1, 2))),
        ):
            np.testing.assert_allclose(
                value, expected[f"{name}_{statistic}"], **tolerance
            )

    if "pooled_training_f64" in expected:  # too large for some small copies
        h = encoder(images, training=True)
        np.testing.assert_allclose(
            h, expected["pooled_training_f64"], atol=1e-6
        )
    if "moving_after" in expected:
        # The reference's are float32; it says how far they are from float64.
        drift = settings["max_abs_diff_f32_f64"]["moving_after"]
        moving = as_numpy(v for v in variables if not v.trainable)
        np.testing.assert_allclose(
            moving, expected["moving_after"], atol=2 * drift
        )


@pytest.mark.parametrize("case", _cases(0))
def test_resnet_in_float32(parity, set_formula_values, case):
    settings, expected = case_of(parity("resnet.npz"), case)
    encoder = _network(settings, "float32")
    variables = encoder.variables_in_forward_order()
    set_formula_values(variables, settings["seed"])
    h = encoder(_floats(expected["images_uint8"][:2]), training=False)
    np.testing.assert_allclose(h, expected["pooled_inference_f64"], atol=1e-4)


@pytest.mark.parametrize("case", [f"case{i:02d}" for i in range(4)])
def test_projection_head_is_the_official_one(parity, set_formula_values, case):
    settings, expected = case_of(parity("projection_head.npz"), case)
    head = ProjectionHead(
        "nonlinear", settings["num_proj_layers"], settings["proj_out_dim"]
    )
    h = expected["input"]
    head.build(h.shape)
    variables = head.variables_in_forward_order()
    set_formula_values(variables, settings["seed"])
    for mode in ("inference", "training"):
        # One call in training mode only, as the moving statistics count it.
        hs = head.layer_outputs(h, training=mode == "training")
        for selector, key in ((0, "0"), (1, "1"), (2, "2"), (-1, "m1")):
            # The small copy leaves selector 0 out: it is the input.
            name = f"finetune_input_{mode}_sel_{key}"
            np.testing.assert_allclose(
                hs[head.layer_index(selector)],
                expected.get(name, h),
                atol=1e-4,
            )
        np.testing.assert_allclose(
            hs[-1], expected[f"output_{mode}"], atol=1e-4
        )
    compared = 0
    for index, variable in enumerate(variables):
        after = expected.get(f"var{index:02d}_after")
        if after is not None:
            compared += 1
            np.testing.assert_allclose(variable.numpy(), after, atol=1e-5)
    assert compared == 2 * settings["num_proj_layers"]


def test_whole_network_is_that_of_the_official_checkpoint(
    parity, set_formula_values
):
    """Section 8: ResNet-18 with small stem, 3 layers of head, 10 classes."""
    with np.load(parity("checkpoint_outputs.npz")) as file:
        expected = dict(file)
    encoder = ResNet(18, small_images=True)
    head = ProjectionHead("nonlinear", num_layers=3, out_dim=128)
    supervised = keras.layers.Dense(10)
    head.build((None, 512))
    supervised.build((None, 512))
    set_formula_values(
        encoder.variables_in_forward_order()
        + head.variables_in_forward_order()
        + [supervised.kernel, supervised.bias],
        seed=13_000_000,
    )
    images = _floats(expected["input_uint8"])
    h = encoder(images, training=False)
    hs = head.layer_outputs(h, training=False)
    close = {"atol": 1e-5}  # float32; the reference observed 2e-6
    np.testing.assert_allclose(h, expected["pooled_inference"], **close)
    np.testing.assert_allclose(
        head(h, training=False), expected["projection_inference"], **close
    )
    np.testing.assert_allclose(
        supervised(h), expected["logits_inference"], **close
    )
    for selector, key in ((1, "1"), (2, "2"), (-1, "m1")):
        name = f"finetune_input_sel_{key}"
        np.testing.assert_allclose(hs[selector], expected[name], **close)
        np.testing.assert_allclose(
            head.layer_output(h, selector, training=False),
            expected[name],
            **close,
        )
