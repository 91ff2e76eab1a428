"""Tells what the processor of this machine can do."""

from __future__ import annotations

import functools
import pathlib


@functools.cache
def features() -> frozenset[str]:
    """Names of the processor's instruction sets, such as `"avx512_bf16"`.

    Those of x86 processors under Linux, from `/proc/cpuinfo`; else empty.
    """
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    lines = [line for line in text.splitlines() if line.startswith("flags")]
    return frozenset(lines[0].partition(":")[2].split() if lines else ())
