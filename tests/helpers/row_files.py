"""The same conversations as rows of several forms and as files of several types."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.data.checks import Checked, check_rows
from bench.data.reading import read_rows
from methods.core.feedback import Pair
from methods.core.models.text import to_prompt

Rows = list[dict[str, Any]]


def dialogues() -> list[tuple[list[dict[str, str]], str, str]]:
    """Return 30 conversations of one to five turns, with answers that begin alike."""
    made = []
    for i in range(30):
        texts = [
            f"Question {i}, \u201cplease\u201d?\nSecond line",
            "Well\n\n1. one\n\n2. two",
            "And?",
        ]
        turns = [
            {"role": ("user", "assistant")[place % 2], "content": (texts * 2)[place]}
            for place in range(1 + i % 3 * 2)
        ]
        made.append((turns, f"It is {i}, \u4f60\u597d.", f"It is not, Human: {i}"))
    return made


TRUTH = [Pair(to_prompt(turns), chosen, rejected) for turns, chosen, rejected in dialogues()]


def hh_rows() -> Rows:
    def dialogue(turns: list[dict[str, str]], answer: str) -> str:
        speakers = {"user": "Human", "assistant": "Assistant"}
        texts = [f"\n\n{speakers[turn['role']]}: {turn['content']}" for turn in turns]
        return "".join([*texts, f"\n\nAssistant: {answer}"])

    return [
        {"chosen": dialogue(turns, good), "rejected": dialogue(turns, bad)}
        for turns, good, bad in dialogues()
    ]


def explicit_rows() -> Rows:
    return [
        {
            "prompt": turns,
            "chosen": [{"role": "assistant", "content": good}],
            "rejected": [{"role": "assistant", "content": bad}],
        }
        for turns, good, bad in dialogues()
    ]


def implicit_rows() -> Rows:
    return [
        {
            "chosen": [*turns, {"role": "assistant", "content": good}],
            "rejected": [*turns, {"role": "assistant", "content": bad}],
        }
        for turns, good, bad in dialogues()
    ]


def as_jsonl(rows: Rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_csv(rows: Rows, end: str = "\n") -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]), lineterminator=end)
    writer.writeheader()
    for row in rows:
        writer.writerow({k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()})
    return file.getvalue().encode()


def as_parquet(rows: Rows) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def as_numpy_parquet(rows: Rows) -> bytes:
    """Return what pandas writes of cells that are arrays of dicts."""
    file = io.BytesIO()
    frame = pd.DataFrame([{k: np.array(v, dtype=object) for k, v in row.items()} for row in rows])
    frame.to_parquet(file)
    return file.getvalue()


def as_json(rows: Rows) -> bytes:
    return json.dumps(rows, indent=1).encode()


def write(file: Path, content: bytes | str) -> str:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(file)


def check(source: str, split: str = "train") -> Checked:
    return check_rows(read_rows(source, split), {}, plain=False)
