"""Compares the settings of a run with those noted in its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from simclr_keras import compat
from simclr_keras import old_runs
from simclr_keras import paths

# Not compared: names of layers and the like count up within a process.
_IGNORED = ("name", "registered_name", "module", "build_config", "trainable")
_MICRO_BATCH = "model.micro_batch_size"
_PARTS = ("encoder", "projection_head", "views", "optimizer", "loss")


def of_model(model: keras.Model) -> dict[str, str]:
    """Settings that must equal those of a checkpoint to resume from it.

    Args:
        model: compiled `keras.Model` that is being fitted.

    Returns:
        Flat dict of settings, name -> text.
    """
    settings = {
        "keras": compat.STACK,
        "global_batch_size": getattr(model, "global_batch_size", None),
    }
    if _is_ours(model):
        config = model.get_config()
        # Without parts, added below if they are ours: configurations of other
        # encoders may contain layer names that count up.
        settings["model"] = {k: config[k] for k in config if k not in _PARTS}
        batch = settings["global_batch_size"]
        if not _is_cut(batch, config.get("micro_batch_size")):
            settings["model"].pop("micro_batch_size", None)
    for part in _PARTS:
        value = getattr(model, part, None)
        if _is_ours(value) or part == "optimizer":
            settings[part] = {"class": type(value).__name__}
            settings[part].update(value.get_config())
    flat = {}
    _flatten("", settings, flat)
    return flat


def _is_cut(batch, micro_batch):
    """Whether batches are split into micro-batches, which changes training."""
    return micro_batch is not None and (batch is None or micro_batch < batch)


def _is_ours(value):
    return type(value).__module__.startswith("simclr_keras.")


def _flatten(prefix, value, flat):
    if isinstance(value, dict) and prefix.endswith("dtype"):
        # A dtype policy is defined by its name alone.
        value = value.get("config", {}).get("name", value)
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in _IGNORED:
                _flatten(f"{prefix}.{name}" if prefix else name, inner, flat)
    elif isinstance(value, (list, tuple)) and value:
        for number, inner in enumerate(value):
            _flatten(f"{prefix}.{number}", inner, flat)
    else:
        flat[prefix] = str(value)


def differences(
    there: Mapping[str, str], here: Mapping[str, str]
) -> dict[str, tuple[str | None, str | None]]:
    """Settings of two runs that differ, as far as both know them.

    Args:
        there: dict of the settings of the existing run, of `of_model`.
        here: those of the one that is starting.

    Returns:
        Dict of name -> pair of texts, there and now; None: not set.
    """
    # Noted only if micro-batches change the training.
    there, here = ({_MICRO_BATCH: "None", **each} for each in (there, here))
    return old_runs.config_differences(there, here, ("model", *_PARTS))


def refuse_other(
    path: paths.AnyPath, different: Mapping[str, tuple[str | None, str | None]]
) -> None:
    """Raises a ValueError that shows how the settings of two runs differ.

    Args:
        path: directory that holds the existing run.
        different: dict of setting -> pair of texts, there and now; None: not
            set. Nothing happens if it is empty.
    """
    if not different:
        return
    raise ValueError(
        "the directory holds a run of other settings, which is kept as it"
        f" is. Received: {str(path)!r}; the differences:\n"
        + "\n".join(_lines(different))
        + "\nName another directory, or give the same settings to resume."
    )


def _said(value):
    return "not set" if value is None else value


def _lines(different):
    return [
        f"  {name}: {_said(there)} there, {_said(here)} now"
        for name, (there, here) in sorted(different.items())
    ]


def allow_longer(
    there: dict[str, str], here: Mapping[str, str]
) -> tuple[int, int] | None:
    """Accepts a longer run: replaces the length in `there` by that in `here`.

    Args:
        there: dict of the settings of the existing run, changed in place.
        here: those of the one that is starting.

    Returns:
        Pair of the steps of the existing run's schedule of learning rates and
        of the new one's; None, and no change, if the new one is not longer.
    """
    for name in here:
        schedule, _, argument = name.rpartition(".config.")
        kind = here.get(f"{schedule}.class_name", "")
        if argument != "total_steps" or not kind.endswith("WarmupCosine"):
            continue
        if int(there.get(name, here[name])) < int(here[name]):
            before, there[name] = there[name], here[name]
            return int(before), int(here[name])
    return None


def is_rate(name: str) -> bool:
    """Whether a setting, by its name, belongs to the learning rate."""
    return "learning_rate" in name.split(".")


def allow_other_rate(there: dict[str, str], here: Mapping[str, str]) -> str:
    """Accepts another learning rate: replaces that in `there` by `here`'s.

    Args:
        there: dict of the settings of the existing run, changed in place.
        here: those of the one that is starting.

    Returns:
        Text that lists the changes.
    """
    names = list(filter(is_rate, {*there, *here}))
    pairs = {name: (there.get(name), here.get(name)) for name in names}
    different = {name: pair for name, pair in pairs.items() if len({*pair}) > 1}
    for name in names:
        there.pop(name, None)
    there.update({n: here[n] for n in names if n in here})
    lines = _lines(different) or ["  nothing"]
    return "\n".join(["The learning rate changes:", *lines])
