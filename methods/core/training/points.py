"""The points of a training's curves on disk, so that others can follow a training that runs.

They lie in the working folder, a line of JSON each, until the training has ended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

POINTS_FILE = "curves.jsonl"
# A point has fewer bytes than this.
LONGEST_LINE = 8192

Point = dict[str, float]


def write_points(folder: Path, points: Sequence[Point]) -> None:
    """Write all points of a training, in place of those that are there."""
    (folder / POINTS_FILE).write_text("".join(map(_line, points)), encoding="utf-8")


def append_point(folder: Path, point: Point) -> None:
    """Write a point behind those that are there."""
    with (folder / POINTS_FILE).open("a", encoding="utf-8") as file:
        file.write(_line(point))


def read_points(folder: Path) -> list[Point]:
    """Return the points so far, whole lines only; none where no training has written any."""
    try:
        text = (folder / POINTS_FILE).read_text(encoding="utf-8")
    except OSError:
        return []
    points = []
    for line in text.splitlines(keepends=True):
        # A full disk may have cut one in two.
        with suppress(ValueError):
            points += [json.loads(line)] if line.endswith("\n") else []
    return points


def last_step(folder: Path) -> int | None:
    """Return the step of the last point; None where there is none."""
    try:
        with (folder / POINTS_FILE).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_LINE))
            lines = file.read().splitlines(keepends=True)
    except OSError:
        return None
    whole = [line for line in lines if line.endswith(b"\n")]
    try:
        return int(json.loads(whole[-1])["step"]) if whole else None
    except (ValueError, KeyError):
        return None


def _line(point: Point) -> str:
    return json.dumps(point) + "\n"
