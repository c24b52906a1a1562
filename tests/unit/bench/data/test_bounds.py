"""Data of any size and kind is read, or refused in one line, in bounded time and memory."""

from __future__ import annotations

import datetime
import gzip
import json
import os
import re
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.preferences import open_recorded, pairs, unpaired, write_rows
from helpers.row_files import as_csv, as_jsonl, check, write

from bench.data import checks, lines, reading, tables
from bench.data.checks import TooManyBadRowsError, count_problems
from bench.data.reading import fingerprint, read_rows
from bench.data.rows import MOST_ROW, BadRow, Code, characters
from bench.data.wording import problem_lines, too_many_bad_rows_text
from bench.errors import UserError

GOOD = pairs(20)
LONG = "x" * (MOST_ROW + 1)
MB = 2**20


def long_row(place: str) -> dict[str, object]:
    return {**GOOD[0], place: LONG}


def zipped(content: bytes) -> bytes:
    return gzip.compress(content, 1)


@pytest.mark.parametrize("place", ["prompt", "chosen", "another"])
@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.json", "x.parquet"])
def test_a_row_that_is_too_long_is_left_out(tmp_path: Path, name: str, place: str) -> None:
    rows = [{"another": "", **row} for row in [*GOOD, long_row(place), *GOOD]]
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    else:
        content = json.dumps(rows).encode() if name == "x.json" else as_jsonl(rows)
        write(tmp_path / name, zipped(content) if name.endswith(".gz") else content)
    checked = check(str(tmp_path / name))
    assert len(checked.labels) == 40
    assert checked.bad == [BadRow(21, Code.TOO_LONG, {})]
    assert problem_lines(count_problems(checked.bad)) == ["1 a row of more than 4 MB: line 21"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("x.csv", as_csv(GOOD) + b'"' + LONG.encode() + b'",a,b\n', "row that begins in line 22"),
        ("x.csv", as_csv(GOOD) + LONG.encode(), "row that begins in line 22 has more than 4 MB"),
        ("x.csv", b'a,b\n1,2\n1,"' + b"x,y\n" * (2 * MB), "line 3 has more than 4 MB: is a quote"),
        ("x.csv", b'"' + LONG.encode(), "the row that begins in line 1 has more than 4 MB"),
        ("x.csv", b"pro\0mpt,chosen\na,b\n", "the header is not UTF-8 text"),
        ("x.csv", ",".join(["c", *(f"c{i}" for i in range(50_000)), "c"]).encode(), "'c' more tha"),
        ("x.csv", "a,b\n1,2\n".encode("utf-16"), "the header is not UTF-8 text"),
    ],
)
def test_a_table_with_a_row_that_never_ends_is_refused(
    tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    source = write(tmp_path / name, content)
    with pytest.raises(UserError, match=complaint) as caught:
        list(read_rows(source))
    assert str(caught.value).startswith(f"{source}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "unit", "complaint"),
    [
        ("x.jsonl.gz", b"\0", "has more than 0 GB of text; set rows to read fewer"),
        ("x.jsonl.gz", b"\n", "has more than 20,000 lines; set rows to read fewer"),
        ("x.jsonl.gz", b"x\n", "no row of 10,000 can be used: 10,000 not JSON"),
        ("x.jsonl.gz", as_jsonl(GOOD[:1]), "has more than 20,000 lines"),
        ("x.json.gz", b"[[", "a JSON list of more than 4 MB; write it as .jsonl"),
        ("x.json.gz", b" ", "has more than 0 GB of text"),
        ("x.csv.gz", b"x", "the row that begins in line 1 has more than 4 MB"),
        ("x.csv.gz", b"x\n", "no row of 10,000 can be used: 10,000 columns of no known form"),
        ("x.csv.gz", b"\n", "has more than 20,000 lines"),
        ("x.csv.gz", b'"",', "the row that begins in line 1 has more than 4 MB"),
    ],
)
def test_a_bomb_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, unit: bytes, complaint: str
) -> None:
    """The limits on the whole are small here, so that little has to be unpacked."""
    monkeypatch.setattr(reading, "MOST_TEXT", 16 * MB)
    monkeypatch.setattr(lines, "MOST_LIST", 4 * MB)
    monkeypatch.setattr(checks, "MOST_BAD", 10_000)
    for module in (lines, tables):
        monkeypatch.setattr(module, "MOST_ROWS", 20_000)
    source = write(tmp_path / name, zipped(unit * (64 * MB // len(unit))))
    tracemalloc.start()
    with pytest.raises((UserError, TooManyBadRowsError)) as caught:
        check(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    error = caught.value
    is_count = isinstance(error, TooManyBadRowsError)
    text = too_many_bad_rows_text(source, error) if is_count else str(error)
    assert re.search(complaint, text), text
    assert text.startswith(f"{source}: ") and "\n" not in text
    assert peak < 100 * MB


def test_rows_that_are_not_wanted_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_ROWS", 30)
    source = write(tmp_path / "x.jsonl", as_jsonl(GOOD * 2))
    rows = read_rows(source)
    assert [next(rows).line for _ in range(30)] == [*range(1, 31)]
    with pytest.raises(UserError, match="has more than 30 rows; set rows to read fewer"):
        next(rows)


def fifo(file: Path) -> None:
    os.mkfifo(file)


def bound_socket(file: Path) -> None:
    # The name of a socket may have about 100 characters.
    here = Path.cwd()
    os.chdir(file.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(file.name)
    finally:
        os.chdir(here)


def endless(file: Path) -> None:
    file.symlink_to("/dev/zero")


def itself(file: Path) -> None:
    file.symlink_to(file.name)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (fifo, "must be a file or a folder"),
        (bound_socket, "must be a file or a folder"),
        (endless, "must be a file or a folder"),
        (itself, "no such file"),
    ],
)
def test_what_is_no_file_is_not_opened(
    tmp_path: Path, make: Callable[[Path], None], complaint: str
) -> None:
    file = tmp_path / "x.jsonl"
    make(file)
    for read in (lambda: list(read_rows(str(file))), lambda: fingerprint(str(file))):
        with pytest.raises(UserError, match=complaint):
            read()
    # Nor in a folder of files.
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder / "y.jsonl")
    (folder / "up").symlink_to("..")
    fingerprint(str(folder))


def test_a_column_without_a_type_in_python_is_nothing_where_it_is_not_used(tmp_path: Path) -> None:
    strange = {
        "when": pa.array([2**62] * 20, pa.timestamp("us")),
        "day": pa.array([2**30] * 20, pa.date32()),
        "took": pa.array([2**62] * 20, pa.duration("s")),
        "twice": pa.StructArray.from_arrays([pa.array([1] * 20)] * 2, names=["a", "a"]),
        "place": pa.array([0] * 20, pa.timestamp("us", "Nowhere/Land")),
        "late": pa.array([datetime.time(1)] * 20),
    }
    columns = {name: [row[name] for row in GOOD] for name in GOOD[0]}
    pq.write_table(pa.table({**columns, **strange}), tmp_path / "x.parquet")
    checked = check(str(tmp_path / "x.parquet"))
    assert len(checked.labels) == 20 and not checked.bad
    for name, values in strange.items():
        file = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({**columns, "prompt": values}), file)
        assert {row.code for row in check(str(file)).bad} == {Code.NOT_TEXT_OR_TURNS}


def test_a_text_that_many_rows_share_is_copied_for_few_at_a_time(tmp_path: Path) -> None:
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * 500), pa.array(["x" * (4 * MB + 1)]))
    table = pa.table({"prompt": shared, "chosen": ["a"] * 500, "rejected": ["b"] * 500})
    pq.write_table(table, tmp_path / "x.parquet")
    assert (tmp_path / "x.parquet").stat().st_size < MB
    tracemalloc.start()
    checked = check(str(tmp_path / "x.parquet"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.code for row in checked.bad] == [Code.TOO_LONG] * 500
    assert peak < 200 * MB


@pytest.mark.parametrize(
    ("value", "count"),
    [("ab", 2), (b"abc", 3), ({"key": ["x", {"y": "zz"}]}, 7), (7, 0), (None, 0), ([[]], 0)],
)
def test_characters_are_counted_at_any_depth(value: object, count: int) -> None:
    assert characters(value) == count
    for _ in range(5000):
        value = [value]
    assert characters(value) == count


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (lambda i: False, r"all 43 unpaired labels of the train split are false: both true and"),
        (lambda i: True, r"all 43 unpaired labels of the train split are true: both true and"),
        (lambda i: i == 0, r"all \d+ unpaired labels of the (train|judge) split are false"),
    ],
)
def test_unpaired_labels_of_one_kind_teach_nothing(
    tmp_path: Path, labels: Callable[[int], bool], complaint: str
) -> None:
    rows = [{**row, "label": labels(i)} for i, row in enumerate(unpaired(80))]
    with pytest.raises(UserError, match=complaint) as caught:
        open_recorded(tmp_path, write_rows(tmp_path / "prefs.jsonl", rows))
    assert "\n" not in str(caught.value)


def test_there_must_be_rows_to_order() -> None:
    from methods.core.training.length_batching import in_order

    with pytest.raises(ValueError, match="no rows to train on"):
        in_order([], [], 8, 4, 0)
