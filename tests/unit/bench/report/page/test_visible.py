"""Names and errors that try to act are shown as codes, in the page and in Markdown."""

from __future__ import annotations

from pathlib import Path

from helpers.synthetic import fail, make_runs, write_folder

from bench.report.build import make_tabs
from bench.report.content.display import ACTING
from bench.report.markdown import render_markdown
from bench.report.page.data import page_data
from bench.report.page.html import render_page
from bench.results import schema
from bench.results.loading import load_results

ACTS = "\x1b[31m\u202e\u061c\u200b"
CODES = "[U+001B][31m[U+202E][U+061C][U+200B]"


def test_names_and_errors_show_codes_in_place_of_what_acts(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo"], 1)
    runs = fail(runs, runs["strength"] == 0.1, f"error{ACTS}")
    folder = write_folder(tmp_path, runs)
    for table in schema.TABLES:
        if (folder / table.file).exists():
            rows = table.read(folder)
            for name in {"method", "opponent"} & set(rows):
                rows[name] = rows[name].replace("dpo", f"dpo{ACTS}")
            table.write(folder, rows.assign(task=f"task{ACTS}"))
    results = load_results(folder)
    tabs = make_tabs(results)
    sections = [section for tab in tabs for section in tab.sections]
    images = {chart.name: "data:" for section in sections for chart in section.charts}
    page = render_page(f"name{ACTS}", "", tabs, images, page_data(results, sections))
    # Scripts read names as they are, and the attributes that they are looked up by.
    shown = page.partition("<body>")[2].partition("<script")[0]
    shown = shown.replace(f'data-task="task{ACTS}"', "")
    short = render_markdown(f"name{ACTS}", "", sections)
    assert not ACTING.search(shown) and not ACTING.search(short)
    assert f"dpo{CODES}" in shown and f"error{CODES}" in shown
