"""The names of a model's outputs: of classes and of numbers."""

import pytest

from simclr_keras.serving import output_names

pytestmark = pytest.mark.newest


@pytest.mark.parametrize("argument", ["class_names", "target_names"])
@pytest.mark.parametrize(
    "names, count, expected",
    [
        (("a", "b"), 2, ["a", "b"]),
        ([1, 2.5], 2, ["1", "2.5"]),
        (None, 3, ["0", "1", "2"]),
        (None, None, None),
    ],
)
def test_names_become_texts(argument, names, count, expected):
    assert output_names.check(argument, names, count) == expected


@pytest.mark.parametrize(
    "argument, names, count, message",
    [
        ("class_names", ["a"], 2, "2 different names.*class of.*1 names"),
        ("target_names", ["a", "a"], 2, "2 different names.*output of"),
        ("target_names", ["a", ""], 2, "target_names must be neither empty"),
        ("class_names", ["a", "b\nc"], 2, "neither empty nor longer"),
        ("class_names", ["a"], None, "without classes.*Received: 1 names"),
        ("target_names", ["a"], None, "predicts no numbers.*'linear'"),
    ],
)
def test_wrong_names(argument, names, count, message):
    with pytest.raises(ValueError, match=message):
        output_names.check(argument, names, count)
