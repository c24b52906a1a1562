"""What the page's scripts read: tasks, methods, plots, samples, and every pair of methods."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from bench.report.charts.style import looks
from bench.report.content.display import visible
from bench.report.content.section import Section
from bench.report.page.head_to_head import head_to_head_data
from bench.report.page.samples import sample_data
from bench.results.loading import Results

# Of the page, which has room for the samples of the default comparison.
MOST_SAMPLE_BYTES = 700_000


def page_data(results: Results, sections: Iterable[Section]) -> dict[str, Any]:
    """Return the data as the scripts read them."""
    return {
        "tasks": tasks(results),
        "methods": methods(
            {method: visible(results.marked(method)) for method in results.methods},
            results.privileged,
        ),
        "plots": plots(sections),
        "head_to_head": head_to_head_data(results),
        "samples": sample_data(results, MOST_SAMPLE_BYTES),
    }


def tasks(results: Results) -> list[dict[str, Any]]:
    """Return each task's name, title, and what gives its reward."""
    return [
        {
            "name": task,
            "title": visible(results.task_title(task)),
            "source": results.reward_source(task),
        }
        for task in results.tasks
    ]


def methods(labels: Mapping[str, str], privileged: Collection[str]) -> list[dict[str, Any]]:
    """Return each method's name and look.

    Args:
        labels: What each method is called, by name; their order decides on looks.
        privileged: Methods that were given the gold reward.
    """
    return [
        {
            "name": method,
            "label": labels[method],
            "color": look.color,
            "dark_color": look.dark_color,
            "shape": look.path,
            "privileged": method in privileged,
        }
        for method, look in looks(list(labels)).items()
    ]


def plots(sections: Iterable[Section]) -> dict[str, list[dict[str, Any]]]:
    """Return the plots of every chart that has some."""
    return {
        chart.name: [
            {
                "task": plot.task,
                "title": plot.title,
                "switches": [switch._asdict() for switch in plot.switches],
                "key": [mark._asdict() for mark in plot.key],
                "specs": plot.specs,
                "data": plot.data,
            }
            for plot in chart.plots
        ]
        for section in sections
        for chart in section.charts
        if chart.plots
    }
