"""Two methods against each other, by seed and by prompt: a view of the page."""

from __future__ import annotations

from bench.report.content.section import Section
from bench.results.loading import Results

INTRODUCTION = (
    "Paired differences of two methods at their selected settings, on test prompts. Only a "
    "contrast that was declared beforehand gets a verdict."
)


def head_to_head_section(results: Results) -> Section | None:
    """Return the section; None with one method."""
    if len(results.methods) < 2:
        return None
    return Section("head-to-head", "Head-to-head", INTRODUCTION, view="head-to-head")
