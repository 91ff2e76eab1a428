"""Defines what a study consists of."""

from __future__ import annotations

import types
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple


class Point(NamedTuple):
    """One setting of a study.

    Attributes:
        labels: dict of what tables and figures call the setting by, name of a
            column -> text.
        flags: dict from flags of `simclr-pretrain` to text.
        evaluation: dict from flags of the evaluations to text, where they have
            others than those of other settings.
    """

    labels: Mapping[str, str]
    flags: Mapping[str, str]
    evaluation: Mapping[str, str] = types.MappingProxyType({})


class Evaluation(NamedTuple):
    """How a pre-trained encoder is measured; the figure is its accuracy.

    Attributes:
        name: of the measure, such as "linear, 10 % of the labels".
        command: "linear_eval" or "finetune".
        flags: dict from flags of the command to text.
        same: names of flags that have the values of the pre-training.
        rates: learning rates of which the figure is the best one's, as factors
            of the default of the command; (): the default alone.
        line: what joins measures in a figure, where `x` is not None.
        x: position of the measure in that figure.
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
        points: function of the settings of the base and of `Options` that
            returns a list of `Point`.
        evaluations: function of the same that returns a list of `Evaluation`.
        figure: "lines", "bars" or "matrix".
        x: label along the figure, or two for a matrix; None: the first two.
        drawn: names of the measures that bars show; (): all.
    """

    source: str
    question: str
    points: Callable[..., list[Point]]
    evaluations: Callable[..., list[Evaluation]]
    figure: str = "bars"
    x: str | tuple[str, str] | None = None
    drawn: Sequence[str] = ()
