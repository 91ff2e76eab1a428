"""From the command line to a suite, and from its results to the reader."""

import argparse
import dataclasses
import importlib
import json
import pathlib
import sys
import time

from benchmarks import SUITES
from benchmarks import Failure
from benchmarks import everything
from benchmarks import machine

_ALL = "all"


def main(arguments):
    """Runs one suite or all; returns the exit code."""
    suite, options = _parse(arguments)
    if suite is None:
        results = everything.run(SUITES)
        _write(options.output, {"suite": _ALL, **results})
        return 1 if results["failed"] else 0
    started = time.perf_counter()
    results = {"suite": options.suite, "machine": machine.describe()}
    print(machine.report(results["machine"]), flush=True)
    try:
        results["results"] = suite.run(options)
    except Failure as failure:
        sys.exit(f"benchmark: {failure}")
    results["seconds"] = time.perf_counter() - started
    print(f"\n{suite.report(results['results'])}")
    print(f"\n{results['seconds'] / 60:.1f} minutes.")
    _write(options.output, results)
    return 0


def _write(path, results):
    if path:
        text = json.dumps(results, indent=2, default=dataclasses.asdict)
        path.write_text(text + "\n")


def _parse(arguments):
    """The module of the suite, None for all; the flags, its own among them."""
    parser = argparse.ArgumentParser(
        prog="benchmark", allow_abbrev=False, add_help=False
    )
    names = (*SUITES, _ALL)
    parser.add_argument("--suite", help=f"one of: {', '.join(names)}")
    parser.add_argument(
        "--output", type=_new_file, help="JSON file to write the results to"
    )
    known, _ = parser.parse_known_args(arguments)
    parser.add_argument("--help", action="help", help="show this and end")
    if known.suite == _ALL:
        return None, parser.parse_args(arguments)
    if known.suite not in SUITES:
        if "--help" in arguments:
            parser.parse_args(["--help"])
        parser.error(
            f"--suite must be one of: {', '.join(names)}. Received:"
            f" {known.suite}"
        )
    suite = importlib.import_module(f"benchmarks.{known.suite}")
    suite.define_flags(parser)
    return suite, parser.parse_args(arguments)


def _new_file(text):
    # Found out now, not after minutes of measuring.
    path = pathlib.Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"must be a file in a folder that exists. Received: {text}"
        )
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
