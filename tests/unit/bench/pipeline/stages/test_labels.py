"""Labels on disk: what is missing or cut is not taken for a split without labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.pipeline.stages.labels import labels_file, read_labels, write_labels
from methods.core.feedback import Label, Pair, Ranking

LABELS: list[Label] = [Pair("p\u2028", "a\n", "b"), Pair("q", "é", "c")]


def test_labels_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_labels(tmp_path, "train", "pairs", LABELS)
    assert read_labels(tmp_path, "train", "pairs") == LABELS
    rankings: list[Label] = [Ranking("p", ("a", "b", "c"))]
    write_labels(tmp_path, "train", "rankings", rankings)
    assert read_labels(tmp_path, "train", "rankings") == rankings
    write_labels(tmp_path, "test", "pairs", [])
    assert read_labels(tmp_path, "test", "pairs") == []


def test_a_missing_file_is_not_an_empty_one(tmp_path: Path) -> None:
    write_labels(tmp_path, "train", "pairs", LABELS)
    with pytest.raises(FileNotFoundError, match=r"test\.pairs\.jsonl"):
        read_labels(tmp_path, "test", "pairs")


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_cut_file_is_refused(tmp_path: Path, kept: int) -> None:
    write_labels(tmp_path, "train", "pairs", LABELS)
    file = labels_file(tmp_path, "train", "pairs")
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"train\.pairs\.jsonl: its last line is cut"):
        read_labels(tmp_path, "train", "pairs")
