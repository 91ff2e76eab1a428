"""Reads the command line of `tools/benchmark` and runs the suite it names."""

import argparse
import dataclasses
import importlib
import json
import pathlib
import sys

from benchmarks import measure

SUITES = ("step", "views", "input", "loss", "memory")


def main(arguments):
    """Prints a table for each comparison of a suite, as it is measured."""
    suite, options = _parse(arguments)
    machine = measure.machine()
    print("\n".join(f"- {name}: {text}" for name, text in machine.items()))
    comparisons = []
    for comparison in suite.run(options):
        print(f"\n{comparison.markdown()}", flush=True)
        comparisons.append(dataclasses.asdict(comparison))
    if options.output:
        results = {"machine": machine, "comparisons": comparisons}
        options.output.write_text(json.dumps(results, indent=2) + "\n")


def _parse(arguments):
    """Returns the module of the suite, and the options."""
    parser = argparse.ArgumentParser(
        prog="benchmark", allow_abbrev=False, add_help=False
    )
    parser.add_argument("--suite", choices=SUITES, help="what to measure")
    known, _ = parser.parse_known_args(arguments)
    if not known.suite and "--help" in arguments:
        parser.print_help()
        parser.exit(0, "Further options depend on the suite.\n")
    if not known.suite:
        parser.error(f"--suite must be one of: {', '.join(SUITES)}")
    suite = importlib.import_module(f"benchmarks.{known.suite}")
    parser.add_argument("--help", action="help", help="show this and end")
    parser.add_argument(
        "--batch",
        type=_count,
        metavar="N",
        action="append",
        help="images; may be repeated; the default depends on the suite",
    )
    parser.add_argument(
        "--steps",
        type=_count,
        metavar="N",
        help="steps or batches timed in a row",
    )
    parser.add_argument(
        "--repeats",
        type=_count,
        metavar="N",
        default=5,
        help="how often all is measured in turn; default: 5",
    )
    parser.add_argument(
        "--output",
        type=_new_file,
        metavar="FILE",
        help="JSON file to write every single measurement to",
    )
    suite.define_flags(parser)
    return suite, parser.parse_args(arguments)


def _count(text):
    if text.isdigit() and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"must be 1 or more. Received: {text}")


def _new_file(text):
    # A wrong path is refused now, not after minutes of measuring.
    path = pathlib.Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"must be a file in a folder that exists. Received: {text}"
        )
    return path


if __name__ == "__main__":
    main(sys.argv[1:])
