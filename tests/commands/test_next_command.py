"""What a pre-training says at its end is a command that reads its images."""

import pathlib
import shlex
import types

import pytest

from simclr_keras import old_runs
from simclr_keras.commands import cli
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain

pytestmark = pytest.mark.newest


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"pixel_range": "0,4095", "max_pixels": "1000"},
        {"folder_layout": "classes", "split_order": "position"},
        {"data_dir": "/sets", "skip_corrupt": "true"},
    ],
)
def test_it_hands_on_how_images_are_read(flags):
    given = [f"--{name}={value}" for name, value in flags.items()]
    settings = cli.parse(
        pretrain.define_flags, ["--dataset=folder:/photos", *given]
    )
    run = types.SimpleNamespace(path=pathlib.Path("runs/a"))
    text = pretrain._next_command(settings, run, {"knn_accuracy": 0.5})
    _, _, line = text.partition("Next:")
    name, *arguments = shlex.split(line)
    assert name == "simclr-linear-eval"
    follows = cli.parse(linear_eval.define_flags, arguments)
    for name in ("dataset", *pretrain._IMAGE_FLAGS):
        assert getattr(follows, name) == getattr(settings, name), name


def test_a_run_from_before_pixel_ranges_goes_on_with_the_whole_one():
    """Which is what there was then."""
    here = cli.parse(pretrain.define_flags, ["--pixel_range=0,65535"])
    lines = here.flags_text.splitlines(keepends=True)
    there = "".join(x for x in lines if not x.startswith("--pixel_range"))
    compare = old_runs.flag_differences
    assert not compare(there, here.flags_text, here.flag_defaults)
    here = cli.parse(pretrain.define_flags, ["--pixel_range=0,4095"])
    different = compare(there, here.flags_text, here.flag_defaults)
    assert list(different) == ["--pixel_range"]
