"""The comparison of several results folders: one page, comparison.html."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.cache.files import check_can_be_written, write_named
from bench.errors import UserError
from bench.report.charts.style import RC
from bench.report.content.display import count, listed, visible
from bench.report.content.section import Chart, Column, Part, Section, Tab, Table
from bench.report.page import data
from bench.report.page.html import render_page
from bench.report.page.images import figure_address
from bench.report.several.chart import INTRODUCTION, comparison_plot, task_points
from bench.report.several.comparability import (
    Comparability,
    common_methods,
    common_tasks,
    comparability,
    sft_sentence,
)
from bench.report.several.figure import comparison_figure
from bench.report.several.folders import (
    DATE,
    ORIGIN,
    Folder,
    about_cells,
    read_folders,
    report_link,
)
from bench.report.several.metrics import metrics_section
from bench.report.several.settings import settings_section, settings_tables

FILE = "comparison.html"
SUFFIXES = (".html", ".htm")
FEWEST, MOST = 2, 6
FOLDER_COLUMNS = (
    Column("name", "results", "text"),
    DATE,
    Column("tasks", "tasks", "long"),
    Column("methods", "methods", "long"),
    Column("seeds", "seeds"),
    *ORIGIN,
)
NO_TASK = "Not comparable: no task is in all folders."
NOTHING_DIFFERS = (
    "Nothing differs: the same experiment, settings of methods, versions, hardware and commit."
)


def write_comparison(paths: Sequence[Path], out: Path) -> Path:
    """Write the comparison of results folders; return the page.

    Args:
        paths: From FEWEST to MOST results folders; differences are from the first.
        out: An HTML file, or else a folder for FILE.

    Raises:
        UserError: There are too few or too many folders, one cannot be read, or the page cannot be
            written.
    """
    if len(paths) < FEWEST:
        raise UserError(f"at least {FEWEST} results folders can be compared")
    if len(paths) > MOST:
        raise UserError(f"at most {MOST} results folders can be compared, not {len(paths)}")
    file = out if out.suffix.lower() in SUFFIXES and not out.is_dir() else out / FILE
    check_can_be_written(file)
    folders = read_folders(paths)
    write_named(file, comparison_page(folders, file.parent))
    return file


def comparison_page(folders: Sequence[Folder], page_folder: Path) -> str:
    """Return the page.

    Args:
        folders: What is compared.
        page_folder: Where the page will be, for links to the folders' reports.
    """
    from matplotlib import rc_context

    common = common_tasks(folders)
    tasks = [comparability(folders, task) for task in common]
    methods = list(dict.fromkeys(method for folder in folders for method in folder.results.methods))
    with rc_context(RC):
        chart = chart_section(folders, common, methods)
        images = {c.name: figure_address(c.figure) for c in chart.charts if c.figure}
    sections = (
        comparability_section(folders, tasks),
        folders_section(folders, page_folder),
        chart,
        metrics_section(folders, tasks),
    )
    tabs = [
        Tab("comparison", "Comparison", tuple(filter(None, sections))),
        Tab("settings", "What differs", (settings_section(folders),)),
    ]
    title = f"{listed([folder.name for folder in folders])}, compared"
    about = f"{len(folders)} results folders"
    content = _data(folders, methods, common, chart)
    return render_page(title, about, tabs, images, content)


def comparability_section(folders: Sequence[Folder], tasks: Sequence[Comparability]) -> Section:
    """Return the section: first of all, whether each task is the same in all folders."""
    parts = [
        Part(
            visible(folders[0].results.task_title(found.task)),
            visible(found.statement),
            paragraphs=(sft_sentence(folders, found.task),),
            task=found.task,
        )
        for found in tasks
    ]
    return Section(
        "comparable", "Are they comparable?", parts=tuple(parts) or (Part(statement=NO_TASK),)
    )


def folders_section(folders: Sequence[Folder], page_folder: Path) -> Section:
    """Return the section: a row for each folder, and how much differs between them."""
    rows = [
        {
            "name": report_link(folder.name, folder.path, page_folder),
            "tasks": visible(", ".join(folder.results.tasks)),
            "methods": visible(", ".join(folder.results.methods)),
            "seeds": count(folder.results.runs["seed"].nunique()),
            **about_cells(folder.results.manifest, folder.path, folder.path),
        }
        for folder in folders
    ]
    part = Part(
        paragraphs=(_differing_sentence(folders), *_left_out(folders)),
        tables=(Table.of(FOLDER_COLUMNS, rows),),
    )
    return Section("folders", "What is compared", parts=(part,))


def _differing_sentence(folders: Sequence[Folder]) -> str:
    found = {heading: len(table.rows) for heading, table in settings_tables(folders).items()}
    if not any(found.values()):
        return NOTHING_DIFFERS
    counts = [f"{heading.lower()} ({n})" for heading, n in found.items() if n]
    return f"Differences are in {listed(counts)}: see the tab What differs."


def _left_out(folders: Sequence[Folder]) -> list[str]:
    """Say which tasks and methods are not in all folders."""
    tasks = common_tasks(folders)
    every = dict.fromkeys(task for folder in folders for task in folder.results.tasks)
    sentences = []
    if missing := [task for task in every if task not in tasks]:
        sentences.append(f"Left out, since not every folder has them: the tasks {listed(missing)}.")
    for task in tasks:
        shared = common_methods(folders, task)
        here = dict.fromkeys(
            method
            for folder in folders
            for method in folder.results.runs.loc[folder.results.runs["task"] == task, "method"]
        )
        if lost := [method for method in here if method not in shared]:
            sentences.append(f"Not in every folder on {task}: {listed(lost)}.")
    return [visible(sentence) for sentence in dict.fromkeys(sentences)]


def chart_section(
    folders: Sequence[Folder], tasks: Sequence[str], methods: Sequence[str]
) -> Section:
    """Return the section of reward against KL; empty where there is nothing to draw."""
    points = {task: drawn for task in tasks if (drawn := task_points(folders, task))}
    if not points:
        return Section("frontier", "")
    shown = tuple(comparison_plot(folders, task, drawn) for task, drawn in points.items())
    alt_text = "Reward against KL for every method in each results folder"
    chart = Chart("comparison", alt_text, comparison_figure(folders, points, methods), shown)
    return Section("frontier", "Reward against KL", INTRODUCTION, charts=(chart,))


def _data(
    folders: Sequence[Folder], methods: Sequence[str], common: Sequence[str], chart: Section
) -> dict[str, Any]:
    """Return what the page's scripts read."""
    privileged = {method for folder in folders for method in folder.results.privileged}
    labels = {m: visible(f"{m} (privileged)" if m in privileged else m) for m in methods}
    return {
        "tasks": [each for each in data.tasks(folders[0].results) if each["name"] in common],
        "methods": data.methods(labels, privileged),
        "plots": data.plots([chart]),
    }
