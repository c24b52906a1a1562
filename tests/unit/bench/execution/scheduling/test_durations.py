"""How long jobs take, from those that were done before."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.jobs import job, nothing

from bench.cache.artifact import seal
from bench.cache.store import Store
from bench.execution.scheduling.durations import GUESS, GUESSES, OVERHEAD_GUESS, Durations
from bench.execution.scheduling.job import Job


def dpo(task: str) -> Job:
    return job(f"dpo on {task}", nothing, kind="dpo", estimate_key=f"{task} dpo")


def seconds(folder: Path, machine: str, task: str) -> float:
    return Durations.load(Store(folder), machine).estimate(dpo(task)).seconds


def test_a_job_takes_as_long_as_equal_ones_else_as_similar_ones(tmp_path: Path) -> None:
    here, two, elsewhere = "cpu, 1 at a time", "cpu, 2 at a time", "cuda, 1 at a time"
    assert seconds(tmp_path, here, "polite") == GUESSES["dpo"]
    durations = Durations.load(Store(tmp_path), here)
    for taken in (10.0, 30.0, 20.0):
        durations.add(dpo("polite"), taken)
    durations.add(dpo("haiku"), 40.0)
    durations.save()
    # As equal jobs on this machine, in the middle.
    assert durations.estimate(dpo("polite")).known
    assert seconds(tmp_path, here, "polite") == 20.0
    # As those of the same method on other tasks.
    assert not durations.estimate(dpo("exact")).known
    assert seconds(tmp_path, here, "exact") == 30.0
    # With another number at a time as equal jobs, as those of other tasks only if done so.
    assert not Durations.load(Store(tmp_path), two).estimate(dpo("haiku")).known
    assert seconds(tmp_path, two, "haiku") == 40.0
    assert seconds(tmp_path, two, "exact") == GUESSES["dpo"]
    # A GPU is another matter.
    assert seconds(tmp_path, elsewhere, "haiku") == GUESSES["dpo"]
    unknown = job("a", nothing, kind="mine", estimate_key="polite mine")
    assert durations.estimate(unknown).seconds == GUESS


def test_a_job_that_found_its_artifact_made_takes_as_long_as_making_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.folder("policy", "a1") / "weights").mkdir(parents=True)
    seal(store.folder("policy", "a1"), seconds=5000.0, metrics={})
    done = job("policy/a1", nothing, store=store, kind="dpo", estimate_key="polite dpo")
    durations = Durations.load(store, "cpu")
    durations.add(done, 0.01)
    assert durations.estimate(done).seconds == 5000.0
    # What it does besides counts too.
    for _ in range(2):
        durations.add(done, 5100.0)
    assert durations.estimate(done).seconds == 5100.0


def test_what_commands_take_besides_their_jobs_is_kept_for_each_machine(tmp_path: Path) -> None:
    durations = Durations.load(Store(tmp_path), "cpu")
    assert durations.overhead() == OVERHEAD_GUESS
    for taken in (8.0, 30.0, 9.0):
        durations.add_overhead(taken)
    assert Durations.load(Store(tmp_path), "cpu").overhead() == 9.0
    assert Durations.load(Store(tmp_path), "cuda").overhead() == OVERHEAD_GUESS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"cpu | polite dpo": {"kind": "dpo", "seconds": [], "size": 1}}',
        '{"cpu | polite dpo": {"kind": "dpo", "seconds": [3.0]}}',
    ],
)
def test_a_damaged_file_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "durations.json").write_text(text)
    assert seconds(tmp_path, "cpu", "polite") == GUESSES["dpo"]
