"""The calibration's figure: how often verdicts are right, by effect size, and how often false."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.calibration.design import CRIPPLED, ITSELF, KNOWN
from bench.calibration.summary import share
from bench.calibration.verdicts import power
from bench.report.charts.style import RC, Look, panels, save
from bench.analysis.statistics import SIGNIFICANCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKS = {CRIPPLED: Look("#D55E00", "o"), KNOWN: Look("#0072B2", "s")}
WORDS = {CRIPPLED: "less training: found worse", KNOWN: "known order: better side named"}
NAME = "calibration"


def write_figure(pairs: pd.DataFrame, folder: Path) -> None:
    """Write calibration.png and calibration.svg. pairs: from `verdicts.pairs`."""
    from matplotlib import rc_context

    with rc_context(RC):
        figure, axes = panels(1, 2, 5.6, 4.0)
        _by_effect(axes[0][0], pairs[pairs["truth"].isin(["better", "worse"])])
        _false(axes[0][1], pairs[pairs["kind"] == ITSELF])
        figure.legend(loc="outside lower center", ncols=4)
        save(figure, folder, NAME)


def _by_effect(ax: Axes, known: pd.DataFrame) -> None:
    """Shares of right and wrong verdicts of each pair, beside those of normal differences."""
    for kind, look in LOOKS.items():
        own = known[known["kind"] == kind]
        effects = own["effect"].abs()
        right = own["better"].where(own["truth"] == "better", own["worse"])
        shares = [share(int(k), int(n)) for k, n in zip(right, own["comparisons"], strict=True)]
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
            label=WORDS[kind],
        )
    wrong = known["worse"].where(known["truth"] == "better", known["better"])
    ax.plot(
        known["effect"].abs(),
        wrong / known["comparisons"],
        "x",
        color="#1d2733",
        ms=6,
        label="wrong side named",
    )
    largest = max(3.0, float(known["effect"].abs().max()) if len(known) else 0.0)
    grid = np.linspace(0, largest, 13)
    ax.plot(
        grid,
        [power(effect) for effect in grid],
        color="#5f6b7a",
        lw=1.6,
        label="normal differences, simulated",
        zorder=1,
    )
    ax.set(title="Where one side is better", ylim=(-0.04, 1.04))
    ax.set(xlabel="true difference, standard deviations over pipelines", ylabel="share of comparisons")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.grid(True)


def _false(ax: Axes, itself: pd.DataFrame) -> None:
    """False verdicts of each method with itself and of all together, with 95% intervals."""
    false, counts = itself["better"] + itself["worse"], itself["comparisons"]
    lines = list(zip(itself["pair"], false, counts, strict=True))
    if len(lines) > 1:
        lines.append(("together", false.sum(), counts.sum()))
    for i, (_, k, n) in enumerate(lines):
        rate = share(int(k), int(n))
        ax.plot([rate["low"], rate["high"]], [i, i], color="#1d2733", lw=1.6)
        ax.plot(rate["share"], i, "D", color="#1d2733", ms=7, clip_on=False)
        ax.annotate(
            f"{k} of {n}",
            (rate["high"], i),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    ax.axvline(SIGNIFICANCE, color="#D55E00", lw=1.4, ls="--")
    ax.annotate(
        f"{SIGNIFICANCE:.0%} allowed",
        (SIGNIFICANCE, len(lines) - 0.55),
        xytext=(5, 0),
        textcoords="offset points",
        color="#D55E00",
        fontsize=9,
    )
    ax.set_yticks(range(len(lines)), [name for name, _, _ in lines])
    ax.set(title="Where there is no difference", xlabel="share of comparisons with a verdict")
    ax.set_ylim(-0.6, len(lines) - 0.3)
    ax.margins(x=0.15)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.grid(True, axis="x")
