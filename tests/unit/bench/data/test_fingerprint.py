"""Fingerprints of files, folders and data sets on the hub."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from helpers.row_files import (
    write,
)

from bench.data.reading import fingerprint


def test_fingerprints_change_with_the_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "x.jsonl", "a")
    assert fingerprint(file, "train").startswith("ca978112ca1bbdcafac231b39a23dc4d")
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    write(folder / "in" / "x.csv", "a")
    seen = {fingerprint(str(folder), "train")}
    write(folder / ".hidden", "b")
    copied = shutil.copytree(folder, tmp_path / "copied")
    assert {fingerprint(str(copied), "train"), fingerprint(str(folder), "train")} == seen
    write(folder / "y.csv", "")
    seen.add(fingerprint(str(folder), "train"))
    (folder / "y.csv").rename(folder / "z.csv")
    seen.add(fingerprint(str(folder), "train"))
    seen.add(fingerprint(str(folder), "test"))

    def info(revision: str) -> Callable[..., Any]:
        return lambda *_, **__: huggingface_hub.DatasetInfo(id="owner/name", sha=revision)

    seen.add(fingerprint("owner/name", "train"))
    for revision in ("1", "2"):
        monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info(revision))
        seen.add(fingerprint("owner/name", "train"))
    seen.add(fingerprint("owner/name:config", "train"))
    assert len(seen) == 8
