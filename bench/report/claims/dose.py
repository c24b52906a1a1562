"""The small chart of a contrast whose conditions have levels: the difference at each level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from bench.analysis.statistics import Interval
from bench.report.claims.rows import Condition
from bench.report.claims.svg import dot, drawing, line, text
from bench.report.content.display import number, parameter, signed

# In pixels; labels are left of LEFT and below BOTTOM.
WIDTH, HEIGHT = 220, 96
LEFT, RIGHT, TOP, BOTTOM = 45, 212, 8, 76
# More levels than this are labeled at both ends only.
LABELED = 6


def dose(conditions: Sequence[Condition]) -> Markup:
    """Return the difference at each level of a condition, with intervals, against 0."""
    known = sorted((c for c in conditions if math.isfinite(c.interval.mean)), key=lambda c: c.level)
    if not known:
        return Markup("")
    levels = [each.level for each in known]
    ends = [end for each in known for end in _ends(each.interval)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    span, reach = (high - low) or 1.0, (levels[-1] - levels[0]) or 1.0

    def place(level: float, value: float) -> tuple[float, float]:
        return (
            LEFT + (RIGHT - LEFT) * (level - levels[0]) / reach,
            BOTTOM - (BOTTOM - TOP) * (value - low) / span,
        )

    points = [place(level, each.interval.mean) for level, each in zip(levels, known, strict=True)]
    zero = place(levels[0], 0.0)[1]
    shapes = [line("zero", LEFT - 5, zero, WIDTH, zero)]
    shapes += [line("trend", *start, *end) for start, end in pairwise(points)]
    for level, each, point in zip(levels, known, points, strict=True):
        lower, upper = _ends(each.interval)
        shapes += [line("range", *place(level, lower), *place(level, upper)), dot(*point)]
    labeled = levels if len(set(levels)) <= LABELED else [levels[0], levels[-1]]
    shapes += [
        text("middle", place(level, low)[0], HEIGHT - 4, parameter(level))
        for level in dict.fromkeys(labeled)
    ]
    shapes += [
        text("end", LEFT - 8, place(0, value)[1] + 4, number(value))
        for value in dict.fromkeys((low, high))
    ]
    label = Markup("; ").join(f"{parameter(c.level)}: {signed(c.interval)}" for c in known)
    return drawing("dose", WIDTH, HEIGHT, label, shapes)


def _ends(interval: Interval) -> tuple[float, float]:
    """Return the ends of an interval; the mean twice where there is none."""
    if math.isfinite(interval.half_width):
        return interval.low, interval.high
    return interval.mean, interval.mean
