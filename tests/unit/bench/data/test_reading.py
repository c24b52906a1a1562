"""The same rows in every type of file give the same labels, and bad rows have their lines."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.row_files import (
    TRUTH,
    as_csv,
    as_json,
    as_jsonl,
    as_numpy_parquet,
    as_parquet,
    check,
    explicit_rows,
    hh_rows,
    implicit_rows,
    write,
)

from bench.data.reading import fingerprint, read_rows
from bench.data.rows import BadRow, Code, Row
from bench.data.splits import Shares, split_labels
from bench.errors import UserError

FILES: dict[str, Callable[[], bytes]] = {
    "hh.jsonl": lambda: as_jsonl(hh_rows()),
    "hh.JSONL.GZ": lambda: gzip.compress(as_jsonl(hh_rows())),
    "bom.jsonl": lambda: b"\xef\xbb\xbf" + as_jsonl(hh_rows()),
    "crlf.jsonl": lambda: as_jsonl(hh_rows()).replace(b"\n", b"\r\n"),
    "unended.jsonl": lambda: as_jsonl(hh_rows()).rstrip(b"\n"),
    "explicit.jsonl": lambda: as_jsonl(explicit_rows()),
    "list.json": lambda: as_json(hh_rows()),
    "list.json.gz": lambda: gzip.compress(as_json(implicit_rows())),
    "lines.json": lambda: as_jsonl(hh_rows()),
    "hh.csv": lambda: as_csv(hh_rows()),
    "hh.csv.gz": lambda: gzip.compress(as_csv(hh_rows())),
    "crlf.csv": lambda: b"\xef\xbb\xbf" + as_csv(hh_rows(), "\r\n"),
    "explicit.csv": lambda: as_csv(explicit_rows()),
    "hh.parquet": lambda: as_parquet(hh_rows()),
    "explicit.parquet": lambda: as_parquet(explicit_rows()),
    "implicit.parquet": lambda: as_parquet(implicit_rows()),
    "numpy.parquet": lambda: as_numpy_parquet(explicit_rows()),
}


@pytest.mark.parametrize("name", FILES)
def test_the_same_rows_in_every_file(tmp_path: Path, name: str) -> None:
    checked = check(write(tmp_path / name, FILES[name]()))
    assert checked.labels == TRUTH
    assert checked.bad == []
    assert len(checked.lines) == 30
    assert split_labels(checked.labels, Shares()) == split_labels(TRUTH, Shares())


def test_csv_rows_begin_where_they_begin(tmp_path: Path) -> None:
    content = (
        'prompt,chosen,rejected\r\n"p\r\nq",a,b\r\n\r\nonly,two\r\np,a,b,c\r\n'
        'p,"[1, 2]","[{""role"": ""assistant"", ""content"": ""x""}]"\r\n"p"q,a,b\r\n'
        'p,caf\xe9,b\r\np,"' + "y" * 200_000 + '",b\r\np,a,"open\r\np,a,b'
    )
    rows = list(read_rows(write(tmp_path / "x.csv", content.encode("latin-1"))))
    assert [row.line for row in rows] == [2, 5, 6, 7, 8, 9, 10, 11]
    assert [row for row in rows if isinstance(row, BadRow)] == [
        BadRow(5, Code.TOO_FEW_CELLS, {"cells": 2, "columns": 3}),
        BadRow(6, Code.TOO_MANY_CELLS, {"cells": 4, "columns": 3}),
        BadRow(8, Code.NOT_CSV, {"message": "',' expected after '\"'"}),
        BadRow(9, Code.NOT_UTF8, {}),
        BadRow(11, Code.NOT_CSV, {"message": "unexpected end of data"}),
    ]
    good = [row for row in rows if isinstance(row, Row)]
    assert [row.line for row in good] == [2, 7, 10]
    assert good[0].fields == {"prompt": "p\r\nq", "chosen": "a", "rejected": "b"}
    # Text that is JSON stays text, turns do not.
    turns = [{"role": "assistant", "content": "x"}]
    assert good[1].fields == {"prompt": "p", "chosen": "[1, 2]", "rejected": turns}


def test_lists_and_objects_in_csv(tmp_path: Path) -> None:
    rows = [
        {"prompt": "p", "responses": ["a", "b", "c"], "scores": [1, 3, 2]},
        {"prompt": "[1]", "responses": ["{}", "[]"], "scores": [1, 2]},
    ]
    (one, other) = check(write(tmp_path / "x.csv", as_csv(rows))).labels
    assert one == ("p", ("b", "c", "a"))
    assert other == ("[1]", ("[]", "{}"))
    summaries = [{"text": "a"}, {"text": "b"}]
    rows = [{"info": {"post": "p"}, "summaries": summaries, "choice": "1"}]
    assert check(write(tmp_path / "y.csv", as_csv(rows))).labels[0][1:] == ("b", "a")


def test_parquet_with_broken_text_and_empty_cells(tmp_path: Path) -> None:
    broken = pa.array([b"a", b"\xff", b"a", None]).view(pa.binary()).cast(pa.binary())
    broken = pa.Array.from_buffers(pa.string(), 4, broken.buffers())
    table = pa.table({"prompt": ["p"] * 4, "chosen": broken, "rejected": ["b"] * 4})
    pq.write_table(table, tmp_path / "x.parquet")
    checked = check(str(tmp_path / "x.parquet"))
    assert checked.lines == [1, 3]
    assert checked.bad == [
        BadRow(2, Code.NOT_UTF8, {}),
        BadRow(4, Code.NOT_TEXT_OR_TURNS, {"column": "chosen"}),
    ]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("x.jsonl", b"", "is empty"),
        ("x.jsonl", b"\n \r\n", "is empty"),
        ("x.json", b"[]", "is empty"),
        ("x.json", b" [{}\n{}]", "not JSON: Expecting ',' delimiter at line 2 column 1"),
        ("x.json", b'["\xff"]', "not UTF-8"),
        ("x.json", b"[" * 100_000, "nested too deeply"),
        ("x.json", b"[" + b"1" * 5000 + b"]", "a number with too many digits"),
        ("x.csv", b"", "is empty"),
        ("x.csv", b"prompt,chosen\n", "is empty"),
        ("x.csv", b"a,b,a\n1,2,3\n", "the header has 'a' more than once"),
        ("x.csv", b'"a,b\n1,2\n', "the header is not CSV"),
        ("x.csv", b"\xff,b\n1,2\n", "the header is not UTF-8"),
        ("x.parquet", b"", "not readable as Parquet"),
        ("x.parquet", b"PAR1 no PAR1", "not readable as Parquet"),
        ("x.parquet", as_parquet([{"a": "b"}])[:0:-1], "not readable as Parquet"),
        ("x.jsonl.gz", b'{"a": 1}', "is not gzip"),
        ("x.csv.gz", gzip.compress(b"a,b\n" * 999, mtime=0)[:-9], "is cut off"),
        ("x.txt", b"a", "unknown file type; allowed: .jsonl, .jsonl.gz, .json, .json.gz, .csv"),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(
    tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    source = write(tmp_path / name, content)
    with pytest.raises(UserError) as caught:
        list(read_rows(source))
    assert str(caught.value).startswith(f"{source}: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("nowhere/prefs.jsonl", "no such file"),
        ("prefs", "no such file or folder; a data set on the hub is owner/name"),
        ("../a/b", "no such file or folder"),
        ("a\0b", "no such file or folder"),
        ("a" * 5000, "cannot be read: File name too long"),
        ("/dev/null", "must be a file or a folder"),
    ],
)
def test_sources_that_do_not_exist_are_refused(source: str, complaint: str) -> None:
    for read in (lambda: list(read_rows(source)), lambda: fingerprint(source)):
        with pytest.raises(UserError, match=complaint):
            read()


def test_lines_are_streamed(tmp_path: Path) -> None:
    """The first row comes before the rest is read: here, gzip that breaks off."""
    content = gzip.compress(as_jsonl(hh_rows() * 2000))[:50_000]
    rows: Iterator[Row | BadRow] = read_rows(write(tmp_path / "x.jsonl.gz", content))
    assert next(rows).line == 1
    with pytest.raises(UserError, match="cut off"):
        list(rows)
