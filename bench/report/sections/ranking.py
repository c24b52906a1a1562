"""All methods in one order over tasks and seeds, and gains of all tasks on one scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.analysis.contrasts import declared
from bench.analysis.ranking import (
    Gains,
    Ranked,
    contenders,
    finished_pipelines,
    improvement,
    mean_ranks,
    normalized_gain,
    normalized_gains,
    places,
    prompt_rewards,
    seed_ranks,
)
from bench.analysis.selection import seeds_lost
from bench.analysis.statistics import Interval
from bench.report.charts.style import BACKGROUND, INK, SOFT, ZERO_COLOR, looks, panels
from bench.report.content.display import MISSING, Number, count, number, percent
from bench.report.content.section import Chart, Column, Part, Section, Table
from bench.results.loading import Results

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METHODS_TO_DRAW = 3
INTRODUCTION = (
    "Methods by mean rank: ranked by reward on test prompts in each pipeline (a task at a seed). "
    "A summary, not a verdict: ranks say nothing about distances, and intervals over few seeds are "
    "too narrow. Privileged methods and those that lost a seed take no rank."
)
PROMPTS_NOTE = (
    "Mean ranks are for other prompts too where seeds share a sample of them; the other columns "
    "are for these prompts."
)
GAIN_HELP = (
    "Gain over SFT as a share of the largest gain on the optimal frontier of that task and seed: "
    "interquartile mean over all runs, with its 95% bootstrap interval over seeds."
)
CONTRAST_COLUMNS = (
    Column("contrast", "contrast", "text"),
    Column("improvement", "probability of improvement"),
)


def ranking_section(results: Results) -> Section | None:
    """Return the section; None with fewer than two methods to rank."""
    table = ranking_table(results)
    if not table:
        return None
    figure = _figure(results)
    alt = "Mean rank of every method over all tasks and seeds"
    return Section(
        "ranking",
        "Ranking over all tasks",
        INTRODUCTION,
        charts=(Chart("ranking", alt, figure),) if figure else (),
        parts=(
            Part(tables=(table,)),
            Part("All tasks together: declared contrasts", tables=(contrasts_over_tasks(results),)),
        ),
        notes=(PROMPTS_NOTE,) if _any_sampled_prompts(results) else (),
    )


def _any_sampled_prompts(results: Results) -> bool:
    return any(results.has_sampled_prompts(task) for task in results.tasks)


def _ranked(results: Results) -> list[Ranked]:
    ranks = seed_ranks(results)
    return mean_ranks(ranks, prompt_rewards(results, ranks))


def ranking_table(results: Results) -> Table:
    """Return the methods in order, unranked ones last; empty with fewer than two."""
    ranked = _ranked(results)
    by_task = results.tasks if ranked and len(ranked[0].by_task) > 1 else []
    by_task = [task for task in by_task if task in ranked[0].by_task]
    columns = (
        Column("rank", "rank"),
        Column("method", "method", "text"),
        Column("mean_rank", "mean rank", help="With its 95% bootstrap interval over seeds."),
        Column(
            "best",
            "probability of being best",
            help="How often it has the best mean rank when seeds are resampled.",
        ),
        *(Column(f"on {task}", f"mean rank on {task}") for task in by_task),
        Column("gain", "normalized gain (IQM)", help=GAIN_HELP),
        Column(
            "improvement",
            "probability of improvement over SFT",
            help="How often one of its seeds beats one of SFT, mean over tasks.",
        ),
        Column("pipelines", "pipelines", help="Finished out of all."),
    )
    if len(ranked) < 2:
        return Table.of(columns, [])
    gains = normalized_gains(results)
    rows = [
        {
            "rank": count(place),
            "mean_rank": _with_interval(method.mean_rank, lambda rank: number(rank, 1)),
            "best": percent(method.best),
            **{f"on {task}": number(method.by_task[task], 1) for task in by_task},
            **_gain_cells(results, gains, method.method),
        }
        for place, method in zip(places(ranked), ranked, strict=True)
    ]
    dashes, ranking = dict.fromkeys(rows[0], MISSING), contenders(results)
    for method in results.methods:
        if method not in ranking:
            cells = _gain_cells(results, gains, method)
            rows.append(dashes | {"rank": _why_unranked(results, method)} | cells)
    return Table.of(columns, rows)


def _why_unranked(results: Results, method: str) -> str:
    """Return why a method has no rank, in the rank's cell."""
    if method in results.failed():
        return "failed"
    if any(method not in results.methods_on(task) for task in results.tasks):
        return "not on all tasks"
    lost = any(seeds_lost(results.runs, task).get(method) for task in results.tasks)
    return "lost seeds" if lost and method not in results.privileged else MISSING


def contrasts_over_tasks(results: Results) -> Table:
    """Return the probability of improvement of the declared contrasts over all tasks.

    Empty with fewer than two tasks that have a frontier.
    """
    gains = normalized_gains(results)
    rows = [
        {
            "contrast": f"{method} vs {other}",
            "improvement": _with_interval(improvement(gains, method, other), percent),
        }
        for method, other in declared(results)
    ]
    return Table.of(CONTRAST_COLUMNS, rows if len(gains) > 1 else [])


def _gain_cells(results: Results, gains: Gains, method: str) -> dict[str, str]:
    finished, pipelines = finished_pipelines(results, method)
    gain, over_sft = normalized_gain(gains, method), improvement(gains, method, "sft")
    return {
        "method": results.marked(method),
        "gain": MISSING if method == "sft" else _with_interval(gain, number),
        "improvement": MISSING if method == "sft" else _with_interval(over_sft, percent),
        "pipelines": f"{finished}/{pipelines}",
    }


def _with_interval(interval: Interval, show: Callable[[float], Number]) -> Number:
    if not math.isfinite(interval.half_width):
        return show(interval.mean)
    text = f"{show(interval.mean)} [{show(interval.low)}, {show(interval.high)}]"
    return Number(text, interval.mean, interval.low, interval.high)


def _figure(results: Results) -> Figure | None:
    """Draw mean ranks with their intervals, best on top; behind them, thin, those on each task."""
    ranked = _ranked(results)
    if len(ranked) < METHODS_TO_DRAW:
        return None
    figure, [[ax]] = panels(1, 1, 8.4, 0.27 * len(ranked) + 0.9)
    for i, method in enumerate(ranked):
        _draw_method(ax, results, i, method)
    if math.isfinite(ranked[0].best):
        ax.annotate("probability\nof being best", (1.02, 1.01), xycoords="axes fraction")
    ax.set_yticks(range(len(ranked)), [method.method for method in ranked])
    ax.set(ylim=(len(ranked) - 0.4, -0.6), xlabel="mean rank (1 is best)")
    ax.locator_params(axis="x", integer=True)
    ax.grid(True, axis="x")
    _legend(figure, ranked[0])
    return figure


def _draw_method(ax: Axes, results: Results, y: int, method: Ranked) -> None:
    look, rank = looks(results.methods)[method.method], method.mean_rank
    if len(method.by_task) > 1:
        ax.plot(
            list(method.by_task.values()), [y] * len(method.by_task), "|", color=ZERO_COLOR, ms=9
        )
    if math.isfinite(rank.half_width):
        ax.plot([rank.low, rank.high], [y, y], color=look.color, lw=2.2, solid_capstyle="butt")
    ax.plot(rank.mean, y, look.marker, color=look.color, ms=8, mec="white", mew=0.5)
    if math.isfinite(method.best):
        ax.annotate(
            percent(method.best),
            (1.02, y),
            xycoords=("axes fraction", "data"),
            va="center",
            color=INK if method.best >= 0.005 else BACKGROUND,
        )


def _legend(figure: Figure, first: Ranked) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=SOFT, marker="o", ls="", ms=7, label="mean rank")]
    if math.isfinite(first.best):
        handles.append(Line2D([], [], color=SOFT, lw=2.2, label="95% interval"))
    if len(first.by_task) > 1:
        handles.append(Line2D([], [], color=ZERO_COLOR, marker="|", ls="", ms=9, label="one task"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
