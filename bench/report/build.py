"""From a results folder to its report: figures/, report.md and one self-contained report.html."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.cache.files import write_text
from bench.report.charts.style import RC, save
from bench.report.content.display import seconds
from bench.report.content.section import Section
from bench.report.render import render_html, render_markdown
from bench.report.sections import SECTIONS
from bench.results.loading import Results, load_results


def build_report(folder: Path) -> Path:
    """Write figures/, report.md and report.html from the folder's files; return report.html.

    The same files give the same report.

    Raises:
        UserError: The folder has no runs.csv.
    """
    results = load_results(folder)
    sections = make_sections(results)
    write_figures(sections, folder / "figures")
    title = str(results.manifest.get("name") or folder.resolve().name)
    about = _about(results.manifest)
    write_text(folder / "report.md", render_markdown(title, about, sections))
    page = render_html(title, about, sections, folder / "figures")
    write_text(folder / "report.html", page)
    return folder / "report.html"


def make_sections(results: Results) -> list[Section]:
    """Return the sections that have anything to show, in their order."""
    from matplotlib import rc_context

    with rc_context(RC):
        made = [make(results) for make in SECTIONS]
    return [section for section in made if section]


def write_figures(sections: Sequence[Section], folder: Path) -> None:
    """Write every chart as PNG and SVG; a figure of earlier results is removed."""
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    charts = {chart.name: chart.figure for section in sections for chart in section.charts}
    for file in folder.iterdir():
        if file.suffix in (".png", ".svg") and file.stem not in charts:
            file.unlink()
    with rc_context(RC):
        for name, figure in charts.items():
            save(figure, folder, name)


def _about(manifest: dict[str, Any]) -> str:
    """Return one line on when and where the run was made."""
    duration, cached = manifest.get("seconds"), manifest.get("cached_runs")
    parts = [
        str(manifest.get("started") or ""),
        f"{seconds(float(duration))} s" if isinstance(duration, int | float) else "",
        f"{cached} of {manifest.get('runs')} runs from the cache" if cached else "",
        str(manifest.get("device") or ""),
        f"commit {str(manifest['commit'])[:12]}" if manifest.get("commit") else "",
    ]
    return " · ".join(filter(None, parts))
