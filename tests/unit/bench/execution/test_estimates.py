"""How long a job may take before it counts as one that hangs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.jobs import job, nothing

from bench.cache.store import Store
from bench.execution.estimates import Needs, with_estimates
from bench.execution.jobs import Pool
from bench.execution.scheduling.durations import Durations

NO_SAMPLES: Any = None


@pytest.mark.parametrize(
    ("argument", "hours"), [(None, 1), (Pool(NO_SAMPLES, ()), 24)], ids=["another job", "pool"]
)
def test_a_pool_may_take_longer_than_another_took(
    tmp_path: Path, argument: object, hours: int
) -> None:
    one = job("exact pool", nothing, argument, kind="frontier", estimate_key="exact pool")
    durations = Durations.load(Store(tmp_path), "cpu")
    durations.add(one, 2.0)
    [estimated] = with_estimates([one], durations, Needs({}, frozenset(), forced=False))
    assert (estimated.seconds, estimated.limit) == (2.0, hours * 3600.0)
