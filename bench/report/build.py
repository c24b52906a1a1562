"""From a results folder to its report: figures/, report.md, report.json and report.html."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.cache.files import write_text
from bench.report.charts.style import RC, save
from bench.report.content.display import seconds
from bench.report.content.section import Section, Tab
from bench.report.markdown import render_markdown
from bench.report.numbers import report_json
from bench.report.page.data import page_data
from bench.report.page.html import render_page
from bench.report.page.images import data_address
from bench.report.paper import write_charts, write_frontier
from bench.report.sections import SECTIONS
from bench.report.short import short_sections
from bench.results.loading import Results, load_results
from bench.results.replacing import replaced_together

# Charts of earlier results go.
OWNED = ("figures/*.png", "figures/*.svg", "figures/paper/*.pdf")


def build_report(folder: Path, paper: bool = False) -> Path:
    """Write figures/, report.md, report.json and report.html; return report.html.

    The same files give the same report. If it cannot be made, the earlier one stays.

    Args:
        folder: The results folder.
        paper: Whether to write all charts in the sizes of papers too, not reward against KL alone.

    Raises:
        UserError: The folder has no runs.csv, or a file of it cannot be read.
        WriteError: The report cannot be written.
    """
    results = load_results(folder)
    tabs = make_tabs(results)
    sections = [section for tab in tabs for section in tab.sections]
    title = str(results.manifest.get("name") or folder.resolve().name)
    about = _about(results.manifest)
    data = page_data(results, sections)
    with replaced_together(folder, OWNED) as new:
        write_figures(sections, new / "figures")
        write_frontier(results, new / "figures" / "paper")
        if paper:
            write_charts(results, new / "figures" / "paper")
        images = {
            chart.name: data_address(new / "figures" / f"{chart.name}.png")
            for section in sections
            for chart in section.charts
            if chart.figure
        }
        write_text(new / "report.md", render_markdown(title, about, short_sections(sections)))
        write_text(new / "report.json", report_json(title, about, tabs, data))
        write_text(new / "report.html", render_page(title, about, tabs, images, data))
    return folder / "report.html"


def make_tabs(results: Results) -> list[Tab]:
    """Return the tabs with the sections that have anything to show, in their order."""
    from matplotlib import rc_context

    with rc_context(RC):
        made = {
            title: tuple(section for make in makers if (section := make(results)))
            for title, makers in SECTIONS.items()
        }
    return [Tab(title.lower(), title, sections) for title, sections in made.items() if sections]


def write_figures(sections: Sequence[Section], folder: Path) -> None:
    """Write every chart as PNG and SVG."""
    from matplotlib import rc_context

    folder.mkdir()
    charts = [chart for section in sections for chart in section.charts]
    with rc_context(RC):
        for chart in charts:
            if chart.figure:
                save(chart.figure, folder, chart.name)


def _about(manifest: dict[str, Any]) -> str:
    """Return one line on when and where the run was made."""
    duration, cached = manifest.get("seconds"), manifest.get("cached_runs")
    parts = [
        str(manifest.get("started") or ""),
        f"ran {seconds(float(duration))} s" if isinstance(duration, int | float) else "",
        f"{cached} of {manifest.get('runs')} runs from the cache" if cached else "",
        str(manifest.get("device") or ""),
        f"commit {str(manifest['commit'])[:12]}" if manifest.get("commit") else "",
    ]
    return " · ".join(filter(None, parts))
