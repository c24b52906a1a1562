"""Rows of recorded preferences become labels of a split, and people read what became of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.preferences import open_recorded, pairs, write_rows

from bench.errors import UserError
from methods.core.feedback import Pair, responses_of

SPLITS = ("train", "judge", "validation", "test")


def conversational(row: dict[str, Any]) -> dict[str, Any]:
    return {
        side: [
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": row[side]},
        ]
        for side in ("chosen", "rejected")
    }


def hh(row: dict[str, Any]) -> dict[str, Any]:
    return {
        side: f"\n\nHuman: {row['prompt']}\n\nAssistant: {row[side]}"
        for side in ("chosen", "rejected")
    }


def test_the_same_rows_in_other_forms_give_the_same_splits_and_feedback(tmp_path: Path) -> None:
    rows = pairs(150)
    files = [write_rows(tmp_path / "plain.jsonl", rows)]
    files.append(write_rows(tmp_path / "hh.jsonl", [hh(row) for row in rows]))
    pd.DataFrame([conversational(row) for row in rows]).to_parquet(tmp_path / "turns.parquet")
    pd.DataFrame(rows).to_csv(tmp_path / "plain.csv", index=False)
    files += [tmp_path / "turns.parquet", tmp_path / "plain.csv"]
    made = []
    for file in files:
        pipeline = open_recorded(tmp_path, file)
        made.append({split: pipeline.labels(split, "pairs") for split in SPLITS})
    assert all(splits == made[0] for splits in made)
    assert sum(map(len, made[0].values())) == len(rows)


def test_bad_rows_are_named_and_the_good_ones_used(tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in pairs(100)]
    long = "why " * 3000
    bad = {
        3: '{"prompt": "cut',
        10: json.dumps({"prompt": "p", "chosen": "a"}),
        20: json.dumps({"prompt": "p", "chosen": " ", "rejected": "b"}),
        21: json.dumps({"prompt": "q", "chosen": "", "rejected": "b"}),
        30: json.dumps({"prompt": "p", "chosen": "a", "rejected": "a"}),
        40: json.dumps({"prompt": long, "chosen": "a", "rejected": "b"}),
        50: json.dumps({"prompt": "p", "chosen": "a </answer> b", "rejected": "b"}),
        60: json.dumps([1, 2]),
        70: json.dumps({"prompt": "p", "completion": "a", "label": True}),
    }
    for line, content in sorted(bad.items()):
        lines.insert(line - 1, content)
    data = tmp_path / "prefs.jsonl"
    data.write_text("\n".join(lines) + "\n")
    pipeline = open_recorded(tmp_path, data, bad_rows=0.2)
    summary = pipeline.read_data()
    assert summary[0].endswith("100 of 109 rows used, 9 left out")
    assert any("pairs in each split" in line for line in summary)
    for what, where in {
        "an empty answer": "lines 20, 21",
        "not JSON": "line 3",
        "no column 'rejected'": "line 10",
        "equal answers": "line 30",
        "a prompt of more than": "line 40",
        "the model's special token </answer> in its text": "line 50",
        "not an object": "line 60",
        "an unpaired label among pairs": "line 70",
    }.items():
        [line] = [line for line in summary if what in line]
        assert where in line
    used = [label for split in SPLITS for label in pipeline.labels(split, "pairs")]
    assert len(used) == 100
    with pytest.raises(UserError, match=r"9 of 109 rows cannot be used.*bad_rows") as caught:
        open_recorded(tmp_path, data, bad_rows=0.05)
    assert "\n" not in str(caught.value)


def test_the_artifact_holds_codes_and_counts_and_no_text(tmp_path: Path) -> None:
    rows = [*pairs(80), {"prompt": "p", "chosen": "a", "rejected": "a"}]
    pipeline = open_recorded(tmp_path, write_rows(tmp_path / "prefs.jsonl", rows))
    metrics = pipeline.metrics("feedback")
    assert metrics["problems"] == [
        {"code": "equal_answers", "details": {}, "rows": 1, "lines": [81]}
    ]
    assert (metrics["used_rows"], metrics["bad_rows"]) == (80, 1)
    assert (metrics["repeated"], metrics["contradicting"]) == (0, 0)
    assert sum(metrics["rows"].values()) == sum(metrics["prompts"].values()) == 80
    assert "answers" not in json.dumps(metrics).replace("equal_answers", "")
    assert "equal answers" in "\n".join(pipeline.describe()["data"]["summary"])


def test_responses_are_as_a_policy_would_sample_them(tmp_path: Path) -> None:
    """Short ones have their end, long ones are cut at the longest response of a policy."""
    rows = pairs(100)
    for i, row in enumerate(rows):
        row["chosen"] = f"{row['chosen']} " + "And so on and on. " * (i % 2 * 10)
    pipeline = open_recorded(
        tmp_path, write_rows(tmp_path / "prefs.jsonl", rows), response_tokens=14
    )
    tokenizer = pipeline.tokenizer
    texts = [t for label in pipeline.labels("train", "pairs") for t in responses_of(label)]
    lengths = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    ended = [text.endswith(pipeline.end) for text in texts]
    assert max(lengths) <= 14 and {True, False} == set(ended)
    assert all(length == 14 for length, over in zip(lengths, ended, strict=True) if not over)
    assert pipeline.metrics("feedback")["cut_responses"] == 50


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"4 rows are too few: the \w+ split has"):
        open_recorded(tmp_path, write_rows(tmp_path / "prefs.jsonl", pairs(4)))


def test_pairs_keep_what_people_wrote(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"q{i}\u2028?", "chosen": f"é{i}\n\n{{x}}", "rejected": "no"} for i in range(80)
    ]
    pipeline = open_recorded(tmp_path, write_rows(tmp_path / "prefs.jsonl", rows))
    labels = {label for split in SPLITS for label in pipeline.labels(split, "pairs")}
    assert labels == {
        Pair(r["prompt"], r["chosen"] + pipeline.end, r["rejected"] + pipeline.end) for r in rows
    }


def test_rows_that_come_twice_or_contradict_each_other_are_counted(tmp_path: Path) -> None:
    rows = pairs(80)
    swapped = {**rows[3], "chosen": rows[3]["rejected"], "rejected": rows[3]["chosen"]}
    pipeline = open_recorded(
        tmp_path, write_rows(tmp_path / "prefs.jsonl", [*rows, *rows[:2], swapped])
    )
    summary = pipeline.read_data()
    assert "  2 repeat an earlier row" in summary
    assert "  1 contradict an earlier row" in summary
