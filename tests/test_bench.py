"""The whole way, on a pipeline of a few seconds: results, cache, failures, and kill -9."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from bench.config.experiment import load_experiment, narrow
from bench.pipeline.embedded import EmbeddedPipeline
from bench.results.loading import METHOD_COLUMNS, RUN_COLUMNS
from bench.execution.plan import Plan
from bench.cache.store import Store
from bench.tasks.exact import Exact
from methods.base import Diverged

TINY = {
    "name": "tiny",
    "seeds": 2,
    "tasks": {
        "exact": {
            "options": {
                "length": 3,
                "labels": 256,
                "architecture": {"layers": 1, "hidden": 16},
                "pretraining": {"examples": 1024},
                "sft": {"examples": 256},
                "reward_model": {"epochs": 1},
            }
        }
    },
    "methods": {
        "sft": {},
        "dpo": {"grid": {"beta": [0.5]}, "examples": 256},
        "ppo": {"grid": {"kl_coef": [0.5]}, "episodes": 2048, "batch_size": 64, "save_every": 2},
        "best_of_n": {"grid": {"n": [2, 4]}},
    },
    "evaluation": {"responses_per_prompt": 4, "temperatures": [0]},
}
TIMES = ["train_seconds", "peak_memory_mb"]


def command(folder: Path, content: dict[str, object], *options: str) -> subprocess.Popen[str]:
    """Start `prefrontier bench` on an experiment, with its cache and results in the folder."""
    folder.mkdir(exist_ok=True)
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump(content))
    arguments = ["bench", str(file), "--out", str(folder / "out"), "--device", "cpu", *options]
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        env=os.environ | {"PREFRONTIER_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=300)
    return output


def figures(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "out" / "runs.csv").drop(columns=TIMES)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run."""
    folder = tmp_path_factory.mktemp("whole")
    process = command(folder, TINY, "--jobs", "2")
    output = finish(process)
    assert process.returncode == 0, output
    (folder / "output").write_text(output)
    return folder


def test_what_a_run_leaves(finished: Path) -> None:
    out = finished / "out"
    runs = pd.read_csv(out / "runs.csv")
    assert list(runs.columns) == RUN_COLUMNS
    assert len(runs) == 2 * 2 * 5
    assert (runs["status"] == "ok").all()
    assert set(runs["split"]) == {"validation", "test"}
    for name in ("report.html", "report.md", "curves.csv", "samples.parquet", "experiment.yaml"):
        assert (out / name).stat().st_size > 0, name
    for suffix in ("png", "svg"):
        assert (out / "figures" / f"frontier.{suffix}").stat().st_size > 0
    about = pd.read_csv(out / "methods.csv", keep_default_na=False).set_index("method")
    assert list(about.columns) == [name for name in METHOD_COLUMNS if name != "method"]
    kinds = {"sft": "none", "dpo": "pairs", "ppo": "reward", "best_of_n": "reward"}
    assert about["learns_from"].to_dict() == kinds
    assert about.loc["dpo", "title"] == "Direct preference optimization."
    assert about.loc["dpo", "paper"] == "https://arxiv.org/abs/2305.18290"
    assert json.loads(about.loc["best_of_n", "tried"]) == {"n": [2, 4]}
    assert json.loads(about.loc["best_of_n", "fixed"]) == {}
    fixed = json.loads(about.loc["ppo", "fixed"])
    assert (fixed["episodes"], fixed["batch_size"]) == (2048, 64) and "kl_coef" not in fixed
    assert "Rafailov et al., 2023</a>" in (out / "report.html").read_text()
    manifest = json.loads((out / "manifest.json").read_text())
    for policy in manifest["policies"]:
        folder = finished / "cache" / policy["folder"]
        assert (folder / "model.safetensors").exists()
        assert not list(folder.glob("*.bin"))


def test_figures_of_an_enumerated_task_are_exact(finished: Path) -> None:
    runs = pd.read_csv(finished / "out" / "runs.csv")
    sft = runs[runs["method"] == "sft"]
    assert sft["kl"].abs().max() < 1e-9
    assert sft["win_rate_sft"].tolist() == pytest.approx([0.5] * len(sft))
    assert (runs["kl"] >= -1e-9).all()
    assert (runs["reward_sem"] == 0).all()
    test = runs[(runs["split"] == "test") & runs["efficiency"].notna()]
    assert test["efficiency"].max() <= 1 + 1e-6
    assert runs[runs["method"] == "best_of_n"]["chosen_logp_change"].isna().all()
    assert (runs[runs["method"] == "ppo"]["labels"] == 256).all()


def test_head_to_head_is_antisymmetric(finished: Path) -> None:
    table = pd.read_csv(finished / "out" / "head_to_head.csv")
    turned = table.rename(columns={"method": "opponent", "opponent": "method"})
    both = table.merge(turned, on=["task", "seed", "prompt", "method", "opponent"])
    assert len(both) == len(table) == 2 * 8 * 4 * 3
    assert (both["win_rate_x"] + both["win_rate_y"]).tolist() == pytest.approx([1.0] * len(both))
    assert both["tokens_x"].equals(both["opponent_tokens_y"])


def test_head_to_head_has_the_figures_of_the_runs_prompt_by_prompt(finished: Path) -> None:
    out = finished / "out"
    table, runs = pd.read_csv(out / "head_to_head.csv"), pd.read_csv(out / "runs.csv")
    against = table[table["opponent"] == "sft"].groupby(["method", "seed"])["win_rate"].mean()
    known = runs[(runs["split"] == "test") & runs["method"].isin(["dpo", "ppo"])]
    rates = known.set_index(["method", "seed"])["win_rate_sft"]
    assert against[rates.index].tolist() == pytest.approx(rates.tolist(), abs=1e-5)
    samples = pd.read_parquet(out / "samples.parquet").query("split == 'test' and method == 'ppo'")
    lengths = samples.groupby(["seed", "prompt"], sort=False)["response_tokens"].mean()
    mine = table.query("method == 'ppo' and opponent == 'dpo'")
    assert mine["tokens"].tolist() == pytest.approx(lengths.tolist())


def test_terminal_shows_plan_progress_table_and_report(finished: Path) -> None:
    output = (finished / "output").read_text()
    assert "10 to make; runs: 0 cached, 10 to do" in output
    assert "[12/12]" in output and "left" in output
    assert "gain over SFT" in output
    assert output.strip().splitlines()[-1].endswith("report.html")


def test_a_second_run_trains_nothing(finished: Path) -> None:
    before = figures(finished)
    policies = {p: p.stat().st_mtime_ns for p in (finished / "cache").rglob("*.safetensors")}
    started = time.perf_counter()
    output = finish(command(finished, TINY, "--jobs", "2"))
    assert time.perf_counter() - started < 60
    assert "0 to make; runs: 10 cached, 0 to do" in output
    after = {p: p.stat().st_mtime_ns for p in (finished / "cache").rglob("*.safetensors")}
    assert after == policies
    pd.testing.assert_frame_equal(before, figures(finished))


def test_killed_and_started_again_gives_the_same_figures(finished: Path, tmp_path: Path) -> None:
    process = command(tmp_path, TINY, "--jobs", "1")
    work = tmp_path / "cache" / "work"
    deadline = time.time() + 120
    # The hardest moment: in the middle of PPO, right after one of its saves.
    while not list(work.glob("*/progress.pt")):
        assert time.time() < deadline and process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out" / "runs.csv").exists()
    again = command(tmp_path, TINY, "--jobs", "2")
    output = finish(again)
    assert again.returncode == 0, output
    assert "0 to make" not in output.splitlines()[0]
    # Another process, another number of jobs, another folder: the same figures.
    pd.testing.assert_frame_equal(figures(finished), figures(tmp_path))


BROKEN = '''
"""Plug-ins that go wrong."""
import os
from dataclasses import dataclass
from methods.base import Method


@dataclass(frozen=True)
class Broken(Method):
    """Broken on purpose."""

    how: str = "raises"

    def train(self, context):
        policy = context.start()
        if self.how == "dies":
            os._exit(9)
        if self.how == "raises":
            raise ValueError("not | today\\nnor <b>tomorrow</b>")
        next(iter(policy.model.parameters())).data.fill_(float("nan"))
        return policy
'''


def test_a_method_that_fails_gets_a_row_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "plugin"
    (package / "broken-1.dist-info").mkdir(parents=True)
    (package / "broken.py").write_text(BROKEN)
    (package / "broken-1.dist-info" / "METADATA").write_text("Name: broken\nVersion: 1\n")
    (package / "broken-1.dist-info" / "entry_points.txt").write_text(
        "[prefrontier.methods]\nbroken = broken:Broken\nmissing = nowhere:Nothing\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(package))
    content = TINY | {
        "seeds": 1,
        "methods": {"sft": {}, "broken": {"grid": {"how": ["dies", "raises", "diverges"]}}},
    }
    process = command(tmp_path, content, "--jobs", "1")
    output = finish(process)
    assert process.returncode == 1, output
    runs = pd.read_csv(tmp_path / "out" / "runs.csv")
    status = runs[runs["split"] == "test"].set_index(["method", "params"])["status"]
    assert status["sft", "{}"] == "ok"
    assert status["broken", '{"how": "raises"}'] == "failed"
    assert status["broken", '{"how": "diverges"}'] == "diverged"
    # One job, and still a process of its own: a crash takes nothing else down.
    assert status["broken", '{"how": "dies"}'] == "failed"
    errors = runs[runs["method"] == "broken"]["error"]
    assert errors.str.contains("ValueError: not \\| today nor").any()
    assert errors.str.contains("worker died").any()
    assert runs[runs["method"] == "broken"]["reward"].isna().all()
    assert "<b>tomorrow</b>" not in (tmp_path / "out" / "report.html").read_text()
    assert "3 runs failed" in output
    unknown = command(tmp_path, content, "--methods", "missing")
    assert "ModuleNotFoundError" in finish(unknown)
    assert unknown.returncode == 2


def test_saved_policies_load_with_transformers_alone(finished: Path) -> None:
    """Twenty lines that know nothing of this code get the same change in log-probability."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    manifest = json.loads((finished / "out" / "manifest.json").read_text())
    cache = finished / "cache"
    stages = {(s["seed"], s["stage"]): cache / s["folder"] for s in manifest["stages"]}

    def mean_logprob(folder: Path, pairs: list[dict[str, str]]) -> float:
        model, tokenizer = (
            AutoModelForCausalLM.from_pretrained(folder),
            AutoTokenizer.from_pretrained(folder),
        )
        total = 0.0
        for pair in pairs:
            turn = [{"role": "user", "content": pair["prompt"]}]
            text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
            start = len(tokenizer(text, add_special_tokens=False)["input_ids"])
            ids = torch.tensor(
                [tokenizer(text + pair["chosen"], add_special_tokens=False)["input_ids"]]
            )
            with torch.no_grad():
                table = model(ids).logits.log_softmax(-1)[0, :-1]
            taken = table.gather(1, ids[0, 1:, None]).squeeze(1)
            total += float(taken[start - 1 :].sum())
        return total / len(pairs)

    runs = pd.read_csv(finished / "out" / "runs.csv")
    for policy in manifest["policies"]:
        if policy["method"] not in ("dpo", "ppo"):
            continue
        lines = (stages[policy["seed"], "feedback"] / "test.pairs.jsonl").read_text().splitlines()
        pairs = [json.loads(line) for line in lines]
        reference = mean_logprob(stages[policy["seed"], "sft"], pairs)
        change = mean_logprob(cache / policy["folder"], pairs) - reference
        mine = (
            runs[["method", "seed", "split"]] == [policy["method"], policy["seed"], "test"]
        ).all(axis=1)
        assert runs[mine]["chosen_logp_change"].item() == pytest.approx(change, abs=1e-4)


def test_a_policy_without_logprobs_is_measured_from_samples(finished: Path) -> None:
    """Also where all responses are listed: against their probabilities, not their list."""
    from bench.evaluation.measure import against_frontier, measure
    from bench.execution.run import clean
    from methods.core.models.policy import ModelPolicy

    class Opaque(ModelPolicy):
        def logprobs(self, *_: object) -> None:  # type: ignore[override]
            return None

    plan = Plan.of(
        load_experiment(str(finished / "tiny.yaml")), Store(finished / "cache"), device="cpu"
    )
    reference_samples = plan.reference_samples_of[plan.pipelines[0]]
    sft = reference_samples.pipeline.sft()
    # No ModelPolicy to the measuring code, which then has nothing but samples to go by.
    opaque = Opaque(sft.model, sft.tokenizer)
    wrapped = type("Wrapped", (), {"generate": opaque.generate, "logprobs": opaque.logprobs})()
    figures = measure(reference_samples, wrapped, "test", 64).figures
    assert figures["win_rate_sft"] == pytest.approx(0.5, abs=0.05)
    assert figures["chosen_logp_change"] is None
    assert against_frontier(reference_samples.frontiers.frontier, clean(figures))["efficiency"] is None


SAMPLED = TINY | {
    "seeds": 1,
    "tasks": {
        "polite": {
            "options": {
                "labels": 256,
                "architecture": {"layers": 1, "hidden": 32},
                "pretraining": {"examples": 8192},
                "sft": {"examples": 1024},
                "reward_model": {"epochs": 1},
            }
        }
    },
    "methods": {
        "sft": {},
        "dpo": {"grid": {"beta": [0.1, 0.5]}, "examples": 1024},
        "best_of_n": {"grid": {"n": [2]}},
    },
    "evaluation": {"responses_per_prompt": 4, "frontier_samples": 256, "checkpoints": 0},
}


def test_trained_policies_are_sampled_for_the_limit_once(tmp_path: Path) -> None:
    output = finish(command(tmp_path, SAMPLED, "--jobs", "2"))
    assert "polite limit, seed 0  ok" in output
    [made] = (tmp_path / "cache" / "pooled").iterdir()
    before = made.stat().st_mtime_ns, figures(tmp_path)
    with np.load(made / "pooled.npz") as arrays:
        # The reference's samples, and those of the one DPO policy that moved further.
        assert arrays["logprobs"].shape == (2, 24, 256 + 256)
        for name in ("scores", "proxy", "tokens"):
            assert arrays[name].shape == (24, 512)
        reference, policy = arrays["logprobs"]
        moved = float((policy - reference)[:, 256:].mean())
    runs = before[1]
    kl = runs[(runs["method"] == "dpo") & (runs["split"] == "test")]["kl"]
    assert moved == pytest.approx(kl.max(), rel=0.3)
    assert runs[runs["split"] == "validation"]["frontier_reward"].isna().all()
    test = runs[(runs["split"] == "test") & runs["efficiency"].notna()]
    start = runs[(runs["method"] == "sft") & (runs["split"] == "test")]["frontier_reward"].item()
    shares = (test["reward"] - start) / (test["frontier_reward"] - start)
    assert shares.tolist() == pytest.approx(test["efficiency"].tolist(), rel=1e-4)
    output = finish(command(tmp_path, SAMPLED, "--jobs", "2"))
    assert "0 to make; runs: 4 cached, 0 to do" in output and "limit, seed" not in output
    assert made.stat().st_mtime_ns == before[0]
    pd.testing.assert_frame_equal(before[1], figures(tmp_path))
    # Without a policy that moved, or where that stage failed, the reference's samples have to do.
    experiment, store = load_experiment(str(tmp_path / "tiny.yaml")), Store(tmp_path / "cache")
    plan = Plan.of(experiment, store, device="cpu")
    [pipeline] = plan.pipelines
    pooled, alone = plan.pooled(pipeline), plan.reference_samples_of[pipeline].frontiers
    assert pooled is not None and pooled.folder == made
    assert plan.frontiers(pipeline).frontier.largest_kl >= alone.frontier.largest_kl
    shutil.rmtree(made)
    assert plan.frontiers(pipeline) is alone
    assert Plan.of(narrow(experiment, methods=["sft"]), store, "cpu").pooled(pipeline) is None


def test_a_shared_stage_that_diverges_is_not_kept(tiny_exact: Exact, tmp_path: Path) -> None:
    pretraining = replace(tiny_exact.pretraining, learning_rate=1e38)
    pipeline = EmbeddedPipeline(replace(tiny_exact, pretraining=pretraining), 0, "cpu", Store(tmp_path))
    with pytest.raises(Diverged, match="not finite"):
        pipeline.prepare()
    assert "base_model" in pipeline.missing()
