"""Whose run a checkpoint is: its settings, and how two of them differ."""

from simclr_keras import compat

# Names of layers and the like count up within a process.
_IGNORED = ("name", "registered_name", "module", "build_config", "trainable")
_PARTS = ("encoder", "projection_head", "views", "optimizer", "loss")


def of(model):
    """What a run must have in common with a checkpoint to go on from it.

    Args:
        model: compiled `keras.Model` that is being fitted.

    Returns:
        Flat dict of settings, name -> text.
    """
    settings = {
        "keras": "3" if compat.KERAS_3 else "2",
        "global_batch_size": getattr(model, "global_batch_size", None),
    }
    if _is_ours(model):
        config = model.get_config()
        # Other encoders' configurations may hold numbers of layers.
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
    """Whether micro-batches make it another training."""
    return micro_batch is not None and (batch is None or micro_batch < batch)


def _is_ours(value):
    return type(value).__module__.startswith("simclr_keras.")


def _flatten(prefix, value, flat):
    if isinstance(value, dict) and prefix.endswith("dtype"):
        # Of a policy the name is all that there is.
        value = value.get("config", {}).get("name", value)
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in _IGNORED:
                _flatten(f"{prefix}.{name}" if prefix else name, inner, flat)
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            _flatten(f"{prefix}.{number}", inner, flat)
    else:
        flat[prefix] = str(value)


def differences(there, here):
    """Lines that say which settings differ, and how.

    Args:
        there: dict of the settings of the existing run.
        here: those of the one that is starting.
    """
    return [
        f"  {name}: {there.get(name, 'not set')} there,"
        f" {here.get(name, 'not set')} now"
        for name in sorted(set(there) | set(here))
        if there.get(name) != here.get(name)
    ]


def allow_other_rate(there, here):
    """Takes the learning rate of the run that is starting for that of both.

    Args:
        there: dict of the settings of the existing run, changed in place.
        here: those of the one that is starting.

    Returns:
        What changes, a text.
    """
    names = [n for n in {*there, *here} if "learning_rate" in n.split(".")]
    lines = differences(*({n: x.get(n) for n in names} for x in (there, here)))
    for name in names:
        there.pop(name, None)
    there.update({n: here[n] for n in names if n in here})
    return "\n".join(["The learning rate changes:", *(lines or ["  nothing"])])


def refuse_other(path, there, here):
    """Raises a ValueError that shows how the settings of two runs differ."""
    lines = differences(there, here)
    if lines:
        raise ValueError(
            "the directory holds a run of other settings, which is kept as it"
            f" is. Received: {str(path)!r}; the differences:\n"
            + "\n".join(lines)
            + "\nName another directory, or give the same settings to resume."
        )
