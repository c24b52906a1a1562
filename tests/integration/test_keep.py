"""Which trained policies stay on disk, and that dropping them repeats no training."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from helpers.command import SAMPLED, TINY, command, finish

from bench.analysis.selection import select_settings
from bench.cache.store import Store
from bench.config.files import load_experiment
from bench.execution.plan import Plan
from bench.results.loading import load_results


def run(folder: Path, *options: str, content: dict[str, object] = TINY) -> str:
    process = command(folder, content, "--jobs", "2", *options)
    output = finish(process)
    assert process.returncode == 0, output
    return output


def on_disk(folder: Path) -> set[str]:
    """Return the policies in the cache, by folder."""
    return {f"policy/{place.name}" for place in (folder / "cache" / "policy").iterdir()}


def tables(folder: Path) -> dict[str, bytes]:
    """Return the content of every table."""
    out = folder / "out"
    return {file.name: file.read_bytes() for file in (*out.glob("*.csv"), *out.glob("*.parquet"))}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that kept the policies of the selected settings alone."""
    folder = tmp_path_factory.mktemp("keep")
    run(folder, "--keep", "selected")
    return folder


def test_only_policies_of_selected_settings_stay(kept: Path) -> None:
    results = load_results(kept / "out")
    selected = select_settings(results.runs, "exact")
    policies = results.manifest["policies"]
    # The four methods at two seeds; one of the two settings of best_of_n is gone.
    assert len(policies) == 8
    assert all(policy["params"] == selected[policy["method"]] for policy in policies)
    assert on_disk(kept) == {policy["folder"] for policy in policies}
    assert not list((kept / "cache" / "work").iterdir())
    assert yaml.safe_load(results.experiment)["keep"] == "selected"


def test_a_second_run_trains_nothing_and_writes_the_same_tables(kept: Path) -> None:
    before, policies = tables(kept), on_disk(kept)
    assert "0 to make; runs: 10 cached, 0 to do" in run(kept, "--keep", "selected")
    assert tables(kept) == before
    assert on_disk(kept) == policies


def test_none_stays(kept: Path) -> None:
    before = tables(kept)
    run(kept, "--keep", "none")
    assert not on_disk(kept)
    assert tables(kept) == before
    assert json.loads((kept / "out" / "manifest.json").read_text())["policies"] == []


@pytest.mark.slow
def test_a_seed_can_be_added_and_what_must_be_measured_again_is_trained_again(kept: Path) -> None:
    run(kept, "--keep", "none")
    plan = Plan.of(load_experiment(str(kept / "tiny.yaml")), Store(kept / "cache"), "cpu")
    dpo = next(run for run in plan.runs if run.name == "dpo")
    before = dpo.metrics("test")
    dpo.pipeline.store.drop("metrics", dpo.key)
    assert "runs: 9 cached, 6 to do (0 of them trained)" in run(kept, "--seeds", "3")
    runs = pd.read_csv(kept / "out" / "runs.csv")
    assert (runs["status"] == "ok").all() and runs["seed"].nunique() == 3
    assert len(on_disk(kept)) == 6
    assert dpo.metrics("test") == pytest.approx(before)


@pytest.mark.slow
def test_a_policy_that_a_new_pool_samples_is_trained_again(tmp_path: Path) -> None:
    run(tmp_path, "--keep", "none", content=SAMPLED)
    [made] = (tmp_path / "cache" / "pooled_samples").iterdir()
    before = tables(tmp_path)
    shutil.rmtree(made)
    output = run(tmp_path, "--keep", "none", content=SAMPLED)
    # The job that pools trains it; no run is done again.
    assert "polite dpo" not in output and "polite optimal frontier, seed 0  ok" in output
    assert made.exists() and not on_disk(tmp_path)
    assert tables(tmp_path).keys() == before.keys()
    after = pd.read_csv(tmp_path / "out" / "runs.csv")
    assert after.equals(pd.read_csv(io.BytesIO(before["runs.csv"])))
