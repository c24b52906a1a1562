"""The first screen, below the answer: reward against KL, and a small table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from bench.analysis.averages import mean_curve, seed_curves
from bench.analysis.selection import ok_rows, select_settings, selected_rows
from bench.analysis.statistics import mean_interval
from bench.report.charts.frontier import (
    LINEAR,
    MEANS,
    PROXY,
    SECONDS,
    SEEDS,
    SQUARE_ROOT,
    frontier_chart,
)
from bench.report.charts.plots import records, specifications, usual_limit
from bench.report.content.display import seconds, setting
from bench.report.content.section import (
    Chart,
    Column,
    Mark,
    Part,
    Plot,
    Section,
    Switch,
    Table,
)
from bench.report.sections.frontier import frontier_figure, tasks_with_points
from bench.report.sections.main import main_table
from bench.results.loading import Results

if TYPE_CHECKING:
    import altair as alt

INTRODUCTION = (
    "Means over seeds at each setting, on test prompts; rings mark the settings selected on "
    "validation prompts. No policy can lie above the optimal frontier. Drag to zoom."
)
# Of the main table, and in its order.
COLUMNS = ("method", "reward", "kl", "efficiency")
TIME = Column("train_seconds", "training (s)", help="Median over seeds, at the selected setting.")
FRONTIER_POINTS = 80
KEY = (Mark("optimal frontier", (), None), Mark("selected setting", None, 0.0))


def overview_section(results: Results) -> Section | None:
    """Return the section; None where no run has a reward and a KL."""
    figure = frontier_figure(results, tasks_with_points(results))
    if figure is None:
        return None
    title = f"{results.reward_name.capitalize()} reward against KL"
    plots = tuple(plot for task in results.tasks if (plot := _plot(results, task)))
    alt_text = f"{title} for every method, below the optimal frontier"
    parts = (Part(task=task, tables=(overview_table(results, task),)) for task in results.tasks)
    return Section(
        "overview",
        title,
        INTRODUCTION,
        charts=(Chart("frontier", alt_text, figure, plots),),
        parts=tuple(parts),
        layout="beside",
    )


def overview_table(results: Results, task: str) -> Table:
    """Return what counts most of each method: reward, KL, share of the optimum, and time."""
    main = main_table(results, task)
    columns = [column for column in main.columns if column.name in COLUMNS]
    time = selected_rows(results.runs, task).groupby("method")["train_seconds"].median()
    by_name = {
        results.marked(method, task): time.get(method, math.nan) for method in results.methods
    }
    rows = [row | {TIME.name: seconds(by_name[str(row["method"])])} for row in main.rows]
    return Table.of([*columns, TIME], rows)


def _plot(results: Results, task: str) -> Plot | None:
    points = run_points(results, task)
    if points.empty:
        return None
    means = setting_means(points)
    source = f"{results.reward_source(task)} reward"
    limit = usual_limit(points["kl"], means.loc[means["selected"], "kl"])
    frontier = frontier_points(results, task, limit)
    switches = (
        Switch("x", (SQUARE_ROOT, LINEAR, SECONDS)),
        Switch("y", (source, PROXY)),
        Switch("points", (MEANS, SEEDS)),
    )
    beyond = int((points["kl"] > limit).sum())
    heights = axis_heights(points[points["kl"] <= limit], frontier)

    def make(x: str, y: str, shown: str) -> alt.LayerChart:
        return frontier_chart(x, y, shown, source, limit, beyond, heights)

    data = {
        "means": records(means),
        "seeds": records(points),
        "frontier": records(frontier),
    }
    title = f"{source} against KL on {results.task_title(task)}"
    return Plot(task, title, specifications(make, switches), data, switches, KEY)


def run_points(results: Results, task: str) -> pd.DataFrame:
    """Return a row for each finished run."""
    rows = ok_rows(results.runs)
    rows = rows[(rows["task"] == task) & (rows["split"] == "test")]
    rows = rows.dropna(subset=["kl", "reward"])
    selected = select_settings(results.runs, task)
    return pd.DataFrame(
        {
            "method": rows["method"],
            "setting": rows["params"].map(setting),
            "strength": rows["strength"],
            "seed": rows["seed"].astype(int),
            "selected": rows["params"] == rows["method"].map(selected),
            "kl": rows["kl"],
            "reward": rows["reward"],
            "proxy": rows["proxy_reward"],
            "time": rows["train_seconds"],
        }
    )


def setting_means(points: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each setting: means over seeds, and the interval of the reward."""
    rows = []
    for (method, params), group in points.groupby(["method", "setting"], sort=False):
        interval = mean_interval(group["reward"].tolist())
        means = group[["strength", "kl", "reward", "proxy"]].mean().to_dict()
        rows.append(
            {
                "method": method,
                "setting": params,
                "selected": bool(group["selected"].iloc[0]),
                **means,
                "time": group["time"].median(),
                "low": interval.low,
                "high": interval.high,
                "seeds": len(group),
            }
        )
    return pd.DataFrame(rows)


def axis_heights(points: pd.DataFrame, frontier: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Return where the vertical axis starts and ends, with some room."""
    shown = {
        "reward": pd.concat([points["reward"], frontier["reward"]]),
        "proxy": points["proxy"].dropna(),
    }
    heights = {}
    for name, values in shown.items():
        low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
        room = 0.05 * (high - low) or 0.5
        heights[name] = (float(low - room), float(high + room))
    return heights


def frontier_points(results: Results, task: str, limit: float) -> pd.DataFrame:
    """Return points along the optimal frontier, closer together near 0, where it bends most."""
    frontier = results.frontier[results.frontier["task"] == task]
    if not seed_curves(frontier, "kl", "reward"):
        return pd.DataFrame(columns=["kl", "reward"])
    xs, ys = mean_curve(frontier, "kl", "reward")
    curve = pd.DataFrame({"kl": xs, "reward": ys})
    curve = curve[curve["kl"] <= limit]
    steps = (len(curve) - 1) * (pd.Series(range(FRONTIER_POINTS)) / (FRONTIER_POINTS - 1)) ** 2
    return curve.iloc[steps.round().astype(int).drop_duplicates()]
