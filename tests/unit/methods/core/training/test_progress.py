"""Progress files: what was saved is loaded, and what is damaged is not, whatever happened to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.harm import HARMS, add_foreign

from methods.core.training.progress import folder_checksum, load_progress, save_progress


def content(step: int) -> dict[str, object]:
    return {"step": step, "weights": torch.arange(5000.0)}


def test_the_last_save_is_loaded_and_the_only_one_that_stays(tmp_path: Path) -> None:
    assert load_progress(tmp_path, "cpu") is None
    for step in range(3):
        save_progress(tmp_path, content(step))
    loaded = load_progress(tmp_path, "cpu")
    assert loaded is not None and loaded["step"] == 2
    assert torch.equal(loaded["weights"], torch.arange(5000.0))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_file_is_not_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: Callable[[Path], None]
) -> None:
    save_progress(tmp_path, content(1))
    [file] = tmp_path.iterdir()
    harm(file)
    loaded = load_progress(tmp_path, "cpu")
    assert (loaded is None) == (harm is not add_foreign)
    # What is no file any more is as if it had never been saved.
    assert ("is damaged" in caplog.text) == (loaded is None and file.is_file())
    save_progress(tmp_path, content(2))
    again = load_progress(tmp_path, "cpu")
    assert again is not None and again["step"] == 2


def test_a_killed_save_leaves_the_one_before(tmp_path: Path) -> None:
    save_progress(tmp_path, content(1))
    (tmp_path / "progress.partial").write_bytes(b"half")
    (tmp_path / f"progress-{'0' * 20}.pt").write_bytes(b"not what its name says")
    loaded = load_progress(tmp_path, "cpu")
    assert loaded is not None and loaded["step"] == 1


@pytest.mark.parametrize("harm", HARMS)
def test_a_folders_checksum_covers_every_file(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("one", "inner/two"):
        (tmp_path / name).write_bytes(bytes(range(256)))
    before = folder_checksum(tmp_path)
    harm(tmp_path / "inner" / "two")
    assert folder_checksum(tmp_path) != before and folder_checksum(tmp_path / "gone") == ""
