"""What a flag accepts is what the class or function behind it accepts."""

import pytest
from absl import flags

from simclr_keras import data
from simclr_keras import images
from simclr_keras import optimizers
from simclr_keras.commands import export
from simclr_keras.commands import pretrain
from simclr_keras.networks import resnet
from simclr_keras.serving import single_file

pytestmark = pytest.mark.newest


def _flags(command):
    values = flags.FlagValues()
    command.define_flags(values)
    return values


def test_choices_that_follow_from_a_table():
    """Which cannot be read before TensorFlow is loaded."""
    values = _flags(pretrain)
    assert values["optimizer"].parser.enum_values == [*optimizers.OPTIMIZERS]
    depths = [str(depth) for depth in resnet.DEPTHS]
    assert values["resnet_depth"].parser.enum_values == depths
    formats = _flags(export)["format"].parser.enum_values
    assert formats == ["saved_model", *single_file.FILES]


def test_the_largest_image_is_that_of_the_library():
    assert _flags(pretrain)["max_pixels"].default == images.MAX_PIXELS
    assert data.open_source("shapes").max_pixels == images.MAX_PIXELS
