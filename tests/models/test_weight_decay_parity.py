"""Which weights the penalty covers, and its value, as the official code's."""

import functools
import json

import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras.optimizers.weight_decay import penalised_variables


def _values(variables, seed):
    """The recorded values: the formula of the parity notes, section 0."""
    for index, variable in enumerate(variables):
        name = getattr(variable, "path", variable.name).split(":")[0]
        kind = name.rsplit("/", 1)[-1]
        shape = tuple(variable.shape)
        r = np.random.RandomState(seed + index).randn(*shape)
        if kind == "kernel":
            r = r * np.sqrt(1 / np.prod(shape[:-1]))
        elif kind == "gamma":
            r = 1 + 0.1 * r
        elif kind == "moving_variance":
            r = 1 + 0.1 * np.abs(r)
        else:
            r = 0.1 * r
        variable.assign(r.astype("float32"))


@functools.cache
def _simclr(depth, layers, out_dim, classes, se_ratio):
    """Built once for all cases of a model."""
    return sk.SimCLR(
        sk.ResNet(depth, se_ratio=se_ratio, small_images=True),
        sk.ProjectionHead("nonlinear", num_layers=layers, out_dim=out_dim),
        sk.TwoViews(32, jit=False),
        num_classes=classes,
    )


def _simclr_of(case):
    assert case["image_size"] == 32
    return _simclr(
        case["resnet_depth"],
        case["num_proj_layers"],
        case["proj_out_dim"],
        None if case["model"] == "nohead" else case["num_classes"],
        case.get("se_ratio", 0.0),
    )


@functools.cache
def _classifier(depth, classes, block):
    """What is penalised does not depend on the widths."""
    encoder = sk.ResNet(depth, width=1 / 16, small_images=True)
    return sk.Classifier(encoder, classes, freeze=block)


def _scope(case):
    lars = case["optimizer"] == "lars" and case["adjust_per_optimizer"]
    return "heads" if lars else "all"


def _load(parity, name):
    fixture = np.load(parity("weight_decay.npz"))
    cases = json.loads(str(fixture["cases_json"]))
    case = {c["case"]: c for c in cases}[name]
    get = {k[7:]: fixture[k] for k in fixture.files if k.startswith(name)}
    return case, get


@pytest.mark.parametrize(
    "name",
    [
        "case00",
        "case03",
        pytest.param("case05", marks=pytest.mark.long),
        pytest.param("case06", marks=pytest.mark.long),
        "case07",
        "case08",
    ],
)
def test_pretraining_penalty(parity, name):
    case, wanted = _load(parity, name)
    model = _simclr_of(case)
    variables = model.encoder.variables_in_forward_order()
    variables += model.projection_head.variables_in_forward_order()
    if model.probe is not None:
        variables += [model.probe.kernel, model.probe.bias]
    _values(variables, case["seed"])
    places = {id(v): index for index, v in enumerate(variables)}
    penalised = penalised_variables(model, _scope(case))
    found = sorted(places[id(v)] for v in penalised)
    assert found == sorted(wanted["included_indices"].tolist())
    penalty = sk.optimizers.l2_penalty(
        model, case["weight_decay"], _scope(case)
    )
    # Sums of 1e7 float32 squares: a relative error of some 1e-5.
    np.testing.assert_allclose(
        penalty, wanted["weight_decay_loss"], rtol=1e-4, atol=1e-12
    )


@pytest.mark.parametrize(
    "name", ["case10", "case12", "case13", "case14", "case16", "case17"]
)
def test_fine_tuning_penalty(parity, name):
    """Ours leaves out the projection layers that fine-tuning does not use."""
    case, wanted = _load(parity, name)
    model = _classifier(
        case["resnet_depth"], case["num_classes"], case["fine_tune_after_block"]
    )
    encoder = model.encoder.variables_in_forward_order()
    recorded = json.loads(
        str(np.load(parity("weight_decay.npz"))["variables_base_json"])
    )
    unused = [
        v["index"] for v in recorded if v["name"].startswith("projection_head")
    ]
    places = {id(v): index for index, v in enumerate(encoder)}
    places[id(model.head.kernel)] = len(recorded) - 2
    places[id(model.head.bias)] = len(recorded) - 1
    found = {places[id(v)] for v in penalised_variables(model, _scope(case))}
    assert found == set(wanted["included_indices"].tolist()) - set(unused)
    trainable = {places[id(v)] for v in model.trainable_variables}
    expected = set(wanted["trainable_indices"].tolist()) - set(unused)
    assert trainable == expected
