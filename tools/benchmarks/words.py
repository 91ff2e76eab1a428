"""Text of the reports."""

import textwrap

NOISY = (
    "**Noisy: other programs used these cores. Measure again on a quiet"
    " machine.**"
)


def paragraph(text):
    """Lines of at most 80 characters, whatever the white space was."""
    return textwrap.fill(" ".join(text.split()), 80, break_on_hyphens=False)
