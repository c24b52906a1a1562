"""However `prefrontier bench` is ended, nothing is left running, and the same command goes on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from helpers.command import finish, metrics
from helpers.kills import all_gone, end, start


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The metrics of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(folder)
    output = finish(process)
    assert process.returncode == 0, output
    assert all_gone(folder)
    return metrics(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "after"),
    [
        ("SIGINT to all", 7.0),
        ("SIGINT again and again", 12.0),
        ("SIGTERM", 10.0),
        ("SIGKILL to a worker", 11.0),
        ("SIGKILL to the main process", 13.0),
    ],
)
def test_the_same_command_ends_with_the_same_metrics(
    tmp_path: Path, undisturbed: pd.DataFrame, kind: str, after: float
) -> None:
    end(tmp_path, kind, after)
    process = start(tmp_path)
    output = finish(process)
    assert process.returncode == 0, output
    pd.testing.assert_frame_equal(metrics(tmp_path), undisturbed)
    assert not list((tmp_path / "cache" / "work").iterdir())
    assert all_gone(tmp_path)
