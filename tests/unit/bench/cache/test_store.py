"""The store: an artifact is whole or not there, and is made once."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from bench.cache.keys import digest
from bench.cache.store import STALE, Store
from bench.tasks.base import Annotator


def test_an_artifact_is_made_once(tmp_path: Path) -> None:
    store, calls = Store(tmp_path), []

    def make(folder: Path) -> dict[str, Any]:
        calls.append(folder)
        (folder / "content").write_text("whole")
        return {"count": 3}

    for _ in range(2):
        store.make("kind", "key", make)
    assert len(calls) == 1
    assert (store.folder("kind", "key") / "content").read_text() == "whole"
    metrics = store.metrics("kind", "key")
    assert metrics["count"] == 3 and metrics["seconds"] >= 0


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ValueError, match="half way"), store.create("kind", "key") as folder:
        (folder / "content").write_text("half")
        raise ValueError("half way")
    assert not store.has("kind", "key")
    assert not list((tmp_path / "kind").iterdir())


def test_what_killed_processes_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old, new = (tmp_path / "kind" / f".partial-{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
    past = time.time() - 2 * STALE
    os.utime(old, (past, past))
    with store.create("kind", "key"):
        pass
    assert not old.exists() and new.exists()


def test_keys_tell_values_and_kinds_of_dataclasses_apart() -> None:
    assert digest(a=1) != digest(a=2)
    assert digest(annotator=Annotator()) == digest(annotator=Annotator())
    assert digest(annotator=Annotator(temperature=2.0)) != digest(annotator=Annotator())
    with pytest.raises(TypeError, match="cannot hash"):
        digest(a=object())


def test_a_dropped_artifact_is_gone_with_its_work_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for key in ("one", "two"):
        with store.create("kind", key) as folder:
            (folder / "content").write_text(key)
    (store.workdir("one") / "progress").write_text("half")
    for _ in range(2):
        store.drop("kind", "one")
    assert not store.has("kind", "one") and store.has("kind", "two")
    assert [place.name for place in (tmp_path / "kind").iterdir()] == ["two"]
    assert not list((tmp_path / "work").iterdir())
