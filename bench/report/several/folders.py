"""Results folders as pages about several of them name, date and link them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from bench.report.content.display import MISSING, Link, file_link, visible
from bench.report.content.section import Column
from bench.results.loading import Results, load_results
from bench.results.schema import RUNS

# Longer names are cut: they are headings.
LONGEST_NAME = 60
REPORT = "report.html"
DATE = Column("date", "date", "text")
# Where results were made, for tables with a row for each folder.
ORIGIN = (
    Column("device", "device", "text"),
    Column("commit", "commit", "text"),
    Column("folder", "folder", "long"),
)


class Folder(NamedTuple):
    """A results folder that was read.

    Attributes:
        path: As the user named it.
        name: Its name among the others, of which no two are the same.
        results: What it holds.
    """

    path: Path
    name: str
    results: Results


def read_folders(paths: Sequence[Path]) -> list[Folder]:
    """Read results folders, and name each by its manifest.

    Raises:
        UserError: One cannot be read.
    """
    read = [load_results(path) for path in paths]
    names = unique_names(
        [name_of(results.manifest, path) for path, results in zip(paths, read, strict=True)], paths
    )
    return [Folder(*each) for each in zip(paths, names, read, strict=True)]


def name_of(manifest: Mapping[str, Any], path: Path) -> str:
    """Return what a folder's results are called."""
    name = visible(
        " ".join(str(manifest.get("name") or path_text(Path(path.resolve().name))).split())
    )
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def path_text(path: Path) -> str:
    """Return a path as text, which it need not be."""
    return visible(os.fsencode(path.as_posix()).decode("utf-8", "replace"))


def unique_names(names: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """Return the names with the path behind those that occur twice, numbered if they must be."""
    labels = [
        f"{name} ({path_text(path)})" if names.count(name) > 1 else name
        for name, path in zip(names, paths, strict=True)
    ]
    if len(set(labels)) == len(labels):
        return labels
    return [f"{i}. {label}" for i, label in enumerate(labels, start=1)]


def date_of(manifest: Mapping[str, Any], path: Path) -> datetime:
    """Return when a run finished, or started, or else when its runs.csv was written."""
    for field in ("finished", "started"):
        try:
            return datetime.fromisoformat(str(manifest.get(field))).astimezone()
        except (ValueError, OverflowError, OSError):
            continue
    return datetime.fromtimestamp((path / RUNS.file).stat().st_mtime).astimezone()


def about_cells(manifest: Mapping[str, Any], path: Path, shown: Path) -> dict[str, str]:
    """Return the cells of DATE and ORIGIN.

    Args:
        manifest: The manifest, empty where it is missing.
        path: The folder.
        shown: The path by which the page names it.
    """
    return {
        "date": f"{date_of(manifest, path):%Y-%m-%d %H:%M}",
        "device": visible(str(manifest.get("device") or MISSING)),
        "commit": visible(str(manifest.get("commit") or MISSING)[:20]),
        "folder": path_text(shown),
    }


def report_link(name: str, path: Path, page_folder: Path) -> Link | str:
    """Return a name as a link to the folder's report, the name alone where there is none.

    Args:
        name: What is shown.
        path: The results folder.
        page_folder: The folder of the page that holds the link.
    """
    report = path / REPORT
    if not report.is_file():
        return name
    try:
        relative = os.path.relpath(report, page_folder)
    except ValueError:  # on another drive
        return name
    return file_link(name, Path(relative))
