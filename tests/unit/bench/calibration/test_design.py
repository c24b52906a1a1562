"""The design of a calibration, and replicas of methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.code import change_module
from helpers.models import same, weights

from bench.cache.store import Store
from bench.calibration.design import FULL, ITSELF, Design, pairs_of
from bench.calibration.replicas import DPOReplica, PPOReplica
from methods.core.models.policy import ModelPolicy
from methods.core.training.context import Context
from methods.dpo import DPO
from methods.ppo import PPO


def test_no_policy_serves_twice_where_a_method_meets_itself() -> None:
    twins = [pair for pair in pairs_of(FULL) if pair.kind == ITSELF]
    arms = [arm for pair in twins for arm in (pair.ours, pair.theirs)]
    assert len(set(arms)) == len(arms)
    assert len(twins) * FULL.groups == 200


def test_every_run_of_an_instance_has_its_own_key(tmp_path: Path) -> None:
    runs = Design.of(FULL, Store(tmp_path)).runs
    assert len({run.key for run in runs[:70]}) == 70


@pytest.mark.parametrize(
    ("replica", "module"), [(DPOReplica, "methods.dpo"), (PPOReplica, "methods.ppo")]
)
def test_a_replica_is_trained_anew_when_its_methods_code_changes(
    replica: type, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keys() -> list[str]:
        runs = Design.of(FULL, Store(tmp_path)).runs[:70]
        return [run.train_key for run in runs if isinstance(run.method, replica)]

    before = keys()
    change_module(monkeypatch, module)
    assert before and not set(keys()) & set(before)


@pytest.mark.parametrize(
    "method",
    [
        DPOReplica(examples=128, learning_rate=1e-2),
        PPOReplica(episodes=64, batch_size=32, minibatches=2, value_init="zero"),
    ],
)
def test_a_replica_is_the_same_method_with_other_random_numbers(
    method: DPOReplica | PPOReplica, make_context: Callable[..., Context]
) -> None:
    def train(replica: int) -> list[object]:
        policy = replace(method, replica=replica).train(make_context())
        assert isinstance(policy, ModelPolicy)
        return list(weights(policy))

    first = train(0)
    assert same(first, train(0))  # type: ignore[arg-type]
    assert not same(first, train(1))  # type: ignore[arg-type]
    original = DPO if isinstance(method, DPOReplica) else PPO
    assert (method.feedback, method.strength) == (original.feedback, original.strength)
