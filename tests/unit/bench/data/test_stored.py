"""Folders and data sets on the hub, read through datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from helpers.row_files import (
    TRUTH,
    Rows,
    as_jsonl,
    check,
    explicit_rows,
    hh_rows,
    implicit_rows,
    write,
)

from bench.data.reading import read_rows
from bench.errors import UserError


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let datasets keep here what it loads."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("make", [hh_rows, explicit_rows, implicit_rows])
def test_the_same_rows_in_folders(tmp_path: Path, make: Callable[[], Rows]) -> None:
    rows = make()
    dataset = datasets.Dataset.from_list(rows)
    one = tmp_path / "one"
    dataset.with_format("numpy").save_to_disk(one)
    assert check(str(one)).labels == TRUTH
    both = tmp_path / "both"
    parts = {"train": dataset.select(range(5)), "test": dataset.select(range(5, 30))}
    datasets.DatasetDict(parts).save_to_disk(both)
    assert check(str(both)).labels == TRUTH[:5]
    assert check(str(both), "test").labels == TRUTH[5:]
    with pytest.raises(UserError, match="has no split 'dev'; there are: train, test"):
        check(str(both), "dev")
    loose = tmp_path / "loose"
    loose.mkdir()
    write(loose / "train.jsonl", as_jsonl(rows[:5]))
    write(loose / "test.jsonl", as_jsonl(rows[5:]))
    assert check(str(loose), "test").labels == TRUTH[5:]
    with pytest.raises(UserError, match="has no split 'dev'; there are: t"):
        check(str(loose), "dev")


def test_folders_without_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        list(read_rows(str(tmp_path)))
    write(tmp_path / "state.json", "{}")
    with pytest.raises(UserError, match="cannot be read as saved by datasets"):
        list(read_rows(str(tmp_path)))


def test_data_sets_on_the_hub_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def load(path: str, config: str | None, split: str) -> Any:
        calls.append((path, config, split))
        if split == "dev":
            raise ValueError('Unknown split "dev".')
        return datasets.Dataset.from_list(explicit_rows())

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(datasets, "get_dataset_split_names", lambda *_: ["train", "test"])
    assert check("owner/name").labels == TRUTH
    assert check("owner/na.me:con-fig", "test").labels == TRUTH
    assert calls == [("owner/name", None, "train"), ("owner/na.me", "con-fig", "test")]
    with pytest.raises(UserError, match="owner/name: has no split 'dev'; there are: train, test"):
        check("owner/name", "dev")


def test_the_hub_cannot_be_reached() -> None:
    with pytest.raises(UserError, match=r"owner/no-name-3: cannot be loaded: .*; allowed: a file"):
        list(read_rows("owner/no-name-3"))
