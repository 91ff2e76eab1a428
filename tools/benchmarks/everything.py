"""All suites, one after the other, each in a process of its own.

So none inherits the memory of another, and one that fails, or is ended for
want of memory, leaves the others alone.
"""

import json
import pathlib
import subprocess
import sys
import tempfile


def start(name, output):
    """Runs one suite with its default flags; returns its exit code."""
    command = [sys.executable, "-m", "benchmarks", f"--suite={name}"]
    return subprocess.call([*command, f"--output={output}"])


def run(suites, start=start):
    """Runs suites; says which of them failed.

    Args:
        suites: their names.
        start: function of a name and a `Path` that runs one suite, which
            writes its results there, and returns its exit code.

    Returns:
        Dict of `suites`, name -> what the suite wrote; and `failed`, name ->
        exit code, negative where a signal ended it.
    """
    written, failed = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in suites:
            print(f"\n# {name}\n", flush=True)
            output = pathlib.Path(folder) / f"{name}.json"
            code = start(name, output)
            if code:
                failed[name] = code
                print(f"\n**The suite {name} failed, exit code {code}.**")
            else:
                written[name] = json.loads(output.read_text())
    if failed:
        print(f"\nFailed: {', '.join(failed)}.")
    return {"suites": written, "failed": failed}
