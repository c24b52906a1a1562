"""What a run leaves in its process: nothing."""

from __future__ import annotations

import gc
from pathlib import Path

import psutil
import pytest
from helpers.command import TINY
from transformers import PreTrainedModel

from bench.cache.store import Store
from bench.config.experiment import Experiment
from bench.execution.jobs import run_job
from bench.execution.plan import Plan
from bench.execution.scheduling.perform import perform

MEGABYTES = 2**20
# By our trainers and by TRL's, with and without a critic, a reference and a moving one.
METHODS = {
    "sft": {},
    "dpo": {"grid": {"beta": [0.3, 0.5]}, "examples": 256},
    "tr_dpo": {"grid": {"beta": [0.5]}, "examples": 256},
    "orpo": {"grid": {"lam": [0.5]}, "examples": 256},
    "ppo": {"grid": {"kl_coef": [0.5]}, "episodes": 128, "batch_size": 64},
    "grpo": {"grid": {"kl_coef": [0.5]}, "episodes": 128},
    "best_of_n": {"grid": {"n": [2]}},
    "expert_iteration": {"grid": {"n": [2]}, "episodes": 128, "examples": 64},
    "online_dpo": {"grid": {"beta": [0.5]}, "episodes": 128},
}


def models_alive() -> int:
    return sum(isinstance(thing, PreTrainedModel) for thing in gc.get_objects())


@pytest.mark.slow
def test_ten_runs_in_a_row_leave_no_model_and_no_memory(tmp_path: Path) -> None:
    experiment = Experiment.model_validate(TINY | {"seeds": 1, "methods": METHODS})
    plan = Plan.of(experiment, Store(tmp_path), "cpu")
    [pipeline] = plan.pipelines
    pipeline.prepare()
    plan.reference_samples[pipeline].make()
    assert len(plan.runs) == 10
    # Other tests in this process may have left some.
    gc.collect()
    alive = models_alive()
    before = psutil.Process().memory_info().rss
    for run in plan.runs:
        assert perform(run_job(run)).status == "ok", run.label
        assert models_alive() <= alive, run.label
        after = psutil.Process().memory_info().rss
        # Of the first of each kind, libraries stay.
        assert after - before < 50 * MEGABYTES, run.label
        before = after
