"""Which jobs are ready, fail with others, or are done again; and how long all of them take."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from helpers.jobs import job, nothing, run

from bench.execution.scheduling.graph import Graph
from bench.execution.scheduling.job import Job, Outcome, Status
from bench.execution.scheduling.replay import longest_chain, replayed_seconds
from bench.execution.scheduling.scheduler import Stopped

OK = Outcome("ok")


class Recording:
    """An executor that does nothing, one job after another, and ends them as it is told."""

    workers = 1

    def __init__(self, **statuses: list[Status]) -> None:
        self.statuses, self.started, self.stopped = statuses, [], False
        self.alone: list[bool] = []
        self._waiting: list[Job] = []

    def describe(self) -> str:
        return "recorded"

    def has_room(self, job: Job, *, alone: bool) -> bool:
        return len(self._waiting) < self.workers

    def submit(self, job: Job, *, alone: bool) -> None:
        self.started.append(job.name)
        self.alone.append(alone)
        self._waiting.append(job)

    def as_completed(self) -> Iterator[tuple[Job, Outcome]]:
        job = self._waiting.pop(0)
        left = self.statuses.get(job.name, [])
        status = left.pop(0) if left else "ok"
        yield job, Outcome(status, "" if status == "ok" else f"error of {job.name}")

    def stop(self) -> None:
        self.stopped = True


def test_jobs_keep_their_order_and_wait_for_what_they_need() -> None:
    executor = Recording()
    jobs = [
        job("c", nothing, needs=["b"]),
        job("a", nothing),
        job("b", nothing, needs=["a"]),
        job("d", nothing),
    ]
    assert list(run(executor, *jobs)) == ["a", "b", "c", "d"]
    assert executor.stopped


def test_what_needs_a_failed_job_fails_with_its_error_and_the_rest_goes_on() -> None:
    executor = Recording(a=["failed"])
    jobs = [
        job("a", nothing),
        job("b", nothing, needs=["a"]),
        job("c", nothing, needs=["b"]),
        job("after", nothing, after=("a", "b", "c")),
        job("other", nothing),
    ]
    outcomes = run(executor, *jobs)
    assert executor.started == ["a", "after", "other"]
    assert outcomes["b"] == outcomes["c"] == Outcome("failed", "a: error of a", skipped=True)
    assert outcomes["after"].status == outcomes["other"].status == "ok"


def test_what_is_there_is_not_made() -> None:
    jobs = [job("a", nothing), job("b", nothing, needs=["a"])]
    graph = Graph(jobs, frozenset({"a"}))
    assert graph.start().name == "b" and graph.next is None


def test_a_job_whose_process_died_is_started_once_more_and_alone() -> None:
    executor = Recording(a=["died"], b=["died", "died"])
    outcomes = run(executor, job("a", nothing), job("b", nothing))
    assert executor.started == ["a", "a", "b", "b"]
    assert executor.alone == [False, True, False, True]
    assert outcomes["a"].status == "ok"
    assert outcomes["b"] == Outcome(
        "failed", "error of b; it was tried twice, the second time alone"
    )


def test_an_artifact_that_went_missing_is_made_again() -> None:
    class Missing(Recording):
        def as_completed(self) -> Iterator[tuple[Job, Outcome]]:
            for ended, outcome in super().as_completed():
                error = "sft/1" if outcome.status == "missing" else outcome.error
                yield ended, outcome._replace(error=error)

    sft, other = job("sft/1", nothing), job("other", nothing, needs=["sft/1"])
    dpo = job("dpo", nothing, needs=["sft/1"])
    executor = Missing(dpo=["missing"])
    outcomes = run(executor, sft, dpo, other)
    assert executor.started == ["sft/1", "dpo", "sft/1", "dpo", "other"]
    assert all(outcome.status == "ok" for outcome in outcomes.values())
    always = Missing(dpo=["missing"] * 9)
    outcomes = run(always, sft, dpo)
    assert outcomes["dpo"] == Outcome("failed", "sft/1 is missing from the cache")
    assert always.started.count("dpo") == 3


def test_a_job_waits_for_what_it_missed_though_it_did_not_say_that_it_needs_it() -> None:
    base, sft = job("base", nothing), job("sft", nothing, needs=["base"])
    graph = Graph([base, sft, job("reward_model", nothing)])
    assert [graph.start().name, graph.start().name] == ["base", "reward_model"]
    assert not list(graph.end(graph.jobs[2], Outcome("missing", "sft")))
    assert graph.next is None
    list(graph.end(base, OK))
    list(graph.end(graph.start(), OK))
    assert graph.start().name == "reward_model"


def test_a_job_that_misses_what_it_made_itself_is_started_again() -> None:
    graph = Graph([replace(job("metrics", nothing), makes=("metrics", "policy"))])
    for _ in range(2):
        assert not list(graph.end(graph.start(), Outcome("missing", "policy")))
    [ended] = graph.end(graph.start(), Outcome("missing", "policy"))
    assert ended.outcome == Outcome("failed", "policy is missing from the cache")
    assert not graph.unfinished


def test_one_job_makes_an_artifact_again_for_all_that_miss_it() -> None:
    """Several find it missing at once, while others still wait for it."""
    sft = job("sft/1", nothing)
    graph = Graph([sft, *(job(name, nothing, needs=["sft/1"]) for name in "abc")])
    list(graph.end(graph.start(), OK))
    running = [graph.start(), graph.start(), graph.start()]
    for missed in running[:2]:
        assert not list(graph.end(missed, Outcome("missing", "sft/1")))
    assert graph.start().name == "sft/1" and graph.next is None
    list(graph.end(running[2], OK))
    list(graph.end(sft, OK))
    assert [graph.start().name, graph.start().name] == ["a", "b"]
    assert graph.next is None


def test_a_cache_that_cannot_be_written_to_stops_everything() -> None:
    executor = Recording(a=["stopped"])
    with pytest.raises(Stopped, match="error of a"):
        run(executor, job("a", nothing), job("b", nothing))
    assert executor.started == ["a"] and executor.stopped


def test_random_graphs_are_done_in_an_order_that_respects_them() -> None:
    for seed in range(50):
        draw = random.Random(seed)
        jobs = [
            job(str(i), nothing, needs=[str(j) for j in range(i) if draw.random() < 0.2])
            for i in range(30)
        ]
        draw.shuffle(jobs)
        order = list(run(Recording(), *jobs))
        place = {name: number for number, name in enumerate(order)}
        assert len(order) == 30
        assert all(place[need] < place[each.name] for each in jobs for need in each.needs)


def test_the_replay_of_chains_is_what_arithmetic_says() -> None:
    chain = [
        job(f"{c}{i}", nothing, needs=[f"{c}{i - 1}"] if i else [], seconds=2.0)
        for c in "abcd"
        for i in range(3)
    ]
    for workers, seconds in ((1, 24.0), (2, 12.0), (3, 12.0), (4, 6.0), (64, 6.0)):
        assert replayed_seconds(chain, frozenset(), workers) == seconds
    made = frozenset({"a0", "a1", "a2"})
    assert replayed_seconds(chain, made, 1) == 18.0
    assert replayed_seconds(chain, made, 1, {"b0": 1.5}) == 16.5
    assert replayed_seconds([], frozenset(), 8) == 0.0


def test_the_longest_chain_bounds_every_replay() -> None:
    draw = random.Random(0)
    jobs = [
        job(
            str(i),
            nothing,
            needs=[str(j) for j in range(i) if draw.random() < 0.15],
            seconds=draw.random(),
        )
        for i in range(60)
    ]
    chain = longest_chain(jobs, frozenset())
    longest = sum(each.seconds for each in chain)
    assert all(earlier.name in later.needs for earlier, later in pairwise(chain))
    assert replayed_seconds(jobs, frozenset(), 60) == pytest.approx(longest)
    assert replayed_seconds(jobs, frozenset(), 2) >= longest
    assert longest_chain([], frozenset()) == []
