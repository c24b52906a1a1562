"""The figure of a calibration: right verdicts by effect size, and false verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.analysis.statistics import SIGNIFICANCE
from bench.calibration.design import CRIPPLED, ITSELF, KNOWN
from bench.calibration.summary import share
from bench.calibration.verdicts import power
from bench.report.charts.style import INK, RC, SOFT, Look, panels, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RED, BLUE = "#D55E00", "#0072B2"
LOOKS = {CRIPPLED: Look(RED, "o"), KNOWN: Look(BLUE, "s")}
LABELS = {CRIPPLED: "less training: right verdicts", KNOWN: "known order: right verdicts"}
NAME = "calibration"


def write_figure(pairs: pd.DataFrame, folder: Path) -> None:
    """Write calibration.png and calibration.svg.

    Args:
        pairs: From `verdicts.pairs`.
        folder: Where the files are written.
    """
    from matplotlib import rc_context

    with rc_context(RC):
        figure, axes = panels(1, 2, 5.6, 4.0)
        _draw_by_effect(axes[0][0], pairs[pairs["truth"].isin(["better", "worse"])])
        _draw_false_verdicts(axes[0][1], pairs[pairs["kind"] == ITSELF])
        figure.legend(loc="outside lower center", ncols=4)
        save(figure, folder, NAME)


def _draw_by_effect(ax: Axes, known: pd.DataFrame) -> None:
    """Draw each pair's shares of right and wrong verdicts, and those of normal differences."""
    for kind, look in LOOKS.items():
        of_kind = known[known["kind"] == kind]
        effects = of_kind["effect"].abs()
        right = of_kind["better"].where(of_kind["truth"] == "better", of_kind["worse"])
        shares = [share(int(k), int(n)) for k, n in zip(right, of_kind["comparisons"], strict=True)]
        ax.errorbar(
            effects,
            [s["share"] for s in shares],
            yerr=[
                [s["share"] - s["low"] for s in shares],
                [s["high"] - s["share"] for s in shares],
            ],
            fmt=look.marker,
            color=look.color,
            ms=6,
            lw=0.8,
            label=LABELS[kind],
        )
    wrong = known["worse"].where(known["truth"] == "better", known["better"])
    ax.plot(
        known["effect"].abs(),
        wrong / known["comparisons"],
        "x",
        color=INK,
        ms=6,
        label="wrong verdicts",
    )
    largest = max(3.0, float(known["effect"].abs().max()) if len(known) else 0.0)
    grid = np.linspace(0, largest, 13)
    ax.plot(
        grid,
        [power(effect) for effect in grid],
        color=SOFT,
        lw=1.6,
        label="right verdicts, simulated normal differences",
        zorder=1,
    )
    ax.set(title="Where one side is better", ylim=(-0.04, 1.04))
    ax.set(
        xlabel="true difference, standard deviations over instances", ylabel="share of comparisons"
    )
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.grid(True)


def _draw_false_verdicts(ax: Axes, itself: pd.DataFrame) -> None:
    """Draw the share of false verdicts of each method and of all, with 95% intervals."""
    false, counts = itself["better"] + itself["worse"], itself["comparisons"]
    lines = list(zip(itself["pair"], false, counts, strict=True))
    if len(lines) > 1:
        lines.append(("all", false.sum(), counts.sum()))
    for i, (_, k, n) in enumerate(lines):
        rate = share(int(k), int(n))
        ax.plot([rate["low"], rate["high"]], [i, i], color=INK, lw=1.6)
        ax.plot(rate["share"], i, "D", color=INK, ms=7, clip_on=False)
        ax.annotate(
            f"{k} of {n}",
            (rate["high"], i),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    ax.axvline(SIGNIFICANCE, color=RED, lw=1.4, ls="--")
    ax.annotate(
        f"{SIGNIFICANCE:.0%} allowed",
        (SIGNIFICANCE, len(lines) - 0.55),
        xytext=(5, 0),
        textcoords="offset points",
        color=RED,
        fontsize=9,
    )
    ax.set_yticks(range(len(lines)), [name for name, _, _ in lines])
    ax.set(title="Where there is no difference", xlabel="share of comparisons with a verdict")
    ax.set_ylim(-0.6, len(lines) - 0.3)
    ax.margins(x=0.15)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.grid(True, axis="x")
