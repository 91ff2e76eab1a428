"""What every command does before and around its own work."""

import os
import sys

import pytest

from simclr_keras.commands import cli


@pytest.mark.parametrize("given, used", [(None, "1"), ("0", "0")])
def test_onednn_is_used_unless_it_is_turned_off(monkeypatch, given, used):
    name = "TF_ENABLE_ONEDNN_OPTS"
    monkeypatch.setenv(name, "")  # what was there comes back afterwards
    if given is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, given)
    monkeypatch.setattr(sys, "argv", ["simclr-nothing"])
    found = []
    cli.start(
        lambda values: None,
        lambda settings: found.append(os.environ[name]),
        "Does nothing.",
    )
    assert found == [used]
