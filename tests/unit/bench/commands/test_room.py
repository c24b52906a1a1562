"""What needs more than there is, before anything is done, and what `--force` makes of it."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.jobs import job, nothing

from bench.cache.store import Store
from bench.commands.experiments.prepare import check_room
from bench.errors import UserError
from bench.execution.estimates import Needs, Schedule, with_estimates
from bench.execution.executors.devices import Device
from bench.execution.executors.local import LocalExecutor
from bench.execution.scheduling.durations import Durations

GIB = 2.0**30


def test_a_job_that_fits_nowhere_is_said_before_the_first_one_starts(tmp_path: Path) -> None:
    jobs = [job("small", nothing, memory=GIB), job("large", nothing, memory=17 * GIB)]
    durations = Durations.load(Store(tmp_path), "test")
    executor = LocalExecutor(2, devices=(Device("0", 16 * GIB),))
    check_room(Schedule(jobs[:1], frozenset(), durations, Needs.of([])), executor)
    with pytest.raises(UserError, match=r"^large: needs 17\.0 GiB of GPU memory"):
        check_room(Schedule(jobs, frozenset(), durations, Needs.of([])), executor)
    # What is made already is not done again.
    check_room(Schedule(jobs, frozenset({"large"}), durations, Needs.of([])), executor)


@pytest.mark.parametrize(("forced", "memory"), [(False, 99 * GIB), (True, math.inf)])
def test_a_job_that_is_forced_has_a_device_to_itself(
    tmp_path: Path, forced: bool, memory: float
) -> None:
    need: Any = SimpleNamespace(memory=SimpleNamespace(total=99 * GIB), seconds=60.0)
    needs = Needs({("big", "dpo"): need}, frozenset({"big"}), forced)
    large = job("big dpo, seed 0", nothing, kind="dpo")
    [estimated] = with_estimates([large], Durations.load(Store(tmp_path), "test"), needs)
    assert estimated.memory == memory and estimated.seconds == 60
