"""Flags that several suites have."""

import argparse


def count(text):
    """A whole number of at least 1, as the type of a flag."""
    if text.isdigit() and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(
        f"must be a whole number of at least 1. Received: {text}"
    )


def define_counts(parser, **flags):
    """Adds flags that take a count.

    Args:
        parser: of the suite's flags.
        **flags: name -> pair of the default and what it is for; of a default
            that is not None, the help ends with it.
    """
    for name, (default, words) in flags.items():
        if default is not None:
            words = f"{words}; default: {default}"
        parser.add_argument(
            f"--{name}", type=count, metavar="N", default=default, help=words
        )


def several(parser, name, choices, words):
    """Adds a flag that may be repeated, each time with one of the choices."""
    parser.add_argument(
        f"--{name}",
        action="append",
        choices=tuple(choices),
        help=f"may be repeated; {words}",
    )
