"""What a pre-training says at its end is a command that reads its images."""

import pathlib
import shlex
import types

import pytest
from absl import flags as absl_flags

from simclr_keras import old_runs
from simclr_keras.commands import embed
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import command_line
from simclr_keras.commands.common import image_flags
from simclr_keras.commands.common import next_command

pytestmark = pytest.mark.newest


def test_all_flags_of_how_images_are_read_are_handed_on():
    values = absl_flags.FlagValues()
    image_flags.define_data(values)
    others = {"dataset", "download", "image_size", "eval_batch_size"}
    assert set(values) == others | set(image_flags.IMAGE_FLAGS)


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"pixel_range": "0,4095", "max_pixels": "1000"},
        {"folder_layout": "classes", "split_order": "position"},
        {"data_dir": "/sets", "skip_corrupt": "true"},
        {
            "labels": "my labels.csv",
            "label_columns": "a,b",
            "task": "regression",
        },
        {"labels": "x.csv", "label_columns": "", "split_column": ""},
        {"train_split": "train[:9]", "eval_split": "validation"},
    ],
)
def test_it_hands_on_how_images_are_read(flags):
    """Pasted into a shell, also where names have blanks."""
    given = [f"--{name}={value}" for name, value in flags.items()]
    flags = command_line.parse(
        pretrain.define_flags, ["--dataset=folder:/my photos", *given]
    )
    run = types.SimpleNamespace(path=pathlib.Path("my runs/a"))
    for labelled, command in ((True, linear_eval), (False, embed)):
        text = next_command.after_pretraining(flags, run, labelled)
        _, _, line = text.partition("Next:")
        name, *arguments = shlex.split(line)
        assert name == command.EXAMPLE.split()[0]
        follows = command_line.parse(command.define_flags, arguments)
        assert follows.checkpoint == "my runs/a"
        for name in ("dataset", *image_flags.IMAGE_FLAGS):
            assert getattr(follows, name) == getattr(flags, name), name
        if command is embed:
            assert follows.split == flags.train_split
        else:
            assert follows.train_split == flags.train_split
            # Of the pre-training None means test, where there is one.
            assert follows.eval_split == (flags.eval_split or "test")


def test_a_run_from_before_pixel_ranges_goes_on_with_the_whole_one():
    """Which is what there was then."""
    here = command_line.parse(pretrain.define_flags, ["--pixel_range=0,65535"])
    lines = here.flags_text.splitlines(keepends=True)
    there = "".join(x for x in lines if not x.startswith("--pixel_range"))
    compare = old_runs.flag_differences
    assert not compare(there, here.flags_text, here.flag_defaults)
    here = command_line.parse(pretrain.define_flags, ["--pixel_range=0,4095"])
    different = compare(there, here.flags_text, here.flag_defaults)
    assert list(different) == ["--pixel_range"]
