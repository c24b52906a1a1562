"""The small chart of a contrast: its mean and interval against 0, the bound and the prediction.

All charts have one axis, in units of the contrast's bound: linear up to the bound and logarithmic
beyond, so that effects of any size have room.
"""

from __future__ import annotations

import math

from markupsafe import Markup

from bench.analysis.claims.decisions import Decision
from bench.config.claim import ClaimContrast, Prediction
from bench.report.claims.svg import arrow_head, dot, drawing, line, rectangle, text
from bench.report.content.display import parameter, signed

# In pixels, from the top: the mean's line, and that of the prediction.
WIDTH, HEIGHT, MIDDLE, PREDICTED = 220, 26, 10, 21
# Between the axis' ends and those of the chart there is room for arrows.
EDGE, ARROW = 7, 4
# Where the axis ends, in bounds. What lies further is an arrow.
LIMIT = 100.0
TICKS = (-100, -10, -1, 0, 1, 10, 100)
KEY_WIDTH, KEY_HEIGHT = 44, 20


def forest(contrast: ClaimContrast, decision: Decision) -> Markup:
    """Return the chart of a contrast."""
    mean = decision.evidence.mean
    label = f"{signed(mean)}; bound {parameter(contrast.bound)}; predicted: {contrast.predicted}"
    shapes = [
        rectangle("band", _x(-1), 0, _x(1) - _x(-1), HEIGHT),
        line("zero", _x(0), 0, _x(0), HEIGHT),
        _prediction(contrast.predicted),
        _mean(*(value / contrast.bound for value in mean[:3])),
    ]
    return drawing(f"forest {decision.outcome.replace(' ', '-')}", WIDTH, HEIGHT, label, shapes)


def axis() -> Markup:
    """Return the axis of all charts."""
    shapes = [text("middle", _x(tick), 11, parameter(tick)) for tick in TICKS]
    shapes += [line("zero", _x(tick), 14, _x(tick), 18) for tick in TICKS]
    return drawing("forest", WIDTH, 18, "axis from -100 to 100 bounds", shapes)


def key() -> dict[str, Markup]:
    """Return the charts' marks by what they mean."""
    y, end = KEY_HEIGHT / 2, KEY_WIDTH - 4
    marks = {
        "mean with 95% interval": [line("range", 4, y, end, y), dot(KEY_WIDTH / 2, y)],
        "smaller than the bound: too small to matter": [
            rectangle("band", 8, 0, KEY_WIDTH - 16, KEY_HEIGHT)
        ],
        "where the paper predicts it": [
            line("rail", 4, y, end - ARROW, y),
            arrow_head("rail-end", end, y, ARROW),
        ],
    }
    return {
        text: drawing("forest key", KEY_WIDTH, KEY_HEIGHT, "", shapes)
        for text, shapes in marks.items()
    }


def _x(value: float) -> float:
    """Return where a value in bounds lies, in pixels."""
    return WIDTH / 2 + (WIDTH / 2 - EDGE) * _scaled(value) / _scaled(LIMIT)


def _scaled(value: float) -> float:
    """Return the value itself up to 1, and from there on 1 more for each power of ten."""
    size = min(abs(value), LIMIT)
    return math.copysign(size if size <= 1 else 1 + math.log10(size), value)


def _prediction(predicted: Prediction) -> Markup:
    """Return a line below the values that the paper predicts, with an arrow where it goes on."""
    low, high = {
        "higher": (0.0, math.inf),
        "lower": (-math.inf, 0.0),
        "equal": (-1.0, 1.0),
        "not lower": (-1.0, math.inf),
        "not higher": (-math.inf, 1.0),
    }[predicted]
    arrows = [_arrow("rail-end", end, PREDICTED) for end in (low, high) if math.isinf(end)]
    return Markup("").join([line("rail", _x(low), PREDICTED, _x(high), PREDICTED), *arrows])


def _mean(mean: float, low: float, high: float) -> Markup:
    """Return a dot with its interval; what lies beyond the axis is an arrow at its end."""
    if not math.isfinite(mean):
        return Markup("")
    if not (math.isfinite(low) and math.isfinite(high)):
        low = high = mean
    shapes = [line("range", _x(low), MIDDLE, _x(high), MIDDLE)]
    beyond = {math.copysign(1, end) for end in (low, high) if abs(end) > LIMIT}
    shapes += [_arrow("beyond", side, MIDDLE) for side in sorted(beyond)]
    if abs(mean) <= LIMIT:
        shapes.append(dot(_x(mean), MIDDLE))
    return Markup("").join(shapes)


def _arrow(kind: str, side: float, y: float) -> Markup:
    """Return the head of an arrow at the axis' left or right end."""
    sign = math.copysign(1, side)
    return arrow_head(kind, _x(sign * LIMIT) + sign * EDGE, y, sign * ARROW)
