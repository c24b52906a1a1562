"""Recorded preferences from a file to a report, with a judge in place of a gold reward."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from helpers.classifiers import make_classifier
from helpers.judge_server import JudgeServer, longer, serving
from helpers.preferences import (
    NICE,
    RUDE,
    experiment_file,
    make_folder,
    open_recorded,
    pairs,
    rankings,
    unpaired,
    write_rows,
)
from helpers.report import page_text

from bench.commands.experiments.options import Options
from bench.commands.experiments.run import run_bench
from bench.errors import UserError
from bench.report.terminal import terminal_answer
from bench.results.loading import load_results

SPLITS = ("train", "judge", "validation", "test")
LONGER = {"epochs": 12, "batch_size": 8, "learning_rate": 4e-3}


def run(experiment: Path, **options: Any) -> tuple[int, Path]:
    """Run an experiment; return the status and the results, beside the experiment."""
    out = experiment.parent / "out"
    defaults = {"methods": [], "tasks": [], "seeds": None, "jobs": 1, "device": "cpu", "out": out}
    return run_bench(Options(str(experiment), **(defaults | options))), out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with recorded pairs, and a cache that the tests of this module share."""
    folder = tmp_path_factory.mktemp("recorded")
    write_rows(folder / "prefs.jsonl", pairs(160))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFRONTIER_CACHE", str(folder / "cache"))
        yield folder


class Finished(NamedTuple):
    """A finished comparison: its experiment, its results, and the language model that judged."""

    experiment: Path
    out: Path
    server: JudgeServer


@pytest.fixture(scope="module")
def finished(folder: Path) -> Iterator[Finished]:
    """A comparison on pairs of people with best-of-n, judged by a language model at its end."""
    experiment = experiment_file(folder, folder / "prefs.jsonl")
    content = json.loads(experiment.read_text())
    content["methods"]["best_of_n"] = {"grid": {"n": [2]}}
    with serving(longer) as server:
        content["llm_judge"] = {"model": "longer", "base_url": server.url}
        experiment.write_text(json.dumps(content))
        status, out = run(experiment)
        assert status == 0, (out / "report.md").read_text()
        yield Finished(experiment, out, server)


def test_rewards_are_the_judges(finished: Finished) -> None:
    runs = pd.read_csv(finished.out / "runs.csv")
    assert runs["reward"].notna().all() and (runs["reward_source"] == "judge").all()
    test = runs[runs["split"] == "test"].set_index("method")
    assert test["win_rate_chosen"].between(0, 1).all()
    assert test.loc["sft", "kl"] == pytest.approx(0, abs=1e-6)
    # The SFT policy's log-ratios are all 0 and rank nothing.
    assert pd.isna(test.loc["sft", "implicit_accuracy"])
    assert test.loc[["dpo", "ppo"], "implicit_accuracy"].between(0, 1).all()
    assert pd.read_parquet(finished.out / "samples.parquet")["reward"].notna().all()


def test_the_judge_learned_from_prompts_that_nothing_else_saw(
    finished: Finished, folder: Path
) -> None:
    [feedback] = (folder / "cache" / "feedback").iterdir()
    prompts = {
        split: {json.loads(line)["prompt"] for line in (feedback / f"{split}.pairs.jsonl").open()}
        for split in SPLITS
    }
    assert all(prompts.values())
    for first, second in combinations(SPLITS, 2):
        assert not prompts[first] & prompts[second]
    samples = pd.read_parquet(finished.out / "samples.parquet")
    assert set(samples.loc[samples["split"] == "test", "prompt"]) <= prompts["test"]
    people = pd.read_parquet(finished.out / "pairs.parquet")
    assert set(people.loc[people["split"] == "test", "prompt"]) == prompts["test"]


def test_the_report_says_what_the_judge_was_and_how_good(finished: Finished) -> None:
    report = page_text(finished.out)
    stages = pd.read_csv(finished.out / "stages.csv").set_index("stage")
    judge = stages.loc["judge"]
    assert judge["pairs"] == len(pd.read_parquet(finished.out / "pairs.parquet"))
    assert f"{100 * judge['reward_accuracy']:.1f}%" in report
    assert "that nothing else saw" in report and "held-out preferences" in report
    assert "starts from the same weights as the reward model (tiny)" in report
    shared = stages.loc["agreement"]
    assert shared["pairs"] == judge["pairs"]
    most = 1 - max(judge["reward_accuracy"], stages.loc["reward_model", "reward_accuracy"])
    assert 0 <= shared["both_wrong"] <= most + 1e-6
    assert "errors of judge and reward model" in report
    assert "judge reward" in report
    assert "win rate vs chosen" in report and "implicit accuracy" in report
    samples = pd.read_parquet(finished.out / "samples.parquet")
    prompts = samples.loc[samples["split"] == "test", "prompt"].nunique()
    assert f"Intervals are over {prompts} test prompts, for this one training" in report


def test_a_report_without_a_gold_reward_does_not_speak_of_one(finished: Finished) -> None:
    for text in ((finished.out / "report.md").read_text(), page_text(finished.out)):
        assert "gold" not in text.lower()
    for figure in (finished.out / "figures").glob("*.svg"):
        assert "gold" not in figure.read_text().lower()
    shown = " ".join(map(str, terminal_answer(load_results(finished.out), "recorded")))
    assert "judge" in shown and "gold" not in shown


def test_a_language_model_judges_at_the_end_of_a_run(finished: Finished) -> None:
    assert finished.server.requests
    rows = pd.read_csv(finished.out / "llm_judge.csv")
    assert {"sft", "chosen", "rejected"} == set(rows["opponent"])
    people = rows[(rows["method"] == "chosen") & (rows["opponent"] == "rejected")].iloc[0]
    recorded = pd.read_parquet(finished.out / "pairs.parquet")
    test = recorded[recorded["split"] == "test"]
    longest = test["chosen"].str.len() > test["rejected"].str.len()
    assert people["win_rate"] == pytest.approx(longest.mean())
    report = page_text(finished.out)
    assert "Judged by a language model" in report
    assert "longer, asked in both orders" in report


def test_a_second_run_makes_nothing_and_asks_nothing(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    before, requests = (finished.out / "runs.csv").read_text(), len(finished.server.requests)
    assert run(finished.experiment)[0] == 0
    assert "0 to make" in capsys.readouterr().out
    assert (finished.out / "runs.csv").read_text() == before
    assert len(finished.server.requests) == requests


@pytest.mark.slow
def test_a_language_model_that_cannot_be_reached_costs_neither_run_nor_report(
    finished: Finished,
) -> None:
    content = json.loads(finished.experiment.read_text())
    content["llm_judge"] = {"model": "gone", "base_url": "http://127.0.0.1:9/v1", "retries": 0}
    experiment = finished.experiment.with_name("gone.yaml")
    experiment.write_text(json.dumps(content))
    status, out = run(experiment, out=finished.out.with_name("gone"))
    assert status == 1
    assert (out / "report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "method"),
    [("unpaired", "kto"), pytest.param("rankings", "dpo", marks=pytest.mark.slow)],
)
def test_unpaired_labels_and_rankings_are_learned_from(
    kind: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    rows = {"unpaired": unpaired, "rankings": rankings}[kind](140)
    data = write_rows(tmp_path / "prefs.jsonl", rows)
    experiment = experiment_file(tmp_path, data, judge=LONGER)
    content = json.loads(experiment.read_text())
    small = {"examples": 64, "batch_size": 16}
    content["methods"] = {"sft": {}, method: {"grid": {"beta": [0.2]}, **small}}
    experiment.write_text(json.dumps(content))
    status, out = run(experiment)
    assert status == 0, (out / "report.md").read_text()
    runs = pd.read_csv(out / "runs.csv")
    assert runs["reward"].notna().all()
    stages = pd.read_csv(out / "stages.csv").set_index("stage")
    # Nice or rude is easy to tell.
    assert stages.loc["judge", "reward_accuracy"] > 0.8
    assert stages.loc["judge", "pairs"] > 0


def test_a_method_that_learns_from_something_else_is_an_error_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    for rows, method in ((unpaired(80), "dpo"), (pairs(80), "kto"), (pairs(80), "ppo_gold")):
        data = write_rows(tmp_path / "prefs.jsonl", rows)
        with pytest.raises(UserError, match=f"'{method}' learns from"):
            run(experiment_file(tmp_path, data), methods=[method])
    assert not (tmp_path / "cache" / "base_model").exists()


def test_too_many_bad_rows_end_a_run_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    rows = [*pairs(20), *[{"prompt": "p", "chosen": "a"}] * 2]
    data = write_rows(tmp_path / "prefs.jsonl", rows)
    with pytest.raises(UserError, match=r"2 of 22 rows cannot be used.*bad_rows") as caught:
        run(experiment_file(tmp_path, data))
    assert "2 no column 'rejected': lines 21, 22" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_reward_model_on_unpaired_labels_ranks_liked_over_disliked(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "prefs.jsonl", unpaired(160))
    pipeline = open_recorded(tmp_path, data, reward_model=LONGER)
    pipeline.prepare()
    prompts = pipeline.prompts("test")
    nice = pipeline.reward_model()(prompts, [NICE + pipeline.end] * len(prompts))
    rude = pipeline.reward_model()(prompts, [RUDE + pipeline.end] * len(prompts))
    assert min(nice) > 0 > max(rude)


@pytest.mark.parametrize("judge_model", ["qwen2", "1M"])
def test_a_judge_may_be_another_model_with_another_tokenizer(
    judge_model: str, folder: Path
) -> None:
    if judge_model == "qwen2":
        judge_model = str(make_folder("qwen2", folder / "qwen2"))
    pipeline = open_recorded(folder, folder / "prefs.jsonl", judge_model=judge_model)
    for stage in ("base_model", "judge", "sft"):
        pipeline.make(stage)
    judge = pipeline.judge()
    assert judge.tokenizer.get_vocab() != pipeline.sft().tokenizer.get_vocab()
    held_out = [*pipeline.held_out_pairs("validation"), *pipeline.held_out_pairs("test")]
    assert pipeline.metrics("judge")["pairs"] == len(held_out)
    prompts = pipeline.prompts("test")[:2]
    # The policies' end token ends a response for the judge too: it is no text to it.
    ended = pipeline.reward(prompts, [NICE + pipeline.end] * 2)
    assert ended != pytest.approx(pipeline.reward(prompts, [NICE] * 2), abs=1e-6)
    ends, judge.ends = judge.ends, [judge.tokenizer.eos_token]
    as_its_own = judge(prompts, [NICE + judge.ends[0]] * 2)
    judge.ends = ends
    assert ended == pytest.approx(as_its_own, abs=1e-6)


@pytest.mark.slow
def test_a_classifier_may_be_the_reward_and_the_judge(folder: Path) -> None:
    work = folder / "classified"
    work.mkdir()
    classifier = {"model": str(make_classifier(work / "classifier")), "label": "POSITIVE"}
    options = {"reward_classifier": classifier, "judge_classifier": classifier}
    experiment = experiment_file(work, folder / "prefs.jsonl", **options)
    content = json.loads(experiment.read_text())
    content["methods"]["best_of_n"] = {"grid": {"n": [4]}}
    experiment.write_text(json.dumps(content))
    status, out = run(experiment)
    runs = pd.read_csv(out / "runs.csv")
    assert status == 0, list(runs["error"].dropna())
    # Reward and judge are the same, so the best of four is better.
    assert runs["reward"].tolist() == pytest.approx(runs["proxy_reward"].tolist(), abs=1e-5)
    test = runs[runs["split"] == "test"].set_index("method")
    assert test.loc["best_of_n", "reward"] > test.loc["sft", "reward"]
    report = page_text(out)
    assert "as it is" in report and "The judge is the reward model itself" in report
