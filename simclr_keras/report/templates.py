"""Renders the pages' templates with Jinja2."""

from __future__ import annotations

import functools
from typing import Any

import jinja2


def render(name: str, **values: Any) -> str:
    """Returns the HTML of a page.

    Args:
        name: name of its template, a file in this folder such as `"page.html"`.
        **values: the variables of the template.
    """
    return _environment().get_template(name).render(**values)


@functools.lru_cache(maxsize=1)
def _environment():
    return jinja2.Environment(
        autoescape=True,
        keep_trailing_newline=True,
        loader=jinja2.PackageLoader("simclr_keras", "report"),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
