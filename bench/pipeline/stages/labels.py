"""Labels on disk: JSON Lines, a file for each split and kind of feedback."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from methods.core.feedback import FeedbackKind, Label, read_label


def labels_file(folder: Path, split: str, kind: FeedbackKind) -> Path:
    """Return the file that holds the labels of a split and kind."""
    return folder / f"{split}.{kind}.jsonl"


def write_labels(folder: Path, split: str, kind: FeedbackKind, labels: Sequence[Label]) -> None:
    """Write the labels of a split."""
    lines = [json.dumps(label._asdict(), ensure_ascii=False) + "\n" for label in labels]
    labels_file(folder, split, kind).write_text("".join(lines), encoding="utf-8")


def read_labels(folder: Path, split: str, kind: FeedbackKind) -> list[Label]:
    """Return the labels of a split.

    Raises:
        FileNotFoundError: There is no file: a split without labels has an empty one.
        ValueError: The file is cut.
    """
    file = labels_file(folder, split, kind)
    text = file.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        raise ValueError(f"{file}: its last line is cut")
    # Split by "\n" alone: texts may contain other line ends.
    lines = text.split("\n")
    return [read_label(kind, json.loads(line)) for line in lines if line]
