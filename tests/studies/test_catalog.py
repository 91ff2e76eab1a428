"""The settings of each study differ, in what they are called and in flags."""

import types

import pytest
from absl import flags

from simclr_keras.commands import pretrain
from simclr_keras.studies import catalog
from simclr_keras.studies.options import Options

pytestmark = pytest.mark.newest


@pytest.fixture(params=["resnet", "tiny"])
def base(request):
    values = flags.FlagValues()
    pretrain.define_flags(values)
    values(["", f"--encoder={request.param}"])
    return types.SimpleNamespace(**values.flag_values_dict())


@pytest.mark.parametrize("name", catalog.STUDIES)
def test_no_setting_comes_twice(base, name):
    options = Options({"temperature": ["0.1", "0.5"]}, [0.1], ["a", "b"])
    study = catalog.STUDIES[name]
    points = study.points(base, options)
    for each in ("labels", "flags"):
        texts = [tuple(sorted(getattr(p, each).items())) for p in points]
        assert len(set(texts)) == len(texts)
    evaluations = study.evaluations(base, options)
    names = [evaluation.name for evaluation in evaluations]
    assert len(set(names)) == len(names)


def test_pairs_of_transformations_switch_on_those_alone(base):
    points = catalog.STUDIES["augmentations"].points(base, None)
    assert len(points) == 28  # seven alone, and their pairs
    by_pair = {tuple(p.labels.values()): p.flags for p in points}
    assert by_pair["cutout", "noise"]["append_views"] == "cutout,noise"
    assert by_pair["cutout", "noise"]["crop"] == "false"
    assert by_pair["crop", "colour"]["crop"] == "true"
    assert by_pair["crop", "colour"]["color_jitter_strength"] == "1.0"
    assert by_pair["crop", "colour"]["append_views"] == ""
    assert by_pair["blur", "blur"]["color_jitter_strength"] == "0"


def _evaluations(base, name):
    options = Options({}, [0.1], [])
    return catalog.STUDIES[name].evaluations(base, options)


def test_supervised_networks_have_three_rates_and_the_views_of_the_others(base):
    known = {}
    for name in ("few_labels", "color_strength"):
        known[name] = {e.name: e for e in _evaluations(base, name)}
    few = known["few_labels"]
    for share in ("10 %", "100 %"):
        supervised = few[f"supervised, {share} of the labels"]
        tuned = few[f"fine-tuned, {share} of the labels"]
        assert supervised.rates == (0.3, 1.0, 3.0) and tuned.rates == ()
        assert supervised.same == tuned.same
        assert {"color_jitter_strength", "append_views"} < {*tuned.same}
        assert not {"train_batch_size", "train_epochs"} & {*tuned.same}
    beside = known["color_strength"]["supervised"]
    assert beside.rates == (0.3, 1.0, 3.0)
    assert {"train_batch_size", "train_epochs", *tuned.same} < {*beside.same}


def test_what_is_predicted_was_applied_in_the_pre_training(base):
    """But for grey, which is among the colour distortions; guesses by hand."""
    base.append_views = ["cutout"]
    points = catalog.STUDIES["transformations"].points(base, None)
    assert [
        (p.evaluation["predict"], p.labels["guess"], p.flags["append_views"])
        for p in points
    ] == [
        ("gray", "50 %", "cutout"),
        ("rotation", "25 %", "cutout,rotation"),
        ("noise", "50 %", "cutout,noise"),
        ("sobel", "50 %", "cutout,sobel"),
    ]
