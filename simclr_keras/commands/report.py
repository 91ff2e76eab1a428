"""Writes a web page about a run: simclr-report RUN_DIRECTORY."""

from absl import flags

from simclr_keras.commands import cli


def define_flags(values):
    """Defines the flags of `simclr-report`."""
    flags.DEFINE_string(
        "model_dir",
        None,
        "Run directory of the pre-training. Runs beside it that began with it"
        " are part of the page.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "output",
        None,
        "HTML file to write; its charts are written beside it too, as PNG, SVG"
        " and PDF in <its name>_figures. Default: report.html in the run"
        " directory.",
        flag_values=values,
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
    cli.start(define_flags, run, __doc__, positional="model_dir")


if __name__ == "__main__":
    main()
