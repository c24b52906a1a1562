"""Interactive charts: what the plots of several sections share.

A plot is a Vega-Lite specification made with Altair. The page gives every encoding by `method` its
color and mark, and draws the plot of the current task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.report.content.section import Switch

if TYPE_CHECKING:
    import altair as alt

# An axis reaches this many times the value that nine in ten points stay below.
ROOM = 2.0


def specifications(
    make: Callable[..., alt.LayerChart], switches: Sequence[Switch] = ()
) -> dict[str, dict[str, Any]]:
    """Return the specification for each combination of what readers can choose.

    Args:
        make: Takes an option of each switch, in their order.
        switches: The choices.
    """
    choices = product(*(switch.options for switch in switches))
    return {"|".join(chosen): specification(make(*chosen)) for chosen in choices}


def specification(chart: alt.Chart | alt.LayerChart) -> dict[str, Any]:
    """Return a chart as the page draws it: its size, colors and fonts are the page's.

    The page can zoom where x and y are encodings of the whole chart.
    """
    content: dict[str, Any] = chart.to_dict()
    return {name: part for name, part in content.items() if name not in ("$schema", "config")}


def zoom() -> alt.Parameter:
    """Return the selection by which the page zooms, to be added to one layer."""
    import altair as alt

    return alt.selection_interval(name="brush", mark=alt.BrushConfig(fillOpacity=0.12))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows for a plot: six digits of each number, None where one is missing."""
    rows = frame.to_dict("records")
    return [{str(name): _short(value) for name, value in row.items()} for row in rows]


def _short(value: Any) -> Any:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value


def usual_limit(values: pd.Series, always: pd.Series) -> float:
    """Return where an axis ends that starts at 0, so that a few far points do not squeeze the rest.

    Args:
        values: Of all points.
        always: Of those that must be within.
    """
    known = values.dropna()
    if known.empty:
        return 1.0
    usual = ROOM * float(known.quantile(0.9))
    within = float(always.max()) if always.notna().any() else 0.0
    return 1.05 * min(float(known.max()), max(usual, within)) or 1.0
