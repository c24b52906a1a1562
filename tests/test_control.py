"""The control: where labels cover all that matters, methods must come to the optimum."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from bench.config.experiment import load_experiment
from bench.execution.progress import Progress
from bench.execution.tables import objective
from bench.execution.plan import Plan, execute
from bench.cache.store import Store
from bench.execution.executors import LocalExecutor

NEAR_THE_OPTIMUM = 0.97


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The built-in control experiment, one run after the other: the other tests need a core too."""
    plan = Plan.of(load_experiment("control"), Store(tmp_path_factory.mktemp("control")), "cpu")
    problems = execute(plan, LocalExecutor(1), Progress(Console(file=StringIO()), 1))
    assert not problems
    return plan


def test_dpo_and_ppo_on_gold_come_to_the_optimum_at_every_strength(control: Plan) -> None:
    frontiers = {pipeline: frontiers for pipeline in control.pipelines if (frontiers := control.frontiers(pipeline))}
    shares = objective(control.runs, frontiers).set_index(["method", "strength"])["share"]
    assert len(shares) == 4
    assert shares.min() >= NEAR_THE_OPTIMUM, shares
    # More than all of it would be an error of the reference_samples.
    assert shares.max() <= 1.0, shares
