"""The control: with enough labels where they matter, methods must come to the optimum."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from bench.cache.store import Store
from bench.config.files import load_experiment
from bench.execution.estimates import Schedule
from bench.execution.execute import execute
from bench.execution.executors.local import LocalExecutor
from bench.execution.plan import Plan
from bench.execution.tables import regret_rows
from bench.execution.watching.progress import Progress

NEAR_THE_OPTIMUM = 0.97


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The built-in control experiment, one run at a time: other tests need a core too."""
    plan = Plan.of(load_experiment("control"), Store(tmp_path_factory.mktemp("control")), "cpu")
    schedule = Schedule.of(plan, machine="control")
    progress = Progress(Console(file=StringIO()), schedule, 1)
    problems = execute(schedule, LocalExecutor(1), progress)
    assert not problems
    return plan


@pytest.mark.slow
def test_dpo_and_ppo_on_gold_come_to_the_optimum_at_every_strength(control: Plan) -> None:
    frontiers = {pipeline: control.frontiers(pipeline) for pipeline in control.pipelines}
    rows = list(regret_rows(control.runs, frontiers))
    shares = {(row["method"], row["strength"]): row["share"] for row in rows}
    assert len(shares) == 4
    assert min(shares.values()) >= NEAR_THE_OPTIMUM, shares
    # More than the optimum would be an error of the enumeration.
    assert max(shares.values()) <= 1.0, shares
