"""Tells what the processor of this machine is, and what it can do."""

from __future__ import annotations

import functools
import pathlib


def description() -> list[str]:
    """Lines of `/proc/cpuinfo`; none where there is no such file."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return []
    return text.splitlines()


@functools.cache
def features() -> frozenset[str]:
    """Names of the processor's instruction sets, such as `"avx512_bf16"`.

    Those of x86 processors under Linux; else empty.
    """
    lines = [line for line in description() if line.startswith("flags")]
    return frozenset(lines[0].partition(":")[2].split() if lines else ())
