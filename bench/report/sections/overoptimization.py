"""Over-optimization: where the true reward turns while the proxy keeps rising."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.analysis.overoptimization import SMALLEST, Form, Turn, fits, gains, turning_kl, turns
from bench.report.charts.style import INK, ZERO_COLOR, looks, panels
from bench.report.content.display import MISSING, number
from bench.report.content.section import Chart, Column, Part, Section, Table
from bench.results.loading import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INTRODUCTION = (
    "The further a policy optimizes a learned reward, the more it exploits its errors: the proxy "
    "reward keeps rising while the {source} reward turns down. Points are final policies and "
    "checkpoints of all settings and seeds (checkpoints are taken at the squares of equal parts of "
    "training), as gains over the SFT policy of the seed, against d = √KL. Both forms of Gao et "
    "al. (2022), d (a - b d) and d (a - b log d), are fitted to each method's {source} reward. The "
    "better fit is solid; it gives the KL at which the reward turns, if that is within the range "
    "of the points."
)
NOTE = (
    "Changes from the turn to the furthest point are those of the fits; errors are root mean "
    "squares."
)
PRIVILEGED_NOTE = (
    "Methods that were given the gold reward show what happens without the errors of a reward "
    "model."
)
FORMS: dict[Form, str] = {"best-of-n": "d (a - b d)", "RL": "d (a - b log d)"}
MOST_COLUMNS = 6
PROXY_COLOR = "#8a94a3"


def overoptimization_section(results: Results) -> Section | None:
    """Return the section; None where no method has enough points for a fit."""
    parts = [
        Part(results.task_title(t), task=t, tables=(turning_table(results, t),))
        for t in results.tasks
    ]
    if not any(parts):
        return None
    source = results.reward_name
    figure = _figure(results)
    alt = f"{source.capitalize()} and proxy reward gained against the square root of KL"
    return Section(
        "over-optimization",
        "Over-optimization",
        INTRODUCTION.format(source=source),
        charts=(Chart("overoptimization", alt, figure),) if figure else (),
        parts=tuple(parts),
        notes=(f"{NOTE} {PRIVILEGED_NOTE}" if results.privileged else NOTE,),
    )


def turning_table(results: Results, task: str) -> Table:
    """Return where each method's reward turns and what the proxy does from there on."""
    source = results.reward_source(task)
    columns = (
        Column("method", "method", "text"),
        Column("kl", f"{source} turns at KL"),
        Column("reward_change", f"{source}, turn to furthest"),
        Column("proxy_change", "proxy, turn to furthest"),
        Column("furthest_kl", "furthest KL"),
        Column("form", "better form", "text"),
        Column("a", "a"),
        Column("b", "b"),
        Column("error", "fit error"),
        Column("other_error", "fit error of the other form"),
    )
    return Table.of(columns, [_row(results, turn) for turn in turns(results, task)])


def _row(results: Results, turn: Turn) -> dict[str, str]:
    best, *others = turn.fits
    furthest = number(turn.furthest_kl)
    return {
        "method": results.marked(turn.method),
        "kl": f"not up to {furthest}" if math.isinf(turn.kl) else number(turn.kl),
        "reward_change": _signed(turn.reward_change),
        "proxy_change": _signed(turn.proxy_change),
        "furthest_kl": furthest,
        "form": f"{best.form}: {FORMS[best.form]}",
        "a": number(best.a),
        "b": number(best.b),
        "error": number(best.error),
        "other_error": number(others[0].error) if others else MISSING,
    }


def _signed(change: float) -> str:
    return f"{change:+.2f}" if math.isfinite(change) else MISSING


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
            _draw_panel(ax, results, own_points[own_points["method"] == method], method)
            ax.set(ylim=_range(own_points), xlabel="d = √KL", ylabel="gain over SFT")
            between = ": " if lines == 1 else "\n"
            ax.set_title(f"{results.task_title(task)}{between}{method}", fontsize=10.5)
            ax.grid(True)
    _legend(figure, results.reward_name, min(6, 2 * len(methods)))
    return figure


def _legend(figure: Figure, source: str, columns: int) -> None:
    from matplotlib.lines import Line2D

    dot: dict[str, Any] = {"ls": "", "marker": "o", "color": INK}
    handles = [
        Line2D([], [], **dot, ms=3.5, alpha=0.5, label=f"{source}, checkpoint"),
        Line2D([], [], **dot, ms=5.5, label=f"{source}, final policy"),
        Line2D([], [], ls="", marker="x", color=PROXY_COLOR, ms=4.5, label="proxy"),
        Line2D([], [], color=INK, lw=2, label=f"{source}, better fit"),
        Line2D([], [], color=INK, lw=1.2, ls=":", label=f"{source}, other form"),
        Line2D([], [], color=PROXY_COLOR, lw=1.4, ls="--", label="proxy, better fit"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def _range(points: pd.DataFrame) -> tuple[float, float]:
    """Return bounds that hold the gains of every method, except a few outliers."""
    gained = points.groupby("method")[["reward", "proxy"]]
    low = float(np.nanmin(gained.quantile(0.005)))
    high = float(np.nanmax(gained.quantile(0.995)))
    return min(0.0, low) - 0.1 * (high - low), high + 0.15 * (high - low)


def _draw_panel(ax: Axes, results: Results, points: pd.DataFrame, method: str) -> None:
    if points.empty:
        ax.set_visible(False)
        return
    color = looks(results.methods)[method].color
    ax.axhline(0, color=ZERO_COLOR, lw=0.8)
    ax.plot(points["d"], points["proxy"], "x", color=PROXY_COLOR, ms=3, alpha=0.5)
    for final, size, alpha in ((False, 3.0, 0.35), (True, 5.0, 0.8)):
        dots = points[points["final"] == final]
        ax.plot(dots["d"], dots["reward"], "o", color=color, ms=size, alpha=alpha, mew=0)
    grid = np.linspace(SMALLEST, float(points["d"].max()), 200)
    for fit in fits(points, "proxy")[:1]:
        ax.plot(grid, fit.gain(grid), color=PROXY_COLOR, lw=1.4, ls="--")
    for fit, style, width in zip(fits(points), ("-", ":"), (2.0, 1.2), strict=False):
        ax.plot(grid, fit.gain(grid), color=color, ls=style, lw=width)
    _draw_turn(ax, points, color)


def _draw_turn(ax: Axes, points: pd.DataFrame, color: str) -> None:
    kl = turning_kl(points)
    if not math.isfinite(kl):
        return
    ax.axvline(kl**0.5, color=color, lw=1, ls="-.")
    late = kl**0.5 > 0.6 * points["d"].max()
    ax.annotate(
        f"turns at\nKL {kl:.1f}",
        (kl**0.5, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if late else 4, 0),
        textcoords="offset points",
        ha="right" if late else "left",
        color=color,
    )
