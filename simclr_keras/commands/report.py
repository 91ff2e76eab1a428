"""Writes a web page about a run, or one that compares several."""

from simclr_keras.commands.common import cli
from simclr_keras.commands.common import command_line
from simclr_keras.commands.common import flag_kinds
from simclr_keras.commands.common import shared_flags

FIRST = ("model_dir", "output")
EXAMPLE = (
    "simclr-report runs/photos\n"
    "  simclr-report runs/temperature_0.1 runs/temperature_0.5"
)
_COMPARISON = "comparison.html"


def define_flags(values):
    """Defines the flags of `simclr-report`."""
    run = flag_kinds.Group(values, "run")
    run.paths(
        "model_dir",
        "Run directory; give it once for each run, or the names alone. Of one,"
        " of a pre-training, the page is that of the run, with the runs beside"
        " it that began with it. Of several, of any commands, ended or not, it"
        " compares them.",
    )
    run.path(
        "output",
        None,
        "HTML file to write, or to write anew; its charts are written beside"
        " it too, as PNG, SVG and PDF in <its name>_figures. Default:"
        " report.html in the run directory; of several runs, comparison.html"
        " in the current directory, which is refused if it is there already.",
    )
    shared_flags.define_log(values)


def run(flags):
    """Writes the page; returns its path."""
    directories = flags.model_dir
    if not directories:
        raise ValueError(
            "--model_dir must name a run directory. Received: nothing"
        )
    if len(directories) > 1:
        path = compare(directories, flags.output or _new_comparison())
    else:
        from simclr_keras.report import page

        path = page.write(directories[0], flags.output)
    print(f"Report: {path}")
    return path


def compare(directories, output, names=None):
    """Writes the page that compares runs, see `report.comparison.write`.

    For runs older than a flag, it has its default, or the value that fits how
    earlier releases behaved. Flags that do not change what a run computes are
    left out.
    """
    from simclr_keras.commands import embed
    from simclr_keras.commands import finetune
    from simclr_keras.commands import linear_eval
    from simclr_keras.commands import pretrain
    from simclr_keras.report import comparison

    commands = {
        "simclr-pretrain": pretrain,
        "simclr-linear-eval": linear_eval,
        "simclr-finetune": finetune,
        "simclr-embed": embed,
    }
    known = {
        name: command_line.parse(command.define_flags, ())
        for name, command in commands.items()
    }
    return comparison.write(
        directories,
        output,
        names,
        defaults={name: each.flag_defaults for name, each in known.items()},
        ignored={flag for each in known.values() for flag in each.may_change},
    )


def _new_comparison():
    """Path of the page if `--output` is not given; refuses to replace one."""
    path = flag_kinds.as_path(_COMPARISON, "--output")
    figures = path.with_name(f"{path.stem}_figures")
    there = [str(each) for each in (path, figures) if each.exists()]
    if there:
        raise ValueError(
            f"--output must name a page where {_COMPARISON} would replace"
            " another one. Received: nothing, while there is"
            f" {' and '.join(there)}. Give --output={_COMPARISON} to replace"
            " it, or another name"
        )
    return path


def main():
    """Entry point of `simclr-report`."""
    cli.start(
        define_flags,
        run,
        __doc__,
        positional="model_dir",
        first=FIRST,
        example=EXAMPLE,
    )


if __name__ == "__main__":
    main()
