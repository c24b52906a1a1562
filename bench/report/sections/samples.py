"""The same prompt answered by all methods, side by side: a view of the page."""

from __future__ import annotations

from bench.report.content.section import Section
from bench.results.loading import Results

INTRODUCTION = (
    "Responses to test prompts at each method's selected setting. Words that differ from the SFT "
    "policy's response are marked."
)


def samples_section(results: Results) -> Section | None:
    """Return the section; None where no samples were kept."""
    if results.samples.empty:
        return None
    return Section("samples", "Samples", INTRODUCTION, view="samples")
