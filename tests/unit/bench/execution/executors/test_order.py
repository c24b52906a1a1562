"""Jobs as they travel: small, and done by the same code alone."""

from __future__ import annotations

import pickle
import platform
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.command import SAMPLED, TINY
from helpers.jobs import job, nothing, touch

from bench.cache.store import Store
from bench.config.experiment import validated
from bench.execution.executors.order import Order, confirmed, do_order, traveling_environment
from bench.execution.jobs import jobs_of
from bench.execution.plan import Plan
from bench.execution.scheduling.job import Outcome


@pytest.mark.parametrize("content", [TINY, SAMPLED])
def test_only_keys_and_settings_travel(content: dict[str, object], tmp_path: Path) -> None:
    plan = Plan.of(validated(content, "tiny"), Store(tmp_path), "cpu")
    orders = [Order.of(each, threads=1) for each in jobs_of(plan)]
    assert len(orders) > 8
    assert max(len(pickle.dumps(order)) for order in orders) < 20_000
    named = {name for order in orders for name in order.modules}
    task = next(iter(plan.experiment.tasks))
    assert {"bench.execution.run", "methods.dpo", f"bench.tasks.{task}"} <= named
    assert not any(name.startswith(("numpy", "torch", "pathlib")) for name in named)


def test_an_order_is_done_where_the_code_is_the_same(tmp_path: Path) -> None:
    order = Order.of(job("a", touch, tmp_path / "file"), threads=1)
    assert do_order(order).status == "ok"
    assert (tmp_path / "file").exists()


def test_an_order_is_refused_where_code_or_libraries_differ(tmp_path: Path) -> None:
    order = Order.of(job("a", touch, tmp_path / "file"), threads=1)
    torch = order.libraries["torch"]
    for other, error in (
        (replace(order, code="0"), "its code differs from that where the command was started"),
        (replace(order, modules=("gone",)), "lacks the module gone"),
        (replace(order, libraries={"torch": "1.0"}), f"has torch {torch}, not 1.0 as where"),
    ):
        outcome = do_order(other)
        assert outcome.status == "failed"
        assert outcome.error.startswith(f"{platform.node()}: {error}")
    assert not (tmp_path / "file").exists()


def test_what_is_seen_late_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.execution.executors.order.DELAYS", (0.0, 0.0, 0.0))
    seen = iter([False, False, True])
    assert confirmed(job("a", nothing), Outcome("ok"), lambda job: next(seen)).status == "ok"
    never = confirmed(job("a", nothing), Outcome("ok"), lambda job: False)
    assert never.status == "failed" and "lacks a, which was made elsewhere" in never.error
    diverged = Outcome("diverged", "loss is nan")
    assert confirmed(job("a", nothing), diverged, lambda job: False) is diverged


def test_secrets_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_1")
    monkeypatch.setenv("PREFRONTIER_CACHE", "/shared")
    environment = traveling_environment()
    assert environment["PREFRONTIER_CACHE"] == "/shared"
    assert "HF_TOKEN" not in environment
