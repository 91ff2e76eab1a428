"""Pieces of a web page that needs no network: tables, line charts, pictures."""

import base64
import html
import itertools

_COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem;
  max-width: 60rem; color: #222; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #ddd; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
img, svg { max-width: 100%; height: auto; }
img { image-rendering: pixelated; }
.charts { display: flex; flex-wrap: wrap; gap: 1rem; }
.charts figure { margin: 0; flex: 1 1 20rem; max-width: 30rem; }
figcaption { font-size: .9rem; }
details { margin-top: .5rem; }
"""


def page(title, parts):
    """A whole document.

    Args:
        title: text.
        parts: strings of HTML, in their order.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'\n<link rel="icon" href="data:,">\n<title>{text(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{text(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def text(value):
    """A value as text that cannot be taken for HTML."""
    return html.escape(str(value))


def section(title, *parts):
    """A heading and what stands below it."""
    return "\n".join([f"<h2>{text(title)}</h2>", *parts])


def table(rows, header=None):
    """Rows of cells; numbers stand to the right.

    Args:
        rows: lists of values, of which floats are shown as they are.
        header: names of the columns, or None.
    """
    lines = ['<div class="wide"><table>']
    if header:
        names = "".join(f"<th>{text(name)}</th>" for name in header)
        lines.append(f"<tr>{names}</tr>")
    for row in rows:
        lines.append(f"<tr>{''.join(map(_cell, row))}</tr>")
    return "\n".join([*lines, "</table></div>"])


def _cell(value):
    if value is None:
        return "<td></td>"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    kind = ' class="number"' if number else ""
    return f"<td{kind}>{text(value)}</td>"


def picture(png, caption):
    """An image that stands in the page itself.

    Args:
        png: bytes of a PNG file.
        caption: text below it, and for those who do not see it.
    """
    data = base64.b64encode(png).decode()
    return (
        f'<figure style="margin:0"><img alt="{text(caption)}"'
        f' src="data:image/png;base64,{data}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def charts(figures):
    """Charts side by side, as many as there is room for."""
    return f'<div class="charts">{"".join(figures)}</div>'


def chart(title, series, x_name, width=480, height=260):
    """Lines over one axis, as SVG.

    Args:
        title: text above it.
        series: dict of name -> list of `(x, y)`, at least one point in all.
        x_name: text at the axis.
        width: of the drawing, which shrinks with the page.
        height: likewise.
    """
    points = [point for line in series.values() for point in line]
    left, top, right, bottom = 56, 8, 26, 40
    (x_low, x_high), (y_low, y_high) = (
        _range([point[i] for point in points]) for i in range(2)
    )

    def place(x, y):
        across = (x - x_low) / (x_high - x_low)
        up = (y - y_low) / (y_high - y_low)
        return (
            left + across * (width - left - right),
            height - bottom - up * (height - top - bottom),
        )

    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{text(title)}" font-size="12">'
    ]
    for i in range(5):
        x = x_low + (x_high - x_low) * i / 4
        y = y_low + (y_high - y_low) * i / 4
        across, up = place(x, y)
        parts.append(
            f'<line x1="{left}" x2="{width - right}" y1="{up:.1f}"'
            f' y2="{up:.1f}" stroke="#ddd"/>'
            f'<text x="{left - 6}" y="{up + 4:.1f}" text-anchor="end">'
            f"{y:.3g}</text>"
            f'<text x="{across:.1f}" y="{height - bottom + 16}"'
            f' text-anchor="middle">{x:.4g}</text>'
        )
    parts.append(
        f'<text x="{(left + width) / 2:.0f}" y="{height - 6}"'
        f' text-anchor="middle">{text(x_name)}</text>'
    )
    for line, color in zip(series.values(), itertools.cycle(_COLORS)):
        path = " ".join(
            f"{x:.1f},{y:.1f}" for x, y in (place(*p) for p in line)
        )
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}"'
            ' stroke-width="2"/>'
        )
    parts.append("</svg>")
    names = ""
    if len(series) > 1:
        names = ": " + ", ".join(
            f'<span style="color:{color}">{text(name)}</span>'
            for name, color in zip(series, itertools.cycle(_COLORS))
        )
    return (
        f"<figure><figcaption><b>{text(title)}</b>{names}</figcaption>"
        f"{''.join(parts)}</figure>"
    )


def _range(values):
    low, high = min(values), max(values)
    if low == high:
        return low - 0.5, high + 0.5
    return low, high
