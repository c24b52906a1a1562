"""Several commands at once on one cache: equal results, nothing made twice, nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from helpers.command import SMALLEST, command, finish, metrics
from helpers.makers import counting, made, placed
from helpers.object_store import BUCKET, object_store

pytestmark = pytest.mark.slow


def check_made_once(folder: Path) -> None:
    counts = made(folder)
    assert counts and set(counts.values()) == {1}, counts


@pytest.mark.parametrize("number", [2, 4])
def test_commands_on_one_cache_share_the_work(tmp_path: Path, number: int) -> None:
    variables = counting(tmp_path) | {"PREFRONTIER_CACHE": str(tmp_path / "cache")}
    folders = [tmp_path / str(i) for i in range(number)]
    started = [command(each, SMALLEST, "--jobs", "1", variables=variables) for each in folders]
    for process in started:
        output = finish(process)
        assert process.returncode == 0, output
    check_made_once(tmp_path)
    for folder in folders[1:]:
        pd.testing.assert_frame_equal(metrics(folders[0]), metrics(folder))
    assert not list((tmp_path / "cache" / "work").glob("*"))


def test_what_a_killed_command_made_the_other_takes(tmp_path: Path) -> None:
    names = ("killed", "other")
    killed, other = (
        command(
            tmp_path / name,
            SMALLEST,
            *("--jobs", "1"),
            variables=counting(tmp_path, name) | {"PREFRONTIER_CACHE": str(tmp_path / "cache")},
        )
        for name in names
    )
    deadline = time.time() + 600
    while not list((tmp_path / "cache" / "sft").glob("[!.]*")):
        assert time.time() < deadline and killed.poll() is None
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    finish(killed)
    output = finish(other)
    assert other.returncode == 0, output
    counts = [made(tmp_path, name) for name in names]
    assert placed(tmp_path, "other") == counts[1]
    # What was complete when it was killed, and not yet in its place, is made again.
    counts[0] -= made(tmp_path, "killed") - placed(tmp_path, "killed")
    both = counts[0] + counts[1]
    assert both and set(both.values()) == {1}, counts


def test_machines_share_nothing_but_an_object_store(tmp_path: Path) -> None:
    with object_store() as access:
        shared = counting(tmp_path) | access | {"PREFRONTIER_CACHE": f"s3://{BUCKET}/some/prefix"}

        def on(machine: str, *options: str) -> subprocess.Popen[str]:
            copy = {"PREFRONTIER_CACHE_COPY": str(tmp_path / f"copy-{machine}")}
            return command(tmp_path / machine, SMALLEST, *options, variables=shared | copy)

        both = [on(machine, "--jobs", "1") for machine in ("a", "b")]
        for process in both:
            output = finish(process)
            assert process.returncode == 0, output
        check_made_once(tmp_path)
        pd.testing.assert_frame_equal(metrics(tmp_path / "a"), metrics(tmp_path / "b"))
        # A third with an empty copy finds all that the two have made.
        assert "0 to make; runs: 3 cached, 0 to do" in finish(on("c"))
        pd.testing.assert_frame_equal(metrics(tmp_path / "a"), metrics(tmp_path / "c"))
        check_made_once(tmp_path)
        # A folder gives the same results.
        local = command(tmp_path / "local", SMALLEST, "--jobs", "1")
        finish(local)
        pd.testing.assert_frame_equal(metrics(tmp_path / "a"), metrics(tmp_path / "local"))
    # The server is gone: one line, and what is in the copy stays.
    process = on("a")
    output = finish(process)
    assert process.returncode == 2 and "Traceback" not in output
    assert len(output.splitlines()) == 1 and f"s3://{BUCKET}" in output
