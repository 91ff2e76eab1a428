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
