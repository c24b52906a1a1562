"""Over-optimization: where the true reward turns while the proxy keeps rising."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.analysis.overoptimization import (
    BETTER_THAN_STRAIGHT,
    GOOD_FIT,
    SMALLEST,
    Form,
    Turn,
    fits,
    gains,
    reach,
    turn_of,
    turns,
)
from bench.analysis.statistics import Interval
from bench.report.charts.gains import (
    PROXY,
    PROXY_COLOR,
    draw_legend,
    draw_turn,
    gains_chart,
    note_points_beyond,
)
from bench.report.charts.plots import records, specifications
from bench.report.charts.style import ZERO_COLOR, looks, panels
from bench.report.content.display import MISSING, Number, count, number, setting, signed
from bench.report.content.section import Chart, Column, Mark, Part, Plot, Section, Switch, Table
from bench.results.loading import Results

if TYPE_CHECKING:
    import altair as alt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INTRODUCTION = (
    "A policy that optimizes a learned reward too far exploits its errors: the proxy reward rises "
    "while the {source} reward turns down. A turn is shown only where the fit is good, points lie "
    "beyond it, and the proxy rises from there on."
)
NOTE = (
    "Fits are those of Gao et al. (2022) to all checkpoints and final policies, as gains over the "
    "seed's SFT policy against d = √KL."
)
FORMS: dict[Form, str] = {"best-of-n": "d (a - b d)", "RL": "d (a - b log d)"}
MOST_COLUMNS = 6
# Of an interactive chart.
MOST_POINTS, CURVE_POINTS = 2_500, 60
# Of a static one's panel.
MOST_IN_PANEL = 240
KEY = (
    Mark("better fit, with a turn", (), None),
    Mark("better fit, no turn shown", (5, 4), None),
    Mark("final policy (small: checkpoint)", None, 1.0),
)
GOOD = (
    f"Root mean square. A fit is good with at most {GOOD_FIT:.0%} of the range of the middle 90% "
    f"of gains, and at most {BETTER_THAN_STRAIGHT:.0%} of the error of a straight rise."
)
FIT_COLUMNS = (
    Column("method", "method", "text"),
    Column("form", "form", "text"),
    Column("a", "a", help="How steeply the gain rises."),
    Column("b", "b", help="How much it bends down."),
    Column("error", "fit error", help="Root mean square."),
)


def overoptimization_section(results: Results) -> Section | None:
    """Return the section; None where no method has enough points for a fit."""
    parts = [
        Part(
            results.task_title(task),
            task=task,
            tables=(turning_table(results, task), fit_table(results, task)),
        )
        for task in results.tasks
    ]
    if not any(parts):
        return None
    source = results.reward_name
    figure = _figure(results)
    plots = tuple(plot for task in results.tasks if (plot := _plot(results, task)))
    about = f"{source.capitalize()} and proxy reward gained against the square root of KL"
    return Section(
        "over-optimization",
        "Over-optimization",
        INTRODUCTION.format(source=source),
        charts=(Chart("overoptimization", about, figure, plots),) if figure else (),
        parts=tuple(parts),
        notes=(NOTE,),
    )


def turning_table(results: Results, task: str) -> Table:
    """Return where each method's reward turns and what the proxy does from there on."""
    source = results.reward_source(task)
    columns = (
        Column("method", "method", "text"),
        Column("kl", f"{source} turns at KL", help="Where the better fit is highest (nats)."),
        Column("beyond", "points beyond", help="Checkpoints and final policies beyond the turn."),
        Column(
            "reward_change",
            f"{source} change beyond",
            help="Change of the fit from the turn to the furthest KL.",
        ),
        Column(
            "proxy_change",
            "proxy change beyond",
            help="Change of the proxy's fit from the turn to the furthest KL.",
        ),
        Column("furthest_kl", "furthest KL", help="Of any point that is no outlier (nats)."),
        Column("error", "fit error", help=GOOD),
    )
    return Table.of(columns, [_row(results, turn) for turn in turns(results, task)])


def _row(results: Results, turn: Turn) -> dict[str, str]:
    furthest, known = number(turn.furthest_kl), math.isfinite(turn.kl)
    if not known:
        kl = Number(f"not up to {furthest}", turn.furthest_kl)
    elif turn.why_not:
        kl = Number(f"no turn shown: {turn.why_not}", math.nan)
    else:
        kl = number(turn.kl)
    return {
        "method": results.marked(turn.method),
        "kl": kl,
        "beyond": count(turn.beyond) if known else MISSING,
        "reward_change": _signed(turn.reward_change),
        "proxy_change": _signed(turn.proxy_change),
        "furthest_kl": furthest,
        "error": number(turn.fits[0].error),
    }


def _signed(change: float) -> Number:
    return signed(Interval(change, math.nan, math.nan, 1))


def fit_table(results: Results, task: str) -> Table:
    """Return both fits of each method, the better one first."""
    rows = tuple(
        {
            "method": results.marked(turn.method),
            "form": f"{fit.form}: {FORMS[fit.form]}",
            "a": number(fit.a),
            "b": number(fit.b),
            "error": number(fit.error),
        }
        for turn in turns(results, task)
        for fit in turn.fits
    )
    return Table(FIT_COLUMNS, rows, folded=True, title="Both forms that were fitted")


def _plot(results: Results, task: str) -> Plot | None:
    """Return gains of checkpoints and final policies, with the better fit of each method."""
    points = gains(results, task)
    if points.empty:
        return None
    source = results.reward_source(task)
    # Evenly chosen, where there are too many to draw.
    points = points.iloc[:: math.ceil(len(points) / MOST_POINTS)]
    ends = {str(m): reach(own["d"].to_numpy()) for m, own in points.groupby("method", sort=False)}
    curves = pd.concat(
        [_curves(str(method), own, ends[str(method)]) for method, own in points.groupby("method")]
    )
    shown = pd.DataFrame(
        {
            "method": points["method"],
            "setting": points["params"].map(setting),
            "seed": points["seed"].astype(int),
            "policy": points["final"].map({True: "final", False: "checkpoint"}),
            "d": points["d"],
            "kl": points["d"] ** 2,
            "reward": points["reward"],
            "proxy": points["proxy"],
        }
    )
    switch = Switch("reward", (source, PROXY))

    def make(reward: str) -> alt.LayerChart:
        return gains_chart(reward, source, 1.04 * max(ends.values()))

    data = {"points": records(shown), "fits": records(curves)}
    title = f"Reward gained over SFT against the square root of KL on {results.task_title(task)}"
    return Plot(task, title, specifications(make, (switch,)), data, (switch,), KEY)


def _curves(method: str, points: pd.DataFrame, end: float) -> pd.DataFrame:
    """Return the better fit of both rewards along d."""
    grid = np.linspace(SMALLEST, max(end, SMALLEST), CURVE_POINTS)
    turn = turn_of(method, points)
    curve = pd.DataFrame({"method": method, "d": grid, "turn": bool(turn and not turn.why_not)})
    for column in ("reward", "proxy"):
        fitted = fits(points, column)
        curve[column] = fitted[0].gain(grid) if fitted else math.nan
    return curve


def _figure(results: Results) -> Figure | None:
    """Draw gains of every checkpoint and final policy, and the fits: a panel for each method."""
    points = {task: gains(results, task) for task in results.tasks}
    points = {task: own_points for task, own_points in points.items() if not own_points.empty}
    with_points = {method for own_points in points.values() for method in own_points["method"]}
    methods = [method for method in results.methods if method in with_points]
    if not methods:
        return None
    # Many methods wrap, and their panels are smaller.
    lines = math.ceil(len(methods) / MOST_COLUMNS)
    columns = math.ceil(len(methods) / lines)
    width, height = (3.3, 3.1) if lines == 1 else (2.6, 2.5)
    figure, axes = panels(len(points) * lines, columns, width, height)
    for i, (task, own_points) in enumerate(points.items()):
        flat = [ax for line in axes[i * lines : (i + 1) * lines] for ax in line]
        for ax in flat[len(methods) :]:
            ax.set_visible(False)
        for ax, method in zip(flat, methods, strict=False):
            shown = own_points[own_points["method"] == method]
            ax.set(ylim=_range(own_points), xlabel="d = √KL", ylabel="gain over SFT")
            _draw_panel(ax, results, shown, method)
            between = ": " if lines == 1 else "\n"
            ax.set_title(f"{results.task_title(task)}{between}{method}", fontsize=10.5)
            ax.grid(True)
    draw_legend(figure, results.reward_name, min(6, 2 * len(methods)))
    return figure


def _range(points: pd.DataFrame) -> tuple[float, float]:
    """Return bounds that hold the gains of every method, outliers aside."""
    furthest = points.groupby("method")["d"].transform(lambda d: reach(d.to_numpy()))
    gained = points[points["d"] <= furthest].groupby("method")[["reward", "proxy"]]
    low = float(np.nanmin(gained.quantile(0.005)))
    high = float(np.nanmax(gained.quantile(0.995)))
    return min(0.0, low) - 0.1 * (high - low), high + 0.15 * (high - low)


def _draw_panel(ax: Axes, results: Results, points: pd.DataFrame, method: str) -> None:
    if points.empty:
        ax.set_visible(False)
        return
    color = looks(results.methods)[method].color
    ax.axhline(0, color=ZERO_COLOR, lw=0.8)
    # Evenly chosen, where there are too many to tell apart; fits are to all of them.
    drawn = points.iloc[:: math.ceil(len(points) / MOST_IN_PANEL)]
    ax.plot(drawn["d"], drawn["proxy"], "x", color=PROXY_COLOR, ms=3, alpha=0.5)
    for final, size, alpha in ((False, 3.0, 0.35), (True, 5.0, 0.8)):
        dots = drawn[drawn["final"] == final]
        ax.plot(dots["d"], dots["reward"], "o", color=color, ms=size, alpha=alpha, mew=0)
    end = reach(points["d"].to_numpy())
    ax.set_xlim(-0.04 * end, 1.06 * end)
    grid = np.linspace(SMALLEST, end, 200)
    for fit in fits(points, "proxy")[:1]:
        ax.plot(grid, fit.gain(grid), color=PROXY_COLOR, lw=1.4, ls="--")
    for fit, style, width in zip(fits(points), ("-", ":"), (2.0, 1.2), strict=False):
        ax.plot(grid, fit.gain(grid), color=color, ls=style, lw=width)
    note_points_beyond(ax, points)
    turn = turn_of(method, points)
    if turn and not turn.why_not:
        draw_turn(ax, turn, color)
