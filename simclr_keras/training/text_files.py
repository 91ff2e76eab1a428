"""Reads and writes the small files of a run, texts and JSON, as a whole."""

from __future__ import annotations

import json
from typing import Any

from simclr_keras import disk
from simclr_keras import paths


def write_whole(path: paths.AnyPath, text: str) -> None:
    """Writes a temporary file and renames it, so a file is never incomplete."""
    partial = path.with_name(path.name + ".partial")
    with disk.naming(path):
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)


def read_text(path: paths.AnyPath) -> str:
    """Reads a text file of a run.

    Raises:
        ValueError: the file, which the message names, is not UTF-8 text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is damaged: it must be text in UTF-8. Received: {error}."
            " Restore it, or remove it if you can do without."
        ) from error


def read_json(path: paths.AnyPath) -> dict[str, Any]:
    """Reads the dict in a JSON file of a run.

    Raises:
        ValueError: the file, which the message names, holds something else.
    """
    try:
        value = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is damaged: it must be JSON. Received: {error}. Remove it"
            " and run the same command again to have it written anew."
        ) from error
    if not isinstance(value, dict):
        raise ValueError(
            f"{path} is damaged: it must be a JSON object. Received:"
            f" {str(value)[:80]}. Remove it and run the same command again to"
            " have it written anew."
        )
    return value


def unused_path(path: paths.AnyPath) -> paths.AnyPath:
    """The path, or one with a number if there is such a file."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found
