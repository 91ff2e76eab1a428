"""Writes a web page about a run: simclr-report RUN_DIRECTORY."""

from simclr_keras.commands import cli
from simclr_keras.commands.flag_kinds import Group

FIRST = ("model_dir", "output")
EXAMPLE = "simclr-report runs/photos"


def define_flags(values):
    """Defines the flags of `simclr-report`."""
    run = Group(values, "run")
    run.path(
        "model_dir",
        None,
        "Run directory of the pre-training. Runs beside it that began with it"
        " are part of the page.",
    )
    run.path(
        "output",
        None,
        "HTML file to write; its charts are written beside it too, as PNG, SVG"
        " and PDF in <its name>_figures. Default: report.html in the run"
        " directory.",
    )


def run(settings):
    """Writes the page; returns its path."""
    if not settings.model_dir:
        raise ValueError(
            "--model_dir must name a run directory. Received: nothing"
        )
    from simclr_keras.report import page

    path = page.write(settings.model_dir, settings.output)
    print(f"Report: {path}")
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
