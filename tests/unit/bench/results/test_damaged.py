"""Damaged results folders: one line with file, place and what is allowed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic import make_runs, write_folder

from bench.errors import UserError
from bench.results.columns import Table
from bench.results.loading import load_results
from bench.results.schema import PAIRS, TABLES

# Each alias stands for ten of the one before: a hundred million values in all.
LAUGHS = "\n".join(
    ["a0: &a0 [1]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9))]
).encode()
NOISE = np.random.default_rng(0).bytes(3000)
ROWS = [["task", "method", "params", "seed", "split", "status", "reward"]] + [
    ["a", "sft", "{}", str(seed), split, "ok", "1.5"]
    for seed in range(2)
    for split in ("validation", "test")
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "run", make_runs(["polite"], ["sft", "dpo"], 2))


def complaint(folder: Path) -> str:
    with pytest.raises(UserError) as raised:
        load_results(folder)
    message = str(raised.value)
    assert "\n" not in message and message.startswith(str(folder)), message
    return message.removeprefix(f"{folder}/")


def write_runs(folder: Path, rows: list[list[str]]) -> None:
    with (folder / "runs.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def edited(row: int, column: str, value: str) -> list[list[str]]:
    rows = [list(each) for each in ROWS]
    rows[row][ROWS[0].index(column)] = value
    return rows


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.file)
@pytest.mark.parametrize("content", [b"", b"\n", NOISE, b'"a', b"{}", b"\xff"])
def test_noise_in_place_of_any_table_is_one_line(
    folder: Path, table: Table, content: bytes
) -> None:
    (folder / table.file).write_bytes(content)
    with pytest.raises(UserError) as raised:
        # Only the judge reads pairs.
        table.read(folder) if table is PAIRS else load_results(folder)
    message = str(raised.value)
    assert "\n" not in message and message.startswith(str(folder / table.file))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (edited(2, "reward", "x.11"), 'line 3: reward is "x.11"; allowed: a number, or nothing'),
        (edited(2, "reward", "1,5"), 'line 3: reward is "1,5"'),
        (edited(2, "reward", "1e999"), 'line 3: reward is "1e999"'),
        (edited(4, "seed", "0.5"), 'line 5: seed is "0.5"; allowed: a whole number'),
        (edited(4, "seed", ""), 'line 5: seed is ""; allowed: a whole number'),
        (edited(1, "status", "OK"), 'line 2: status is "OK"; allowed: ok, failed, diverged'),
        (edited(1, "split", "tset"), 'line 2: split is "tset"; allowed: train, validation, test'),
        (edited(1, "task", ""), 'line 2: task is ""; allowed: text that is not empty'),
        (edited(3, "seed", "0"), 'line 4: a run is there twice: task "a", method "sft", params'),
        (edited(0, "reward", "rewards"), "column reward is missing; needed: task, method, params"),
        (edited(0, "reward", "seed"), 'column "seed" is there twice'),
        ([*ROWS, ROWS[0]], "line 6: is the header again"),
        ([*ROWS, ROWS[1][:3]], "line 6: has 3 cells; the header has 7"),
        ([*ROWS, [*ROWS[1], ""]], "line 6: has 8 cells; the header has 7"),
        (ROWS[:1], "has no run"),
        ([ROWS[0], ["a\nb", *ROWS[1][1:]], *edited(2, "reward", "-")[2:]], "line 4: reward is"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line(
    tmp_path: Path, rows: list[list[str]], message: str
) -> None:
    write_runs(tmp_path, ROWS)
    assert load_results(tmp_path).tasks == ["a"]
    write_runs(tmp_path, rows)
    assert complaint(tmp_path).startswith(f"runs.csv: {message}")


def test_half_a_quote_is_named_with_its_line(tmp_path: Path) -> None:
    write_runs(tmp_path, ROWS)
    lines = (tmp_path / "runs.csv").read_text().splitlines()
    (tmp_path / "runs.csv").write_text("\n".join([*lines[:2], '"' + lines[2], *lines[3:]]))
    assert complaint(tmp_path).startswith("runs.csv: line 3: cannot be read as CSV")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="response"), "column response is missing"),
        (lambda frame: frame.assign(response=[[1]] * len(frame)), "row 1: response is"),
        (lambda frame: frame.assign(response=b"a"), "row 1: response is b'a'"),
        (lambda frame: frame.assign(seed="one"), 'row 1: seed is "one"'),
        (lambda frame: frame.assign(seed=None), "row 1: seed is"),
        (lambda frame: frame.assign(method=7), "row 1: method is 7; allowed: text"),
        (lambda frame: frame.assign(reward=[[1.0]] * len(frame)), "row 1: reward is"),
    ],
)
def test_a_wrong_type_in_parquet_is_named_with_its_row(
    folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    file = folder / "samples.parquet"
    change(pd.read_parquet(file)).to_parquet(file)
    assert complaint(folder).startswith(f"samples.parquet: {message}")
    file.write_bytes(file.read_bytes()[:-100])
    assert complaint(folder).startswith("samples.parquet: cannot be read")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable as JSON"),
        ("[" * 10_000, "not readable as JSON"),
        ("[]", "all of it: input should be"),
        ("null", "all of it: input should be"),
        ('{"tasks": [1]}', "tasks: input should be a valid dictionary, not [1]"),
        ('{"tasks": {"a": {"ends": "x"}}}', 'tasks.a.ends: input should be a valid list, not "x"'),
        ('{"methods": {"a": {"privileged": "no"}}}', "methods.a.privileged: input should be"),
        ('{"policies": [null]}', "policies.0: input should be"),
        ('{"stages": [{"task": "a"}]}', "stages.0.seed: field required"),
        ('{"seconds": NaN}', "seconds: input should be a finite number"),
        ('{"calibration": {}}', "calibration.instances: field required"),
    ],
)
def test_a_wrong_manifest_is_named_with_its_field(folder: Path, content: str, message: str) -> None:
    (folder / "manifest.json").write_text(content)
    assert complaint(folder).startswith(f"manifest.json: {message}")


def test_nulls_in_a_manifest_are_what_is_not_known(folder: Path) -> None:
    names = ("name", "tasks", "methods", "policies", "stages", "seconds", "calibration")
    about = dict.fromkeys(names)
    (folder / "manifest.json").write_text(json.dumps(about | {"tasks": {"polite": None}}))
    results = load_results(folder)
    assert (results.task_title("polite"), results.privileged) == ("polite", frozenset())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "not readable as YAML"),
        (b"name: [", "not readable as YAML"),
        (b"[" * 5000, "not readable as YAML"),
        (b"a: &a {x: *a}", "not readable as YAML"),
        (b"a: !!python/object/apply:os.getcwd []", "not readable as YAML"),
        (LAUGHS, "not readable as YAML: its aliases stand for more than 20,000 values"),
        (b"budget: !!bool x", "not readable as YAML: line 1: the tag"),
        (b"- 1", "all of it: input should be"),
        (b"contrasts: [dpo]", "contrasts.0: input should be a valid list"),
        (b"contrasts: [[dpo]]", "contrasts.0: list should have at least 2 items"),
        (b"budget: x", "budget: input should be a valid integer"),
        (b"evaluation: {temperature: hot}", "evaluation.temperature: input should be"),
    ],
)
def test_a_wrong_experiment_is_one_line(folder: Path, content: bytes, message: str) -> None:
    (folder / "experiment.yaml").write_bytes(content)
    assert complaint(folder).startswith(f"experiment.yaml: {message}")


@pytest.mark.parametrize("name", ["NA", "null", "nan", "None", "True", "1e5", "-", "N/A", " dpo "])
def test_names_that_look_like_values_stay_names(tmp_path: Path, name: str) -> None:
    runs = make_runs(["polite"], ["sft", "dpo"], 1)
    runs["method"] = runs["method"].replace("dpo", name)
    runs["task"] = name
    TABLES[0].write(tmp_path, runs)
    results = load_results(tmp_path)
    assert (results.tasks, results.methods) == ([name], ["sft", name])
