"""Numbers as people read them. A number that is missing is a dash, never 0."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import PurePath
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from bench.analysis.statistics import Interval
from bench.results.columns import Metric

MISSING = "—"
# Any smaller p is shown as smaller than this.
LEAST_P = 0.001


class Link(NamedTuple):
    """Text that leads to a page.

    Attributes:
        text: What is shown.
        url: An http or https address as it was found, or one that `file_link` made.
    """

    text: str
    url: str


# Characters that act instead of being shown: control codes, and those that reorder or hide text.
ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)


def visible(text: str) -> str:
    """Return a text with every character that would act on the page replaced by its code."""
    return ACTING.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def linked(text: str, url: str) -> Link | str:
    """Return the text as a link where the address is one of the web, else the text alone."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return text
    plain = not re.search(r"[\s\x00-\x1f\x7f]", url)
    return Link(text, url) if parts.scheme in ("http", "https") and parts.netloc and plain else text


def file_link(text: str, path: PurePath) -> Link:
    """Return the text as a link to a file, by its path from the page: never another address."""
    # A path need not be text; behind "./" its first part cannot read as a host or a scheme.
    return Link(text, "./" + quote(os.fsencode(path.as_posix())))


class Number(str):
    """A number as text that keeps its value, by which tables sort and which report.json holds.

    Attributes:
        value: The number; nan where it is missing.
        low: Lower end of its 95% interval; nan where there is none.
        high: Its upper end.
    """

    value: float
    low: float
    high: float

    def __new__(
        cls, text: str, value: float, low: float = math.nan, high: float = math.nan
    ) -> Number:
        """Return the text with the number that it shows."""
        shown = super().__new__(cls, text)
        shown.value, shown.low, shown.high = float(value), float(low), float(high)
        return shown


def number(value: float, decimals: int = 2) -> Number:
    """Return the value with this many decimals, or with one more where that would show 0.

    What is smaller still is shown as 0, without a sign.
    """
    if not math.isfinite(value):
        return Number(MISSING, math.nan)
    for places in (decimals, decimals + 1):
        if round(value, places):
            return Number(f"{value:,.{places}f}", value)
    return Number(f"{0:.{decimals}f}", value)


def count(value: float) -> Number:
    """Return a whole number with thousands separated."""
    return Number(f"{round(value):,}" if math.isfinite(value) else MISSING, value)


def percent(value: float, decimals: int = 0) -> Number:
    """Return a share in [0, 1] as a percentage."""
    if not math.isfinite(value):
        return Number(MISSING, value)
    # Adding 0 takes the sign from a zero.
    return Number(f"{round(100 * value, decimals) + 0.0:.{decimals}f}%", value)


def parameter(value: float) -> Number:
    """Return a hyper-parameter's value, as short as it is."""
    return Number(f"{value:g}" if math.isfinite(value) else MISSING, value)


def p_value(p: float) -> Number:
    """Return a p with three decimals, the smallest ones as a bound."""
    return Number("<0.001", p) if p < LEAST_P else number(p, 3)


def tokens(value: float) -> Number:
    """Return a mean length with one decimal."""
    return number(value, 1)


def seconds(value: float) -> Number:
    """Return a duration in seconds, one decimal below ten."""
    return number(value, 1 if 0 < abs(value) < 10 else 0)


FORMATS = {
    "number": number,
    "tokens": tokens,
    "percent": percent,
    "count": count,
    "seconds": seconds,
}


def metric_value(metric: Metric, value: float) -> Number:
    """Return a metric's value in the format that the metric declares."""
    return FORMATS[metric.format](value)


def metric_label(metric: Metric, source: str = "gold") -> str:
    """Return a metric's heading, its unit in brackets where the label does not end with it.

    Args:
        metric: The metric.
        source: What gives the reward: gold or judge.
    """
    label = metric.label.format(source=source)
    return f"{label} ({metric.unit})" if metric.unit and not label.endswith(metric.unit) else label


def metric_help(metric: Metric, source: str = "gold") -> str:
    """Return what a metric means, with what gives the reward: gold or judge."""
    return metric.help.replace("{source}", source)


def plus_minus(interval: Interval) -> Number:
    """Return the mean and half the width of its interval."""
    if not math.isfinite(interval.half_width):
        return number(interval.mean)
    text = f"{number(interval.mean)} ± {number(interval.half_width)}"
    return Number(text, interval.mean, interval.low, interval.high)


def bracketed(interval: Interval) -> Number:
    """Return a value with its interval in brackets."""
    text = number(interval.mean) + brackets(interval)
    return Number(text, interval.mean, interval.low, interval.high)


def signed(interval: Interval) -> Number:
    """Return a difference with its interval in brackets."""
    if not math.isfinite(interval.mean):
        return Number(MISSING, math.nan)
    mean = number(interval.mean)
    text = ("+" if interval.mean > 0 and mean.strip("0.") else "") + mean
    return Number(text + brackets(interval), interval.mean, interval.low, interval.high)


def brackets(interval: Interval) -> str:
    """Return " [low, high]"; nothing where there is no interval."""
    if not math.isfinite(interval.half_width):
        return ""
    return f" [{number(interval.low)}, {number(interval.high)}]"


def setting(params: str) -> str:
    """Return a run's params, which are JSON, as "name value, name value"."""
    try:
        values = json.loads(params)
    except ValueError:
        return params
    if not isinstance(values, dict):
        return params
    return ", ".join(f"{name} {value}" for name, value in values.items()) or MISSING


def plain_value(value: object) -> str:
    """Return a value of a setting as text: "yes" for true, "a / b" for a list, "none" for none."""
    if isinstance(value, list):
        return " / ".join(map(plain_value, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def listed(names: list[str]) -> str:
    """Return names as "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
