"""Interactive charts: their specifications, data, and where axes end."""

from __future__ import annotations

import math

import altair as alt
import pandas as pd
import pytest

from bench.report.charts.plots import records, specifications, usual_limit, zoom
from bench.report.charts.usage import logarithmic_from
from bench.report.content.section import Switch


def test_every_combination_has_its_specification() -> None:
    def make(x: str, y: str) -> alt.LayerChart:
        points = alt.Chart(alt.NamedData("rows")).mark_point().add_params(zoom())
        return alt.layer(points).encode(x=f"{x}:Q", y=f"{y}:Q")

    switches = (Switch("x", ("kl", "time")), Switch("y", ("reward", "proxy")))
    specs = specifications(make, switches)
    assert list(specs) == ["kl|reward", "kl|proxy", "time|reward", "time|proxy"]
    spec = specs["time|proxy"]
    assert spec["encoding"]["x"]["field"] == "time" and spec["encoding"]["y"]["field"] == "proxy"
    assert spec["data"] == {"name": "rows"} and "config" not in spec


def test_rows_hold_what_json_can() -> None:
    frame = pd.DataFrame({"kl": [1 / 3, math.nan], "seed": [0, 1], "final": [True, False]})
    assert records(frame) == [
        {"kl": 0.333333, "seed": 0, "final": True},
        {"kl": None, "seed": 1, "final": False},
    ]


def test_one_far_point_does_not_set_the_scale() -> None:
    usual = pd.Series([1.0] * 30)
    assert usual_limit(pd.Series([*usual, 46.0]), usual) == pytest.approx(2.1)
    assert usual_limit(usual, usual) == pytest.approx(1.05)
    selected_far = pd.Series([20.0])
    assert usual_limit(pd.Series([*usual, 46.0]), selected_far) == pytest.approx(21.0)
    assert usual_limit(pd.Series(dtype=float), usual) == 1.0


@pytest.mark.parametrize(
    ("values", "smallest"),
    [
        ([10.0, 20.0], 0.0),
        ([0.02, 8.0, 9.0], 0.0),
        ([1.0, 40.0, 90.0], 1.0),
        ([0.0], 0.0),
        ([], 0.0),
    ],
)
def test_usage_next_to_nothing_does_not_stretch_an_axis(
    values: list[float], smallest: float
) -> None:
    assert logarithmic_from(values) == smallest
