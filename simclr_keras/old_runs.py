"""Completes the settings of runs of earlier releases.

The settings of a run are in its `flags.txt` and in its checkpoints. A setting
that a later release added is missing there, and has the value that earlier
releases used implicitly. A setting that a later release dropped is ignored.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

# Add a line to one of these tables if the default of a new setting does not
# compute what releases without the setting computed.
# From flags to their values, as text, in runs that began before the flag was
# added. The flag's default must not be None.
FLAGS = {"folder_layout": "legacy", "split_order": "position"}
# From flags to the value that computes what runs without the flag computed.
SAME_AS_ABSENT = {"pixel_range": "0.0,65535.0"}
# From classes to {argument: value in configurations without the argument}.
ARGUMENTS = {
    "ResNet": {"input_channels": 3},
    "TinyResNet": {"input_channels": 3},
    "TwoViews": {"channels": 3},
    "View": {"channels": 3},
}
# From classes to the names of arguments that were removed.
DROPPED = {}

# From flags that only one command has to that command.
_COMMANDS = {
    "study": "simclr-study",  # before pretrain, all of whose flags it has
    "temperature": "simclr-pretrain",
    "protocol": "simclr-linear-eval",
    "fine_tune_after_block": "simclr-finetune",
    "layer": "simclr-embed",
}
# Arguments whose empty lists the first release did not write to checkpoints.
_LISTS_AT_FIRST = ("append",)
# Start of the line of `flags.txt` with the names of flags without a value.
_UNSET = "# Not set:"
# Flags without a value in the first release, which did not write that line.
_UNSET_AT_FIRST = frozenset(
    (
        "cache_dir",
        "checkpoint",
        "data_dir",
        "encoder",
        "eval_split",
        "gcp_project",
        "global_bn",
        "micro_batch_size",
        "model_dir",
        "neighbors",
        "probe_dataset",
        "profile_steps",
        "resnet_depth",
        "se_ratio",
        "sk_ratio",
        "stem",
        "tpu_name",
        "tpu_zone",
        "use_blur",
        "width_multiplier",
    )
)


def flags_text(values: Mapping[str, str | None]) -> str:
    """Text of `flags.txt`, readable by `--flagfile`.

    Args:
        values: dict from flags to text, or to None for a flag without a value.
    """
    unset = sorted(name for name, text in values.items() if text is None)
    lines = [f"{_UNSET} {' '.join(unset)}".rstrip()]
    lines += [f"--{n}={values[n]}" for n in sorted(values) if n not in unset]
    return "".join(f"{line}\n" for line in lines)


def parse_flags(text: str) -> dict[str, str | None]:
    """Parses `flags.txt`; a flag that the run has without a value is None."""
    values = {}
    for line in text.splitlines():
        line = line.strip()
        if line.startswith(_UNSET):
            values.update(dict.fromkeys(line[len(_UNSET) :].split()))
        name, _, value = line.partition("=")
        if name[:2] == "--":
            values[name[2:]] = value
    if _UNSET not in text:
        values = {**dict.fromkeys(_UNSET_AT_FIRST), **values}
    return values


def command_of(flags: Collection[str]) -> str | None:
    """The command that wrote a `flags.txt`, or None.

    Args:
        flags: names of the flags in the file.
    """
    commands = (c for flag, c in _COMMANDS.items() if flag in flags)
    return next(commands, None)


def values_then(text: str, names: Collection[str]) -> dict[str, str]:
    """Implicit values of flags in a run that began before they were added.

    Args:
        text: text of the run's `flags.txt`.
        names: names of the command's flags.

    Returns:
        Dict from flags to text, for those flags whose default is different.
    """
    recorded = parse_flags(text)
    return {n: FLAGS[n] for n in FLAGS if n in names and n not in recorded}


def with_later_flags(
    recorded: Mapping[str, str | None], defaults: Mapping[str, str | None]
) -> dict[str, str | None]:
    """Completes the flags of a run with those that were added since.

    Args:
        recorded: flags of the run, from `parse_flags`.
        defaults: dict from flags of this release to their defaults, as text or
            None.

    Returns:
        Dict from all these flags to text or None: the recorded value, else the
        implicit value of earlier releases, else the default.
    """
    then = {name: FLAGS[name] for name in FLAGS if name in defaults}
    return {**defaults, **then, **recorded}


def flag_differences(
    old_text: str,
    new_text: str,
    defaults: Mapping[str, str | None] | None = None,
    free: Collection[str] = (),
) -> dict[str, tuple[str | None, str | None]]:
    """Compares the flags of two runs.

    Args:
        old_text: text of the existing run's `flags.txt`.
        new_text: text of the run that is starting.
        defaults: dict from flags to their defaults in this release, as text or
            None.
        free: flags that may differ.

    Returns:
        Dict from flags that differ to pairs of the existing and the new value,
        each a text, or None without a value. Flags that this release has
        dropped are left out.
    """
    old, new = parse_flags(old_text), parse_flags(new_text)
    complete_old = with_later_flags(old, {**new, **(defaults or {})})
    return {
        f"--{name}": (complete_old[name], value)
        for name, value in sorted(new.items())
        if name not in free
        and complete_old[name] != value
        and (name in old or value != SAME_AS_ABSENT.get(name))
    }


def dropped_flags(old_text: str, new_text: str) -> list[str]:
    """Flags of an existing run, with values, that this release has dropped."""
    new = parse_flags(new_text)
    return [
        f"--{name}={value}"
        for name, value in parse_flags(old_text).items()
        if value is not None and name not in new
    ]


def complete(config: Any) -> Any:
    """Updates a serialised Keras object of an earlier release.

    Args:
        config: result of `keras.saving.serialize_keras_object` in this or an
            earlier release.

    Returns:
        A copy with missing arguments from `ARGUMENTS`, and without those in
        `DROPPED`.
    """
    if isinstance(config, (list, tuple)):
        return [complete(inner) for inner in config]
    if not isinstance(config, dict):
        return config
    config = {name: complete(inner) for name, inner in config.items()}
    name, inner = config.get("class_name"), config.get("config")
    if isinstance(inner, dict):
        inner = {**ARGUMENTS.get(name, {}), **inner}
        for argument in DROPPED.get(name, ()):
            inner.pop(argument, None)
        config["config"] = inner
    return config


def config_differences(
    old: Mapping[str, str],
    new: Mapping[str, str],
    required: Collection[str] = (),
) -> dict[str, tuple[str | None, str | None]]:
    """Compares two flat configurations.

    An argument that only one of them has, because another release wrote it,
    makes no difference unless `ARGUMENTS` has its earlier value.

    Args:
        old: dict from `part.argument...` to text, of the existing run.
        new: the same of the run that is starting.
        required: parts that make a difference if only one run has them.

    Returns:
        Dict from names that differ to pairs of the existing and the new text;
        None if it is not set.
    """
    differences = {}
    for name in sorted({*old, *new}):
        before, now = old.get(name), new.get(name)
        if before == now:
            continue
        if None not in (before, now):
            differences[name] = before, now
        elif before is None:
            implicit = _implicit_value(old, name)
            if implicit is not None and implicit != now:
                differences[name] = implicit, now
            elif implicit is None and not _is_new(old, name, required):
                differences[name] = None, now
        elif not _is_new(new, name, required):
            differences[name] = before, None
    return differences


def _is_new(flat, name, required):
    """Whether a configuration lacks a setting because it is older."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        prefix = ".".join(parts[:end])
        if prefix in flat:
            return False  # one has a value, the other has nested settings
        if not any(key.startswith(f"{prefix}.") for key in flat):
            # The first part of the name that the configuration lacks.
            part = parts[end - 1]
            shorter_list = part.isdigit() or (
                part in _LISTS_AT_FIRST and end < len(parts)
            )
            return not shorter_list and prefix not in required
    return False


def _implicit_value(flat, name):
    """Value in `ARGUMENTS` of a setting that a configuration lacks."""
    path, _, argument = name.rpartition(".")
    if path.endswith(".config"):
        class_name = flat.get(f"{path[: -len('.config')]}.class_name")
    else:
        class_name = flat.get(f"{path}.class")
    arguments = ARGUMENTS.get(class_name, {})
    return str(arguments[argument]) if argument in arguments else None
