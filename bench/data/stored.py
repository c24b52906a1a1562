"""Rows that the datasets library reads: from a folder, or from the hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.data.rows import Row
from bench.errors import UserError

# What save_to_disk writes to the folder of a Dataset, and of a DatasetDict.
SAVED = ("state.json", "dataset_dict.json")


def folder_rows(source: str, folder: Path, split: str) -> Iterator[Row]:
    """Yield the rows of a folder that datasets saved, or of the data files in it.

    Raises:
        UserError: The folder cannot be read, or has no such split.
    """
    if any((folder / name).is_file() for name in SAVED):
        return _rows(source, _saved(source, folder, split))
    try:
        return _rows(source, _loaded(source, str(folder), None, split))
    except _NotLoadedError as error:
        raise UserError(
            f"{source}: cannot be loaded: {error}; a folder must be saved by datasets or have "
            "files of .jsonl, .json, .csv or .parquet"
        ) from None


def hub_rows(source: str, split: str) -> Iterator[Row]:
    """Yield the rows of a data set on the hub: owner/name or owner/name:config.

    Raises:
        UserError: The hub has no such data set or split, or cannot be reached.
    """
    name, _, config = source.partition(":")
    try:
        return _rows(source, _loaded(source, name, config or None, split))
    except _NotLoadedError as error:
        raise UserError(
            f"{source}: cannot be loaded: {error}; allowed: a file, a folder, or a data set on "
            "the hub, owner/name or owner/name:config"
        ) from None


class _NotLoadedError(Exception):
    """What datasets says where it cannot load something, on one line."""


def _saved(source: str, folder: Path, split: str) -> Any:
    import datasets

    try:
        saved = datasets.load_from_disk(str(folder))
    # datasets and its readers promise nothing about what they raise on broken files.
    except Exception as error:
        raise UserError(f"{source}: cannot be read as saved by datasets: {_line(error)}") from None
    if not isinstance(saved, datasets.DatasetDict):
        return saved
    _check_split(source, split, list(saved))
    return saved[split]


def _loaded(source: str, path: str, config: str | None, split: str) -> Any:
    import datasets

    try:
        return datasets.load_dataset(path, config, split=split)
    except Exception as error:
        if "Unknown split" in str(error) and (names := _splits(path, config)):
            _check_split(source, split, names)
        raise _NotLoadedError(_line(error)) from None


def _check_split(source: str, split: str, names: list[str]) -> None:
    if split not in names:
        raise UserError(f"{source}: has no split '{split}'; there are: {', '.join(names)}")


def _splits(path: str, config: str | None) -> list[str]:
    import datasets

    try:
        return list(datasets.get_dataset_split_names(path, config))
    except Exception:
        return []


def _rows(source: str, dataset: Any) -> Iterator[Row]:
    # A format that was saved with the dataset would give arrays and tensors.
    rows = enumerate(dataset.with_format(None), start=1)
    while True:
        try:
            number, fields = next(rows)
        except StopIteration:
            return
        except Exception as error:
            raise UserError(f"{source}: cannot be read: {_line(error)}") from None
        yield Row(number, fields)


def _line(error: Exception) -> str:
    return " ".join(f"{error or type(error).__name__}".split())[:300]
