"""Many methods in one figure: a column of panels for each kind of feedback, a row for each task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.report.charts.style import keys, legend, looks, panels
from bench.results.loading import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More lines than this in one panel cannot be told apart.
FEW = 8
TASKS_PER_ROW = 3
# Kinds of feedback in the order of their panels, as titles name them; unknown kinds come last.
KINDS = {
    "pairs": "pairs",
    "choices": "choices",
    "rankings": "rankings",
    "unpaired": "unpaired labels",
    "reward": "reward",
    "none": "nothing",
    "gold": "gold",
}


class Facet(NamedTuple):
    """Methods that share a panel.

    Attributes:
        title: What they learn from, "" where all methods share one panel.
        methods: Their names.
    """

    title: str
    methods: list[str]


class Panel(NamedTuple):
    """One panel of a figure.

    Attributes:
        ax: Its axes.
        task: The task that it shows.
        facet: The methods that it shows.
    """

    ax: Axes
    task: str
    facet: Facet


class _Group(NamedTuple):
    """Methods of some kinds of feedback, before they have a panel."""

    kinds: list[str]
    methods: list[str]


def facets(results: Results, methods: Sequence[str]) -> list[Facet]:
    """Split methods by what they learn from, at most FEW to a facet; small kinds share one."""
    if len(methods) <= FEW:
        return [Facet("", list(methods))]
    packed: list[_Group] = []
    # The largest first, and each of the others where it still fits.
    for group in sorted(_by_kind(results, methods), key=lambda group: -len(group.methods)):
        room = [other for other in packed if len(other.methods) + len(group.methods) <= FEW]
        if room:
            room[0].kinds.extend(kind for kind in group.kinds if kind not in room[0].kinds)
            room[0].methods.extend(group.methods)
        else:
            packed.append(group)
    return [Facet(_title(group.kinds), group.methods) for group in packed]


def _by_kind(results: Results, methods: Sequence[str]) -> list[_Group]:
    """Return the methods of each kind; a kind with more than FEW takes groups of even size."""
    kinds = {method: results.learns_from(method) for method in methods}
    order = [kind for kind in KINDS if kind in kinds.values()]
    order += [kind for kind in dict.fromkeys(kinds.values()) if kind not in order]
    groups = []
    for kind in order:
        members = [method for method in methods if kinds[method] == kind]
        parts = math.ceil(len(members) / FEW)
        size = math.ceil(len(members) / parts)
        starts = range(0, len(members), size)
        groups += [_Group([kind], members[start : start + size]) for start in starts]
    return groups


def _title(kinds: list[str]) -> str:
    return f"learns from {', '.join(KINDS.get(kind, kind) or 'unknown feedback' for kind in kinds)}"


def facet_panels(
    results: Results,
    tasks: Sequence[str],
    methods: Sequence[str],
    size: tuple[float, float],
    extra: Sequence[Any] = (),
) -> tuple[Figure, list[Panel]]:
    """Return a figure and its panels, with titles and legends in place.

    Args:
        results: The results that name tasks and methods.
        tasks: The tasks to show.
        methods: The methods to show.
        size: Width and height of one panel where a task has one panel, in inches.
        extra: Handles of other legend entries.
    """
    shown = facets(results, methods)
    if len(shown) == 1:
        return _one_panel_each(results, tasks, shown[0], size, extra)
    look = looks(results.methods)
    figure, axes = panels(len(tasks), len(shown), 4.6, 3.6, share=True)
    found = []
    for task, row in zip(tasks, axes, strict=True):
        for ax, facet in zip(row, shown, strict=True):
            ax.set_title(f"{results.task_title(task)}\n{facet.title}", fontsize=10)
            found.append(Panel(ax, task, facet))
    for ax, facet in zip(axes[-1], shown, strict=True):
        handles = keys({method: look[method] for method in facet.methods}, results)
        ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    if extra:
        figure.legend(handles=list(extra), loc="outside lower center", ncols=len(extra))
    return figure, found


def _one_panel_each(
    results: Results,
    tasks: Sequence[str],
    facet: Facet,
    size: tuple[float, float],
    extra: Sequence[Any],
) -> tuple[Figure, list[Panel]]:
    """Return a figure with one panel for each task and one legend."""
    columns = min(TASKS_PER_ROW, len(tasks))
    figure, axes = panels(math.ceil(len(tasks) / columns), columns, *size)
    flat = [ax for row in axes for ax in row]
    for ax in flat[len(tasks) :]:
        ax.set_visible(False)
    found = [Panel(ax, task, facet) for ax, task in zip(flat, tasks, strict=False)]
    for ax, task, _ in found:
        ax.set_title(results.task_title(task))
    look = {m: own for m, own in looks(results.methods).items() if m in set(facet.methods)}
    legend(figure, look, results, list(extra))
    return figure, found
