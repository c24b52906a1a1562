"""A finished cache that is damaged: the same command says so, and gives the same results."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random

import pandas as pd
import pytest
from helpers.command import SMALLEST, command, finish, metrics
from helpers.harm import HARMS

from bench.cache.store import Store

pytestmark = pytest.mark.slow
# The tests of the store damage each file in each way; these go the long way to the metrics.
ROUNDS = 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    process = command(folder, SMALLEST, "--jobs", "2")
    output = finish(process)
    assert process.returncode == 0, output
    return folder


def files_by_kind(store: Store) -> dict[str, list[Path]]:
    """Return a file of each name that artifacts of a kind have."""
    files: dict[str, dict[str, Path]] = defaultdict(dict)
    for kind, key in store.names():
        folder = store.folder(kind, key)
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                files[kind].setdefault(file.name, file)
    return {kind: list(by_name.values()) for kind, by_name in files.items()}


def test_a_file_of_every_kind_can_be_damaged(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    store, random = Store(tmp_path / "cache"), Random("damage")
    assert len(files_by_kind(store)) >= 7
    for _ in range(ROUNDS):
        files = files_by_kind(store).values()
        harmed = {random.choice(names): random.choice(HARMS) for names in files}
        for file, harm in harmed.items():
            harm(file)
        process = command(tmp_path, SMALLEST, "--jobs", "2")
        output = finish(process)
        assert process.returncode == 0, output
        for file, harm in harmed.items():
            artifact = store.root / file.relative_to(store.root).parts[0]
            said = [line for line in output.splitlines() if str(artifact) in line]
            assert any("set aside" in line for line in said), (harm, file, output)
        pd.testing.assert_frame_equal(metrics(whole), metrics(tmp_path))


def _read_only_as_anybody(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file where the cache should be")


@pytest.mark.parametrize("break_it", [shutil.rmtree, _read_only_as_anybody])
def test_a_cache_that_is_gone_or_unusable_is_made_again_or_one_line(
    whole: Path, tmp_path: Path, break_it: Callable[[Path], object]
) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    break_it(tmp_path / "cache")
    process = command(tmp_path, SMALLEST, "--jobs", "2")
    output = finish(process)
    if (tmp_path / "cache").is_dir():
        assert process.returncode == 0, output
        pd.testing.assert_frame_equal(metrics(whole), metrics(tmp_path))
    else:
        assert process.returncode == 2 and "Traceback" not in output
        assert "cannot be written" in output.splitlines()[-1]
