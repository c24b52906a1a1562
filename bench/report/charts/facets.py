"""Many methods in one figure: a column of panels for each kind of feedback, a row for each task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.results.loading import Results
from bench.report.charts.style import keys, legend, looks, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More lines than this in one panel cannot be told apart.
FEW = 8
TASKS_PER_ROW = 3
# As far as they are there; a method of an unknown kind comes last.
KINDS = {
    kind: "nothing" if kind == "none" else kind
    for kind in ("pairs", "choices", "rankings", "unpaired", "reward", "none", "gold")
}


class Facet(NamedTuple):
    """Methods that share a panel. title: what they learn from, "" where there is one panel."""

    title: str
    methods: list[str]


class Panel(NamedTuple):
    """One panel of a figure."""

    ax: Axes
    task: str
    facet: Facet


def facets(results: Results, methods: Sequence[str]) -> list[Facet]:
    """Split the methods by what they learn from, at most FEW to a panel, small kinds together."""
    if len(methods) <= FEW:
        return [Facet("", list(methods))]
    kinds = {method: results.learns_from(method) for method in methods}
    order = [kind for kind in KINDS if kind in kinds.values()]
    order += [kind for kind in dict.fromkeys(kinds.values()) if kind not in order]
    split: list[tuple[list[str], list[str]]] = []
    for kind in order:
        own = [method for method in methods if kinds[method] == kind]
        parts = math.ceil(len(own) / FEW)
        size = math.ceil(len(own) / parts)
        split += [([kind], own[start : start + size]) for start in range(0, len(own), size)]
    # The largest first, and each of the others where it still fits.
    packed: list[tuple[list[str], list[str]]] = []
    for names, own in sorted(split, key=lambda part: -len(part[1])):
        room = [part for part in packed if len(part[1]) + len(own) <= FEW]
        if room:
            room[0][0].extend(name for name in names if name not in room[0][0])
            room[0][1].extend(own)
        else:
            packed.append((list(names), list(own)))
    return [Facet(_words(names), own) for names, own in packed]


def _words(kinds: list[str]) -> str:
    known = [KINDS.get(kind, kind) or "what is not known" for kind in kinds]
    return f"learns from {', '.join(known)}"


def facet_panels(
    results: Results,
    tasks: Sequence[str],
    methods: Sequence[str],
    size: tuple[float, float],
    extra: Sequence[Any] = (),
) -> tuple[Figure, list[Panel]]:
    """Return a figure, its panels with their titles set, and its legends drawn.

    size: of one panel where a task has one, in inches. extra: what else needs a key.
    """
    split = facets(results, methods)
    look = {m: own for m, own in looks(results.methods).items() if m in set(methods)}
    if len(split) == 1:
        columns = min(TASKS_PER_ROW, len(tasks))
        figure, axes = panels(math.ceil(len(tasks) / columns), columns, *size)
        flat = [ax for row in axes for ax in row]
        for ax in flat[len(tasks) :]:
            ax.set_visible(False)
        found = [Panel(ax, task, split[0]) for ax, task in zip(flat, tasks, strict=False)]
        for ax, task, _ in found:
            ax.set_title(results.task_title(task))
        legend(figure, look, results, list(extra))
        return figure, found
    figure, axes = panels(len(tasks), len(split), 4.6, 3.6, share=True)
    found = []
    for task, line in zip(tasks, axes, strict=True):
        for ax, facet in zip(line, split, strict=True):
            ax.set_title(f"{results.task_title(task)}\n{facet.title}", fontsize=10)
            found.append(Panel(ax, task, facet))
    for ax, facet in zip(axes[-1], split, strict=True):
        handles = keys({method: look[method] for method in facet.methods}, results)
        ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    if extra:
        figure.legend(handles=list(extra), loc="outside lower center", ncols=len(extra))
    return figure, found
