"""Lists the studies of the SimCLR paper, and the study `grid` of any flags.

Numbers of tables and figures are those of Chen et al. 2020 (arXiv 2002.05709).
"""

from __future__ import annotations

import itertools

from simclr_keras import choices
from simclr_keras.studies import evaluations
from simclr_keras.studies.study import Point
from simclr_keras.studies.study import Study


def _product(axes):
    """Points of all combinations of values; `axes` maps flags to values."""
    points = []
    for values in itertools.product(*axes.values()):
        flags = dict(zip(axes, map(str, values)))
        points.append(Point(flags, flags))
    return points


# Flags without any transformation. Those that a point adds change one view.
_PLAIN = {
    "crop": "false",
    "flip": "false",
    "color_jitter_strength": "0",
    "use_blur": "false",
    "append_views": "",
    "augment_one": "true",
}


def _transformations(base):
    """Maps names of transformations to flags that switch them on."""
    strength = base.color_jitter_strength or 1.0
    return {
        "crop": {"crop": "true", "flip": "true"},
        "cutout": {"append_views": "cutout"},
        "colour": {"color_jitter_strength": str(strength)},
        "Sobel": {"append_views": "sobel"},
        "noise": {"append_views": "noise"},
        "blur": {"use_blur": "true"},
        "rotation": {"append_views": "rotation"},
    }


def _augmentations(base, options):
    known = _transformations(base)
    points = []
    for first, second in itertools.combinations_with_replacement(known, 2):
        flags = {**_PLAIN, **known[first], **known[second]}
        appended = [known[n].get("append_views") for n in (first, second)]
        flags["append_views"] = ",".join(dict.fromkeys(filter(None, appended)))
        points.append(Point({"first": first, "second": second}, flags))
    return points


def _color_strength(base, options):
    return _product({"color_jitter_strength": [0.125, 0.25, 0.5, 1.0]})


def _projection_head(base, options):
    points = [
        Point({"head": "none", "width": ""}, {"proj_head_mode": "none"}),
    ]
    for head, width in itertools.product(
        ("linear", "nonlinear"), (32, 128, 512)
    ):
        flags = {"proj_head_mode": head, "proj_out_dim": str(width)}
        points.append(Point({"head": head, "width": str(width)}, flags))
    return points


def _batch_and_epochs(base, options):
    """Splits batches larger than the base's into micro-batches.

    Their size is the base's micro-batch size, or else its batch size.
    """
    if base.train_steps:
        raise ValueError(
            "--train_epochs must say how long the study batch_and_epochs"
            " trains, not --train_steps. Received:"
            f" --train_steps={base.train_steps}"
        )
    batch, epochs = base.train_batch_size, base.train_epochs
    points = []
    for size in (max(2, batch // 4), batch, 4 * batch):
        for factor in (1, 2, 4):
            labels = {
                "train_batch_size": str(size),
                "train_epochs": str(factor * epochs),
            }
            flags = dict(labels)
            if size > batch:
                flags["micro_batch_size"] = str(base.micro_batch_size or batch)
            points.append(Point(labels, flags))
    return points


def _loss(base, options):
    points = []
    for loss, name in (
        ("nt_logistic", "NT-Logistic"),
        ("margin_triplet", "margin triplet"),
    ):
        for semi_hard in ("false", "true"):
            label = name if semi_hard == "false" else f"{name}, semi-hard"
            points.append(
                Point(
                    {"loss": label},
                    {"loss": loss, "semi_hard": semi_hard},
                )
            )
    for norm, temperatures in (
        ("true", (0.05, 0.1, 0.5, 1)),
        ("false", (10, 100)),
    ):
        for temperature in temperatures:
            label = f"NT-Xent, temperature {temperature:g}"
            if norm == "false":
                label += ", not normalised"
            flags = {
                "loss": "nt_xent",
                "hidden_norm": norm,
                "temperature": str(temperature),
            }
            points.append(Point({"loss": label}, flags))
    return points


def _width_and_depth(base, options):
    if base.encoder == "tiny":
        return _product({"width_multiplier": [1, 2, 4]})
    depths = [d for d in choices.RESNET_DEPTHS if d <= 50]
    return _product({"width_multiplier": [1, 2], "resnet_depth": depths})


def _only_base(base, options):
    return [Point({"pre-training": "base"}, {})]


def _predicted(base, options):
    """Makes heads as wide as h, so that z can keep all information in h."""
    points = []
    for label, name, added in (
        ("colour or grey", "gray", ()),
        ("rotation", "rotation", ("rotation",)),
        ("noise", "noise", ("noise",)),
        ("Sobel", "sobel", ("sobel",)),
    ):
        guess = f"{100 / len(choices.TRANSFORMATIONS[name]):g} %"
        appended = dict.fromkeys([*base.append_views, *added])
        points.append(
            Point(
                {"predicted": label, "guess": guess},
                {"append_views": ",".join(appended), "proj_out_dim": "0"},
                {"predict": name},
            )
        )
    return points


def _grid(base, options):
    return _product(options.grid)


STUDIES = {
    "augmentations": Study(
        "figure 5",
        "Which transformations, alone and in pairs, make good features?",
        _augmentations,
        evaluations.linear,
        "matrix",
        ("first", "second"),
    ),
    "color_strength": Study(
        "table 1",
        "Does stronger colour distortion help, and a supervised network too?",
        _color_strength,
        evaluations.linear_and_supervised,
        "lines",
    ),
    "projection_head": Study(
        "figure 8",
        "Does a nonlinear head between h and the loss make h better?",
        _projection_head,
        evaluations.h_and_z,
    ),
    "batch_and_epochs": Study(
        "figure 9",
        "Do large batches and long training help, more than supervised ones?",
        _batch_and_epochs,
        evaluations.linear_and_supervised,
        "lines",
        "train_epochs",
    ),
    "loss": Study(
        "tables 4 and 5",
        "Which loss, temperature and normalisation make good features?",
        _loss,
        evaluations.linear,
    ),
    "width_and_depth": Study(
        "figure 7",
        "Do wider and deeper encoders gain more than supervised ones?",
        _width_and_depth,
        evaluations.linear_and_supervised,
        "lines",
        "width_multiplier",
    ),
    "transformations": Study(
        "table 3",
        "What does the projection head throw away?",
        _predicted,
        evaluations.predictions,
        drawn=evaluations.PREDICTIONS,
    ),
    "few_labels": Study(
        "table 7",
        "How few labels suffice, against a supervised network?",
        _only_base,
        evaluations.few_labels,
        "lines",
    ),
    "transfer": Study(
        "table 8",
        "How good are the features on other data sets?",
        _only_base,
        evaluations.transfer,
    ),
    "grid": Study("", "What do these flags change?", _grid, evaluations.linear),
}
