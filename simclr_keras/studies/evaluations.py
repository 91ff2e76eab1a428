"""Lists the evaluations of the pre-trainings in each study.

Each function takes the flags of the base and `Options`, and returns a list of
`Evaluation`.
"""

from __future__ import annotations

import types

from simclr_keras.studies.options import Options
from simclr_keras.studies.study import Evaluation

# Flags of the augmentation, and of the whole training, that fine-tuned and
# supervised networks share with the pre-training.
_SAME_VIEWS = (
    "crop_area_min",
    "crop_sampler",
    "antialias",
    "color_jitter_strength",
    "use_blur",
    "append_views",
)
_SAME_TRAINING = (
    "train_batch_size",
    "train_epochs",
    "train_steps",
    *_SAME_VIEWS,
)
_LINEAR = {"protocol": "lbfgs"}
_LINEAR_ON_H = Evaluation("linear", "linear_eval", _LINEAR)
_Z = {"ft_proj_selector": "-1"}
_FROM_SCRATCH = {"from_scratch": "true"}
_RATES = (0.3, 1.0, 3.0)
_SUPERVISED = Evaluation(
    "supervised", "finetune", _FROM_SCRATCH, _SAME_TRAINING, _RATES
)
# Names of the measures of `predictions`.
PREDICTIONS = ("from h", "from z")


def linear(base: types.SimpleNamespace, options: Options) -> list[Evaluation]:
    """A linear classifier on h, trained on all labels and on few."""
    few = [f for f in options.label_fractions if f < 1]
    return [
        _LINEAR_ON_H,
        *(
            Evaluation(
                f"linear, {100 * fraction:g} % of the labels",
                "linear_eval",
                {**_LINEAR, "label_fraction": str(fraction)},
            )
            for fraction in few
        ),
    ]


def linear_and_supervised(
    base: types.SimpleNamespace, options: Options
) -> list[Evaluation]:
    """Those of `linear`, and a supervised network trained alike."""
    return [*linear(base, options), _SUPERVISED]


def h_and_z(base: types.SimpleNamespace, options: Options) -> list[Evaluation]:
    """A linear classifier on h and one on z."""
    return [
        _LINEAR_ON_H,
        Evaluation("linear on z", "linear_eval", {**_LINEAR, **_Z}),
    ]


def predictions(
    base: types.SimpleNamespace, options: Options
) -> list[Evaluation]:
    """An MLP that predicts the transformation of an image from h or from z.

    Each `Point` names the transformation.
    """
    return [
        Evaluation(name, "linear_eval", {"protocol": "mlp", **flags})
        for name, flags in zip(PREDICTIONS, ({}, _Z))
    ]


def few_labels(
    base: types.SimpleNamespace, options: Options
) -> list[Evaluation]:
    """Fine-tuned, linear and supervised networks, by fraction of the labels."""
    evaluations = []
    for fraction in sorted({*options.label_fractions, 1.0}):
        share = {"label_fraction": str(fraction)}
        for line, command, flags, same, rates in (
            ("fine-tuned", "finetune", {}, _SAME_VIEWS, ()),
            ("linear", "linear_eval", _LINEAR, (), ()),
            ("supervised", "finetune", _FROM_SCRATCH, _SAME_VIEWS, _RATES),
        ):
            evaluations.append(
                Evaluation(
                    f"{line}, {100 * fraction:g} % of the labels",
                    command,
                    {**flags, **share},
                    same,
                    rates,
                    line,
                    100 * fraction,
                )
            )
    return evaluations


def transfer(base: types.SimpleNamespace, options: Options) -> list[Evaluation]:
    """Linear and fine-tuned networks on other data sets."""
    return [
        Evaluation(f"{name}, {dataset}", command, {**flags, "dataset": dataset})
        for dataset in options.datasets
        for name, command, flags in (
            ("linear", "linear_eval", _LINEAR),
            ("fine-tuned", "finetune", {}),
        )
    ]
