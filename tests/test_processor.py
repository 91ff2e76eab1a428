"""What is known of the processor."""

import pathlib

import pytest

from simclr_keras import processor

_X86 = """processor\t: 0
model name\t: Some Processor
flags\t\t: fpu sse2 avx512_bf16
bugs\t\t: flags

processor\t: 1
flags\t\t: fpu
"""


@pytest.mark.parametrize(
    "text, expected",
    [(_X86, {"fpu", "sse2", "avx512_bf16"}), ("Features: fp", set())],
)
def test_features(monkeypatch, text, expected):
    monkeypatch.setattr(pathlib.Path, "read_text", lambda *_, **__: text)
    assert processor.features.__wrapped__() == expected


def test_there_is_no_such_file(monkeypatch):
    def refuse(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(pathlib.Path, "read_text", refuse)
    assert processor.features.__wrapped__() == set()
