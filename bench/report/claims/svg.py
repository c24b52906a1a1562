"""Shapes of SVG drawings: each has a class, by which the page's style colors it."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup


def drawing(kind: str, width: int, height: int, label: str, shapes: Iterable[Markup]) -> Markup:
    """Return a drawing.

    Args:
        kind: Its classes.
        width: In pixels.
        height: In pixels.
        label: What it shows, for readers who do not see it.
        shapes: What it consists of, the last one on top.
    """
    return Markup(
        '<svg class="{}" viewBox="0 0 {} {}" width="{}" height="{}" role="img" '
        'aria-label="{}">{}</svg>'
    ).format(kind, width, height, width, height, label, Markup("").join(shapes))


def rectangle(kind: str, x: float, y: float, width: float, height: float) -> Markup:
    """Return a rectangle with its upper left corner at (x, y)."""
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        kind, x, y, width, height
    )


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    """Return a line from (x1, y1) to (x2, y2)."""
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(
        kind, x1, y1, x2, y2
    )


def dot(x: float, y: float) -> Markup:
    """Return a dot around (x, y)."""
    return Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(x, y)


def arrow_head(kind: str, x: float, y: float, length: float) -> Markup:
    """Return the head of an arrow with its tip at (x, y), to the left where length is negative."""
    back, half = x - 1.6 * length, abs(length)
    path = f"M{x:.1f},{y:.1f}L{back:.1f},{y - half:.1f}V{y + half:.1f}Z"
    return Markup('<path class="{}" d="{}"/>').format(kind, path)


def text(anchor: str, x: float, y: float, content: str) -> Markup:
    """Return a text whose start, middle or end is at (x, y)."""
    return Markup('<text text-anchor="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(
        anchor, x, y, content
    )
