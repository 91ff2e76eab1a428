"""Defines a study by its settings, evaluations and figure."""

from __future__ import annotations

import types
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple


class Point(NamedTuple):
    """One setting of a study.

    Attributes:
        labels: dict from columns of tables and figures to text; it names the
            setting there.
        flags: dict from flags of `simclr-pretrain` to text.
        evaluation: dict from flags to text: flags of the evaluations that
            apply to this setting only.
    """

    labels: Mapping[str, str]
    flags: Mapping[str, str]
    evaluation: Mapping[str, str] = types.MappingProxyType({})


class Evaluation(NamedTuple):
    """How a pre-trained encoder is evaluated; the result is its accuracy.

    Attributes:
        name: of the measure, such as "linear, 10 % of the labels".
        command: "linear_eval" or "finetune".
        flags: dict from flags of the command to text.
        same: names of flags that have the values of the pre-training.
        rates: learning rates to try, as factors of the command's default; the
            best accuracy is the result. (): the default alone.
        line: name of the line on which a figure draws the measure, if `x` is
            not None.
        x: position of the measure on the x axis of that figure.
    """

    name: str
    command: str
    flags: Mapping[str, str]
    same: Sequence[str] = ()
    rates: Sequence[float] = ()
    line: str | None = None
    x: float | None = None


class Study(NamedTuple):
    """A question, and the pre-trainings that answer it.

    Attributes:
        source: table or figure of the paper; "" for a grid.
        question: what it asks, a sentence.
        points: function of the flags of the base and of `Options` that
            returns a list of `Point`.
        evaluations: function of the same that returns a list of `Evaluation`.
        figure: "lines", "bars" or "matrix".
        x: label on the x axis, or the two labels of a matrix; None: the first
            label.
        drawn: names of the measures that bars show; (): all.
    """

    source: str
    question: str
    points: Callable[..., list[Point]]
    evaluations: Callable[..., list[Evaluation]]
    figure: str = "bars"
    x: str | tuple[str, str] | None = None
    drawn: Sequence[str] = ()
