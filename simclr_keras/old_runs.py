"""Reads what runs of earlier releases left, whose settings were others.

A run says its settings in `flags.txt` and in its checkpoints. A setting that a
later release adds is not among them; it has the value that it had then. One
that a later release drops is passed over.
"""

# The tables to add a line to where a new setting's default is another
# computation than before there was the setting. Others need no line.
# Flag -> the text of its value in runs that began before there was the flag.
# Its default must not be None.
FLAGS = {"folder_layout": "legacy", "split_order": "position"}
# Flag -> a value that computes what its absence did in runs before the flag.
SAME_AS_ABSENT = {"pixel_range": "0.0,65535.0"}
# Class -> {argument: value in configurations that do not name it}.
ARGUMENTS = {}
# Class -> names of arguments that it took once and takes no more.
DROPPED = {}

# A flag that one command alone has -> the command.
_COMMANDS = {
    "temperature": "simclr-pretrain",
    "protocol": "simclr-linear-eval",
    "fine_tune_after_block": "simclr-finetune",
    "layer": "simclr-embed",
}
# Arguments whose empty lists the first release left out of checkpoints.
_LISTS_AT_FIRST = ("append",)
# A line of `flags.txt`: names of the flags that had no value.
_UNSET = "# Not set:"
# These had none in the first release, which did not list them.
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


def flags_text(values):
    """Text of `flags.txt`, readable by `--flagfile`.

    Args:
        values: dict of flag -> text, or None for a flag without a value.
    """
    unset = sorted(name for name, text in values.items() if text is None)
    lines = [f"{_UNSET} {' '.join(unset)}".rstrip()]
    lines += [f"--{n}={values[n]}" for n in sorted(values) if n not in unset]
    return "".join(f"{line}\n" for line in lines)


def parse_flags(text):
    """Dict of flag -> text, or None where the run knew it and had no value."""
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


def command_of(flags):
    """The command that a `flags.txt` is of, or None.

    Args:
        flags: names of its flags.
    """
    commands = (c for flag, c in _COMMANDS.items() if flag in flags)
    return next(commands, None)


def values_then(text, names):
    """Values that flags had in a run that began before there were the flags.

    Args:
        text: of the run's `flags.txt`.
        names: flags of the command.

    Returns:
        Dict of flag -> text, of those flags that have another default now.
    """
    known = parse_flags(text)
    return {n: FLAGS[n] for n in FLAGS if n in names and n not in known}


def flag_differences(there, here, defaults=None, free=()):
    """Flags of two texts that differ.

    Args:
        there: text of the existing run's `flags.txt`.
        here: text of the run that is starting.
        defaults: dict of flag -> default in this release, as text or None.
        free: flags that do not count.

    Returns:
        Dict of flag -> pair of texts, there and now; None: without a value.
        A flag that this release has dropped is not in it.
    """
    there, here = parse_flags(there), parse_flags(here)
    then = {**here, **(defaults or {}), **FLAGS, **there}
    return {
        f"--{name}": (then[name], value)
        for name, value in sorted(here.items())
        if name not in free
        and then[name] != value
        and (name in there or value != SAME_AS_ABSENT.get(name))
    }


def dropped_flags(there, here):
    """Text lines of an existing run whose flags there are no more."""
    here = parse_flags(here)
    return [
        f"--{name}={value}"
        for name, value in parse_flags(there).items()
        if value is not None and name not in here
    ]


def complete(config):
    """A serialised Keras object of any age, as its classes of today take it.

    Args:
        config: what `keras.saving.serialize_keras_object` gave, of any age.

    Returns:
        The same with what `ARGUMENTS` says where a class does not name it,
        and without what is in `DROPPED`.
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


def config_differences(there, here, required=()):
    """Settings of two flat configurations that differ.

    What only one of them knows, as another release wrote it, does not count,
    unless `ARGUMENTS` says what it was.

    Args:
        there: dict of `part.argument...` -> text of the existing run.
        here: that of the one that is starting.
        required: parts that are a difference where only one has them.

    Returns:
        Dict of name -> pair of texts, there and now; None: not set.
    """
    differences = {}
    for name in sorted({*there, *here}):
        old, new = there.get(name), here.get(name)
        if old == new:
            continue
        if None not in (old, new):
            differences[name] = old, new
        elif old is None:
            then = _value_then(there, name)
            if then is not None and then != new:
                differences[name] = then, new
            elif then is None and not _is_new(there, name, required):
                differences[name] = None, new
        elif not _is_new(here, name, required):
            differences[name] = old, None
    return differences


def _is_new(flat, name, required):
    """Whether a configuration lacks a setting because it does not know it."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        prefix = ".".join(parts[:end])
        if prefix in flat:
            return False  # it has one value where the other has several
        if not any(key.startswith(f"{prefix}.") for key in flat):
            # The first part of the name that is not there.
            part = parts[end - 1]
            shorter_list = part.isdigit() or (
                part in _LISTS_AT_FIRST and end < len(parts)
            )
            return not shorter_list and prefix not in required
    return False


def _value_then(flat, name):
    """What `ARGUMENTS` says of a setting that a configuration lacks."""
    path, _, argument = name.rpartition(".")
    if path.endswith(".config"):
        class_name = flat.get(f"{path[: -len('.config')]}.class_name")
    else:
        class_name = flat.get(f"{path}.class")
    then = ARGUMENTS.get(class_name, {})
    return str(then[argument]) if argument in then else None
