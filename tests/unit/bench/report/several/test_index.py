"""The index of all results below a folder."""

from __future__ import annotations

import html
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from helpers.synthetic import make_runs, write_folder

from bench.cli import main
from bench.errors import UserError
from bench.report.several.index import find_results, write_report

HOSTILE = '<img src=x onerror="alert(1)">'


class Table(HTMLParser):
    """The rows of a page's table as text, and its links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "a" and self.rows:
            self.links.append(dict(attrs)["href"] or "")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.rstrip("\n")


def small_folder(folder: Path, **manifest: object) -> Path:
    """Write results of two methods with two seeds, with these fields in the manifest."""
    write_folder(folder, make_runs(["polite"], ["sft", "dpo"], 2))
    content = json.loads((folder / "manifest.json").read_text()) | manifest
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


def index_of(folder: Path) -> list[dict[str, str]]:
    """Return the rows of a folder's index by heading."""
    head, *rows = Table(write_report(folder).read_text()).rows
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_the_index_lists_results_at_any_depth_newest_first(tmp_path: Path) -> None:
    small_folder(tmp_path / "old", name="first", started="2026-01-02 03:04:05")
    small_folder(tmp_path / "a" / "b" / "new", name="third", finished="2026-03-01 00:00:00")
    small_folder(tmp_path / "a" / "mid", name="second", started="2026-02-01 00:00", commit="c0ffee")
    small_folder(tmp_path / "a" / "b" / "c" / "too_deep")
    small_folder(tmp_path / ".cache" / "hidden")
    rows = index_of(tmp_path)
    assert [(row["name"], row["folder"]) for row in rows] == [
        ("third", "a/b/new"),
        ("second", "a/mid"),
        ("first", "old"),
    ]
    assert [row["date"] for row in rows] == [
        "2026-03-01 00:00",
        "2026-02-01 00:00",
        "2026-01-02 03:04",
    ]
    middle = rows[1]
    shown = {name: middle[name] for name in ("tasks", "methods", "seeds", "device", "commit")}
    assert shown == {
        "tasks": "polite",
        "methods": "sft, dpo",
        "seeds": "2",
        "device": "cpu",
        "commit": "c0ffee",
    }
    assert middle["answer"].startswith("polite: support replies: Too few seeds for a verdict")


def test_results_without_a_date_have_that_of_their_file(tmp_path: Path) -> None:
    folder = small_folder(tmp_path / "run", started="yesterday")
    (folder / "manifest.json").unlink()
    os.utime(folder / "runs.csv", (1_700_000_000, 1_700_000_000))
    [row] = index_of(tmp_path)
    assert row["date"].startswith("2023-11-1") and row["name"] == "run"


def test_a_folder_that_cannot_be_read_is_listed_with_the_reason(tmp_path: Path) -> None:
    small_folder(tmp_path / "good")
    bad = {
        "torn": ("runs.csv", '"a'),
        "empty": ("runs.csv", ""),
        "list": ("manifest.json", "[1]"),
        "text": ("manifest.json", '{"tasks": {"polite": "x"}}'),
        "yaml": ("experiment.yaml", "contrasts: 3"),
    }
    for name, (file, text) in bad.items():
        (small_folder(tmp_path / name) / file).write_text(text)
    rows = {row["folder"]: row["answer"] for row in index_of(tmp_path)}
    assert "line 1: cannot be read as CSV: unexpected end of data" in rows["torn"]
    assert "runs.csv: is empty" in rows["empty"]
    assert rows["list"].endswith("all of it: input should be a valid dictionary, not [1]")
    assert rows["text"].endswith('tasks.polite: input should be a valid dictionary, not "x"')
    assert "contrasts: input should be a valid list, not 3" in rows["yaml"]
    assert "verdict" in rows["good"]


def test_links_lead_to_the_reports_that_there_are(tmp_path: Path) -> None:
    names = ["plain", "a b", "100%25", "#x?y", "javascript:alert(1)", 'q"<b>', "über"]
    for name in names:
        (small_folder(tmp_path / name) / "report.html").write_text("x")
    small_folder(tmp_path / "none")
    links = Table(write_report(tmp_path).read_text()).links
    assert len(links) == len(names)
    assert all(re.fullmatch(r"\./[A-Za-z0-9_.%~-]+/report\.html", link) for link in links)
    assert {unquote(link) for link in links} == {f"./{name}/report.html" for name in names}


def test_hostile_names_are_only_shown(tmp_path: Path) -> None:
    small_folder(tmp_path / "a", name=HOSTILE, device=HOSTILE, commit="a\u202eb")
    text = write_report(tmp_path).read_text()
    assert "img" not in Table(text).tags and html.escape(HOSTILE, quote=False)[:20] in text
    assert "\u202e" not in text
    assert "script" not in Table(text).tags, "an index needs none"


def test_a_link_to_a_folder_is_no_other_folder(tmp_path: Path) -> None:
    folder = small_folder(tmp_path / "run")
    (tmp_path / "latest").symlink_to(folder)
    assert find_results(tmp_path) == [folder]


def test_an_index_replaces_an_index_and_no_other_page(tmp_path: Path) -> None:
    small_folder(tmp_path / "run")
    assert write_report(tmp_path) == write_report(tmp_path)
    (tmp_path / "index.html").write_text("<title>My home page</title>")
    with pytest.raises(UserError, match="is not a page of prefrontier"):
        write_report(tmp_path)
    assert (tmp_path / "index.html").read_text() == "<title>My home page</title>"


def test_a_folder_without_results_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["report", str(tmp_path)])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "it has no runs.csv" in message
