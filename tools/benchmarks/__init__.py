"""What tools/benchmark runs: a module, or a package, for each suite.

A suite has `define_flags(parser)`; `run(options)`, which measures and returns
what the JSON file holds; and `report(results)`, the Markdown made of that.
"""

SUITES = (
    "step",
    "views",
    "input",
    "loss",
    "memory",
    "startup",
    "scaling",
)


class Failure(Exception):
    """Why there are no results, in words for the user."""
