"""Subpackages import each other in one direction, so each can be read alone."""

import ast
import graphlib
import pathlib

import simclr_keras

PACKAGE = pathlib.Path(simclr_keras.__file__).parent
NAME = PACKAGE.name


def modules():
    """Dict from the names of all modules of the package to their paths."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        found[".".join((NAME, *parts))] = path
    return found


def folder_of(path):
    """The folder of a module, or its own name at the top of the package."""
    path = path.relative_to(PACKAGE)
    return path.stem if path.parent.name == "" else path.parent.as_posix()


def imported_by(path, known):
    """Names of the modules that a module imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                full = f"{node.module}.{each.name}"
                yield full if full in known else node.module


def test_no_two_folders_import_each_other():
    """Nor do three in a circle: they can be sorted."""
    known = modules()
    graph = {}
    for path in known.values():
        folder = folder_of(path)
        if folder == "__init__":  # the public names
            continue
        there = {
            folder_of(known[name])
            for name in imported_by(path, known)
            if name.startswith(f"{NAME}.")
        }
        graph.setdefault(folder, set()).update(there - {folder})
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert order.index("data/sources") < order.index("data")
    assert order.index("images/formats") < order.index("images")
    assert not any("commands" in there for there in graph.values())
