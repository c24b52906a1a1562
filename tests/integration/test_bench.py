"""The whole way on a task of seconds: results, cache, a second run, and kill -9."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from helpers.command import TINY, command, finish, metrics
from helpers.report import page_text
from helpers.tensorboard import scalars

from bench.cache.store import Store
from bench.config.files import load_experiment
from bench.execution.plan import Plan
from bench.execution.scheduling.durations import OVERHEAD, OVERHEAD_GUESS, Durations
from bench.results.schema import METHODS, RUNS


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run."""
    folder = tmp_path_factory.mktemp("whole")
    contrasts = ["--contrast", "ppo,dpo", "--contrast", "dpo,sft"]
    process = command(folder, TINY, "--jobs", "2", *contrasts, "--log-to", "tensorboard")
    output = finish(process)
    assert process.returncode == 0, output
    (folder / "output").write_text(output)
    return folder


def test_what_a_run_leaves(finished: Path) -> None:
    out = finished / "out"
    runs = pd.read_csv(out / "runs.csv")
    assert list(runs.columns) == RUNS.names
    assert len(runs) == 2 * 2 * 5
    assert (runs["status"] == "ok").all()
    assert set(runs["split"]) == {"validation", "test"}
    for name in (
        "report.html",
        "report.md",
        "report.json",
        "curves.csv",
        "samples.parquet",
        "experiment.yaml",
    ):
        assert (out / name).stat().st_size > 0, name
    for suffix in ("png", "svg"):
        assert (out / "figures" / f"frontier.{suffix}").stat().st_size > 0
    about = pd.read_csv(out / "methods.csv", keep_default_na=False).set_index("method")
    assert list(about.columns) == [name for name in METHODS.names if name != "method"]
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


def test_metrics_of_an_enumerated_task_are_exact(finished: Path) -> None:
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


def test_head_to_head_has_the_win_rates_of_the_runs_prompt_by_prompt(finished: Path) -> None:
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


def test_contrasts_of_the_command_line_are_those_of_the_report(finished: Path) -> None:
    declared = yaml.safe_load((finished / "out" / "experiment.yaml").read_text())["contrasts"]
    assert declared == [["ppo", "dpo"], ["dpo", "sft"]]
    said = "contrasts: ppo vs dpo, dpo vs sft; a verdict needs 7 seeds, not 2"
    assert said in (finished / "output").read_text()
    note = "Only declared contrasts receive a verdict: ppo vs dpo and dpo vs sft."
    assert note in page_text(finished / "out")


def test_terminal_shows_plan_progress_table_and_report(finished: Path) -> None:
    output = (finished / "output").read_text()
    assert "10 to make; runs: 0 cached, 10 to do" in output
    assert "[20/20]" in output and "left" in output
    assert "gain over SFT" in output
    assert output.strip().splitlines()[-1].endswith("report.html")


def test_the_next_estimate_rests_on_what_was_done(finished: Path) -> None:
    durations = Durations.load(Store(finished / "cache"), "cpu, 2 at a time")
    # Of two seeds: stages, samples and runs, and what the command does besides.
    assert len(durations.entries) == 4 + 1 + 5 + 1
    assert all(entry["size"] for entry in durations.entries.values() if entry["kind"] != OVERHEAD)
    assert 1 < durations.overhead() < 900 and durations.overhead() != OVERHEAD_GUESS


def test_tensorboard_has_the_curves(finished: Path) -> None:
    curves = pd.read_csv(finished / "out" / "curves.csv")
    assert set(curves["method"]) == {"dpo", "ppo"}
    wanted = {
        (
            f"exact-{row.method}-{'-'.join(f'{k}={v}' for k, v in json.loads(row.params).items())}"
            f"-seed{row.seed}",
            row.metric,
            row.step,
        ): pytest.approx(row.value, rel=1e-6)
        for row in curves.itertuples()
    }
    # What has not been sent when the command ends is sent after that.
    deadline = time.time() + 120
    while len(sent := scalars(finished / "out" / "logs")) < len(wanted) and time.time() < deadline:
        time.sleep(0.5)
    assert sent == wanted


def computed() -> float:
    """Return the time that processes which have ended have computed: not what they waited (s)."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_second_run_trains_nothing(finished: Path) -> None:
    before = metrics(finished)
    policies = {p: p.stat().st_mtime_ns for p in (finished / "cache").rglob("*.safetensors")}
    started = computed()
    output = finish(command(finished, TINY, "--jobs", "2"))
    assert computed() - started < 60
    assert "0 to make; runs: 10 cached, 0 to do" in output
    after = {p: p.stat().st_mtime_ns for p in (finished / "cache").rglob("*.safetensors")}
    assert after == policies
    pd.testing.assert_frame_equal(before, metrics(finished))


def test_killed_and_started_again_gives_the_same_metrics(finished: Path, tmp_path: Path) -> None:
    process = command(tmp_path, TINY, "--jobs", "1")
    work = tmp_path / "cache" / "work"
    deadline = time.time() + 600
    # The hardest moment: in the middle of PPO, right after one of its saves.
    while not list(work.glob("*/progress-*.pt")):
        assert time.time() < deadline and process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out" / "runs.csv").exists()
    again = command(tmp_path, TINY, "--jobs", "2")
    output = finish(again)
    assert again.returncode == 0, output
    assert "; runs: 10 cached, 0 to do" not in output.splitlines()[0]
    # Another process, another number of jobs, another folder: the same metrics.
    pd.testing.assert_frame_equal(metrics(finished), metrics(tmp_path))


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
    from bench.execution.measuring import finite_or_none
    from methods.core.models.policy import ModelPolicy

    class Opaque(ModelPolicy):
        def logprobs(self, *_: object) -> None:  # type: ignore[override]
            return None

    plan = Plan.of(
        load_experiment(str(finished / "tiny.yaml")), Store(finished / "cache"), device="cpu"
    )
    reference_samples = next(iter(plan.reference_samples.values()))
    sft = reference_samples.pipeline.sft()
    # No ModelPolicy to the measuring code, which then has nothing but samples to go by.
    opaque = Opaque(sft.model, sft.tokenizer)
    wrapped = type("Wrapped", (), {"generate": opaque.generate, "logprobs": opaque.logprobs})()
    measured = measure(reference_samples, wrapped, "test", 64).metrics
    assert measured["win_rate_sft"] == pytest.approx(0.5, abs=0.05)
    assert measured["chosen_logp_change"] is None
    assert (
        against_frontier(reference_samples.frontiers.reward, finite_or_none(measured))["efficiency"]
        is None
    )


def test_a_subclass_of_the_model_policy_is_measured_by_its_own_responses(finished: Path) -> None:
    from bench.evaluation.measure import measure
    from methods.core.models.outputs import OutputError
    from methods.core.models.policy import ModelPolicy

    class Best(ModelPolicy):
        """The best of two responses by gold."""

        def generate(self, prompts: list[str], seed: int, sampling: Any) -> list[str]:  # type: ignore[override]
            drawn = [super(Best, self).generate(prompts, seed + i, sampling) for i in range(2)]
            rewards = [pipeline.reward(prompts, responses) for responses in drawn]
            rows = zip(*drawn, *rewards, strict=True)
            return [first if a >= b else second for first, second, a, b in rows]

    class Short(ModelPolicy):
        def logprobs(self, *_: object) -> list[float]:  # type: ignore[override]
            return [-1.0]

    class Unnormalized(ModelPolicy):
        def logprobs(self, prompts: list[str], *_: object) -> list[float]:  # type: ignore[override]
            return [-1.0] * len(prompts)

    plan = Plan.of(
        load_experiment(str(finished / "tiny.yaml")), Store(finished / "cache"), device="cpu"
    )
    reference_samples = next(iter(plan.reference_samples.values()))
    pipeline = reference_samples.pipeline
    sft = pipeline.sft()
    best, plain = (
        measure(reference_samples, kind(sft.model, sft.tokenizer), "test", 64)
        for kind in (Best, ModelPolicy)
    )
    sampled = [row["reward"] for row in best.samples]
    assert best.metrics["reward"] == pytest.approx(sum(sampled) / len(sampled))
    assert best.metrics["reward"] > plain.metrics["reward"] + 0.1
    # Whose log-probabilities are not known.
    assert math.isnan(best.metrics["kl"]) and best.metrics["chosen_logp_change"] is None
    with pytest.raises(OutputError, match=r"Short.logprobs must return one value for each of"):
        measure(reference_samples, Short(sft.model, sft.tokenizer), "test", 4)
    with pytest.raises(OutputError, match=r"sum to .*, not 1"):
        measure(reference_samples, Unnormalized(sft.model, sft.tokenizer), "test", 4)
