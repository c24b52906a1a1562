"""The index of all results below a folder: index.html, the newest first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from bench.cache.files import write_named
from bench.errors import UserError
from bench.report.build import build_report
from bench.report.claims.build import build_claims_page, has_claims
from bench.report.content.display import MISSING, count, visible
from bench.report.content.section import Column, Part, Section, Tab, Table
from bench.report.page.html import render_page
from bench.report.sections.answer import answer_statement
from bench.report.several.folders import (
    DATE,
    ORIGIN,
    about_cells,
    date_of,
    name_of,
    path_text,
    report_link,
)
from bench.results.loading import Results, load_results
from bench.results.schema import RUNS

FILE = "index.html"
# How many folders deep results are looked for.
DEPTH = 3
# What every page of this project has, and no other page.
MARK = "<title>prefrontier: "
COLUMNS = (
    Column("name", "name", "text"),
    DATE,
    Column("answer", "answer", "long"),
    Column("tasks", "tasks", "long"),
    Column("methods", "methods", "long"),
    Column("seeds", "seeds"),
    *ORIGIN,
)


class Entry(NamedTuple):
    """A row of the index.

    Attributes:
        date: When the results were made.
        cells: By the names of COLUMNS.
    """

    date: datetime
    cells: dict[str, Any]


def write_report(folder: Path, paper: bool = False) -> Path:
    """Write the report of a results folder, or the page of those below; return the page.

    The page is that of tested claims where there are any, else an index.

    Args:
        folder: A results folder, or one with some below it.
        paper: Whether a report has every chart in the sizes of papers too.

    Raises:
        UserError: The folder neither is a results folder nor has one below, or the page cannot be
            written.
    """
    if (folder / RUNS.file).is_file():
        return build_report(folder, paper)
    if has_claims(folder):
        return build_claims_page(folder)
    found = find_results(folder)
    return write_index(folder, found) if found else build_report(folder, paper)


def find_results(folder: Path) -> list[Path]:
    """Return the results folders below a folder, each once, but none in a hidden folder."""
    patterns = ["/".join(["*"] * depth + [RUNS.file]) for depth in range(1, DEPTH + 1)]
    found = [file.parent for pattern in patterns for file in folder.glob(pattern) if file.is_file()]
    shown = [
        path
        for path in found
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    # A folder that a link leads to as well is named by its own path.
    once: dict[Path, Path] = {}
    for path in sorted(shown, key=lambda path: (path.is_symlink(), path)):
        once.setdefault(path.resolve(), path)
    return list(once.values())


def write_index(folder: Path, found: Iterable[Path]) -> Path:
    """Write FOLDER/index.html; return it.

    Raises:
        UserError: It cannot be written, or is a page that this project did not write.
    """
    file = folder / FILE
    _check_replaceable(file)
    entries = [make_entry(path, folder) for path in found]
    rows = [entry.cells for entry in sorted(entries, key=lambda entry: entry.date, reverse=True)]
    # Never folded: the table is the page.
    part = Part(tables=(Table(COLUMNS, tuple(rows)),))
    tabs = [Tab("results", "Results", (Section("index", "Results", parts=(part,)),))]
    title = path_text(Path(folder.resolve().name))
    number = len(rows)
    about = f"{count(number)} results folder{'' if number == 1 else 's'}, the newest first"
    write_named(file, render_page(title, about, tabs, {}))
    return file


def make_entry(path: Path, root: Path) -> Entry:
    """Return a folder's row; what cannot be read says why.

    Args:
        path: The results folder.
        root: The folder of the index.
    """
    shown = path.relative_to(root)
    try:
        results = load_results(path)
        name = report_link(name_of(results.manifest, path), path, root)
        cells = {"name": name, **_cells(results), **about_cells(results.manifest, path, shown)}
        return Entry(date_of(results.manifest, path), cells)
    # Whatever is wrong with one folder: the others are listed.
    except Exception as error:
        known = isinstance(error, UserError)
        reason = str(error) if known else f"cannot be read: {type(error).__name__}: {error}"
    dashes = {column.name: MISSING for column in COLUMNS}
    name = report_link(name_of({}, path), path, root)
    answer = {"answer": visible(" ".join(reason.split()))}
    return Entry(date_of({}, path), dashes | about_cells({}, path, shown) | {"name": name} | answer)


def _cells(results: Results) -> dict[str, str]:
    answers = [
        f"{results.task_title(task)}: {answer_statement(results, task)}" for task in results.tasks
    ]
    return {
        "answer": "\n".join(map(visible, answers)),
        "tasks": visible(", ".join(results.tasks)),
        "methods": visible(", ".join(results.methods)),
        "seeds": count(results.runs["seed"].nunique()),
    }


def _check_replaceable(file: Path) -> None:
    """Raise UserError if a file is there that is none of this project's pages."""
    if file.exists() and MARK not in file.read_text("utf-8", "replace"):
        raise UserError(f"{file}: is not a page of prefrontier: move it away first")
