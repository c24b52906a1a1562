"""The page that compares results folders, and the command that writes it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.several import run_folder

from bench.cli import main
from bench.report.several.chart import LOOKS
from bench.report.several.comparison import MOST, write_comparison
from bench.report.several.folders import read_folders, unique_names
from bench.report.several.settings import settings_tables

HOSTILE = '</script><img src=x onerror="alert(1)">'


class Page(HTMLParser):
    """A page's text, its tags, its links, and its data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.inside = "", ""
        self.tags: list[str] = []
        self.links: list[str] = []
        self.data: dict[str, Any] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " " if tag == "td" else ""
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag in ("script", "style"):
            self.inside = "data" if ("id", "data") in attrs else tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "data":
            self.data = json.loads(data)
        self.text += "" if self.inside else data


def page_of(*paths: Path) -> Page:
    return Page(write_comparison(paths, paths[0].parent / "page.html").read_text())


def test_a_folder_compared_with_itself_does_not_differ(tmp_path: Path) -> None:
    path = run_folder(tmp_path / "a")
    page = page_of(path, path)
    assert "Nothing differs: the same experiment" in page.text
    assert "Comparable on polite: the same options" in page.text
    differences = re.findall(r"[+-]?\d[\d.]*%? \[[^\]]+\]", page.text)
    assert differences and not [text for text in differences if re.search("[1-9]", text)]


def test_whether_tasks_are_comparable_is_said_first(tmp_path: Path) -> None:
    tasks = ("polite", "exact")
    page = page_of(
        run_folder(tmp_path / "a", tasks=tasks),
        run_folder(tmp_path / "b", tasks=tasks, options={"labels": 8192}),
    )
    for task in tasks:
        statement = page.text.index(f"Not comparable on {task}: labels 4096 and 8192.")
        assert statement < page.text.index("What is compared") < page.text.index("gold reward")
    assert "Seeds are not paired" in page.text and "6 seeds, paired" not in page.text
    assert "Differences are in task options (2): see the tab What differs." in page.text


def test_folders_without_a_common_task_are_not_compared(tmp_path: Path) -> None:
    page = page_of(
        run_folder(tmp_path / "a", tasks=["polite"]), run_folder(tmp_path / "b", tasks=["haiku"])
    )
    assert "Not comparable: no task is in all folders." in page.text
    assert "the tasks polite and haiku" in page.text and page.data["tasks"] == []


def test_only_what_differs_is_in_the_tables(tmp_path: Path) -> None:
    paths = [
        run_folder(tmp_path / "a"),
        run_folder(
            tmp_path / "b",
            options={"labels": 8192},
            experiment={"methods": {"sft": {}, "dpo": {"grid": {"beta": [1, 2]}}, "ppo": {}}},
            manifest={"device": "cuda", "versions": {"python": "3.11.9", "torch": "3.0"}},
        ),
    ]
    about = pd.read_csv(paths[1] / "methods.csv", keep_default_na=False)
    ppo = about["method"] == "ppo"
    about.loc[ppo, "fixed"] = '{"examples": 1, "masked": true, "epochs": 1}'
    about.to_csv(paths[1] / "methods.csv", index=False)
    found = {
        heading: [list(row.values()) for row in table.rows]
        for heading, table in settings_tables(read_folders(paths)).items()
    }
    assert found == {
        "Versions, hardware and commit": [
            ["device", "cpu", "cuda"],
            ["versions.torch", "2.11.0", "3.0"],
        ],
        "Task options": [["polite.labels", "4096", "8192"]],
        "Experiment": [["methods.dpo.grid.beta", "—", "1 / 2"]],
        "Settings of methods": [["ppo", "examples", "polite", "4096", "1"]],
    }


def test_the_chart_tells_folders_apart_and_methods_keep_their_color(tmp_path: Path) -> None:
    paths = [run_folder(tmp_path / name, tasks=("polite", "exact")) for name in "abc"]
    data = page_of(*paths).data
    plots = data["plots"]["comparison"]
    assert [plot["task"] for plot in plots] == ["polite", "exact"]
    means = plots[0]["data"]["means"]
    assert {(row["results"], row["method"]) for row in means} == {
        (folder, method) for folder in "abc" for method in ("sft", "dpo", "ppo")
    }
    looks = {method["name"]: method["color"] for method in data["methods"]}
    assert len(set(looks.values())) == 3 and looks["ppo"] == "#D55E00"
    spec = json.dumps(plots[0]["specs"]["√KL"])
    for encoding in ('"strokeDash": {"field": "results"', '"fillOpacity": {"field": "results"'):
        assert encoding in spec
    assert [mark["label"] for mark in plots[0]["key"]] == list("abc")
    assert len({look.dash for look in LOOKS}) == len({look.fill for look in LOOKS}) == MOST


def test_hostile_names_are_only_shown(tmp_path: Path) -> None:
    def renamed(runs: pd.DataFrame) -> pd.DataFrame:
        return runs.assign(method=runs["method"].replace("dpo", HOSTILE))

    paths = [
        run_folder(tmp_path / name, manifest={"name": HOSTILE, "commit": f"{HOSTILE}{name}"})
        for name in ("a", "b\u202e")
    ]
    for path in paths:
        runs = pd.read_csv(path / "runs.csv", dtype=str, keep_default_na=False)
        renamed(runs).to_csv(path / "runs.csv", index=False)
        (path / "report.html").write_text("x")
    text = write_comparison(paths, tmp_path / "page.html").read_text()
    page = Page(text)
    # The static chart is the page's only image.
    assert page.tags.count("img") == 1 and HOSTILE in page.text
    assert HOSTILE in {method["name"] for method in page.data["methods"]}
    assert "\u202e" not in page.text
    assert "./b%E2%80%AE/report.html" in page.links


def test_names_are_unique() -> None:
    paths = [Path("x/a"), Path("x/b"), Path("y")]
    assert unique_names(["run", "run", "other"], paths) == ["run (x/a)", "run (x/b)", "other"]
    assert unique_names(["run", "run", "run (x/a)"], paths)[0] == "1. run (x/a)"
    assert len(set(unique_names(["run", "run"], [paths[0]] * 2))) == 2


@pytest.mark.parametrize(
    ("out", "file"),
    [("new/folder", "new/folder/comparison.html"), ("c.html", "c.html"), (".", "comparison.html")],
)
def test_the_page_is_written_where_it_is_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, file: str
) -> None:
    path = str(run_folder(tmp_path / "a", methods=("sft", "dpo"), seeds=1))
    with pytest.raises(SystemExit) as stopped:
        main(["compare", path, path, "--out", str(tmp_path / out)])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"{tmp_path / file}\n"
    assert (tmp_path / file).read_text().startswith("<!doctype html>")


def test_by_default_the_page_is_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_folder(tmp_path / "a", methods=("sft",), seeds=1)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["compare", "a", "a"])
    assert (tmp_path / "comparison.html").exists()


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["a"], "at least 2 results folders"),
        (["a"] * 7, "at most 6 results folders can be compared, not 7"),
        (["a", "nothing"], "it has no runs.csv"),
        (["a", "torn"], "torn/runs.csv: line 1: cannot be read as CSV: unexpected end of data"),
        (["a", "bad_yaml"], "experiment.yaml: not readable as YAML"),
        (["a", "a", "--out", "a/runs.csv/x.html"], "cannot be written"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folders: list[str],
    message: str,
) -> None:
    for name in ("a", "torn", "bad_yaml"):
        run_folder(tmp_path / name, methods=("sft",), seeds=1)
    (tmp_path / "torn" / "runs.csv").write_text('"a')
    (tmp_path / "bad_yaml" / "experiment.yaml").write_text("a: [")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *folders])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("prefrontier: ") and error.count("\n") == 1 and message in error
