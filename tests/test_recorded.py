"""Recorded preferences from a file to a report: splits, feedback, judge, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from judge_server import longer, serving
from preferences import experiment_file, make_folder, pairs, rankings, unpaired, write_rows
from test_sentiment import make_classifier

from bench.commands.run import run_bench
from bench.errors import UserError
from bench.config.experiment import load_experiment
from bench.pipeline.base_model import SIZES
from bench.pipeline.recorded import RecordedPipeline
from bench.pipeline.recorded_feedback import responses_of
from bench.pipeline.registry import make_pipeline
from bench.cache.store import Store
from methods.core.feedback import Pair

SPLITS = ("train", "judge", "validation", "test")
LONGER = {"epochs": 12, "batch_size": 8, "learning_rate": 4e-3}


def run(folder: Path, experiment: Path, **options: Any) -> tuple[int, Path]:
    out = folder / "out"
    given = {"methods": [], "tasks": [], "seeds": None, "jobs": 1, "device": "cpu", "out": out}
    return run_bench(str(experiment), **(given | options)), out


def world_of(folder: Path, data: Path, **options: Any) -> RecordedPipeline:
    task = load_experiment(str(experiment_file(folder, data, **options))).pipelines["recorded"]
    pipeline = make_pipeline(task, 0, "cpu", Store(folder / "cache"))
    assert isinstance(pipeline, RecordedPipeline)
    pipeline.read_data()
    return pipeline


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A comparison on pairs of people, with a best-of-n besides: results and cache."""
    folder = tmp_path_factory.mktemp("recorded")
    data = write_rows(folder / "prefs.jsonl", pairs(160))
    experiment = experiment_file(folder, data)
    content = json.loads(experiment.read_text())
    content["methods"]["best_of_n"] = {"grid": {"n": [2]}}
    experiment.write_text(json.dumps(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFRONTIER_CACHE", str(folder / "cache"))
        status, out = run(folder, experiment)
    assert status == 0, (out / "report.md").read_text()
    return out, folder / "cache"


def test_figures_are_the_judges_and_gold_is_empty(finished: tuple[Path, Path]) -> None:
    runs = pd.read_csv(finished[0] / "runs.csv")
    assert runs["reward"].isna().all() and runs["reward"].notna().all()
    test = runs[runs["split"] == "test"].set_index("method")
    assert test["win_rate_chosen"].between(0, 1).all()
    assert test.loc["sft", "kl"] == pytest.approx(0, abs=1e-6)
    # An untouched policy ranks nothing; the others have log-ratios.
    assert pd.isna(test.loc["sft", "implicit_accuracy"])
    assert test.loc[["dpo", "ppo"], "implicit_accuracy"].between(0, 1).all()
    samples = pd.read_parquet(finished[0] / "samples.parquet")
    assert samples["gold"].isna().all() and samples["judge"].notna().all()


def test_the_judge_learned_from_prompts_that_nothing_else_saw(finished: tuple[Path, Path]) -> None:
    [folder] = (finished[1] / "feedback").iterdir()
    prompts = {
        split: {json.loads(line)["prompt"] for line in (folder / f"{split}.pairs.jsonl").open()}
        for split in SPLITS
    }
    assert all(prompts.values())
    for one in SPLITS:
        for other in SPLITS:
            assert one == other or not prompts[one] & prompts[other]
    samples = pd.read_parquet(finished[0] / "samples.parquet")
    assert set(samples.loc[samples["split"] == "test", "prompt"]) <= prompts["test"]
    people = pd.read_parquet(finished[0] / "pairs.parquet")
    assert set(people.loc[people["split"] == "test", "prompt"]) == prompts["test"]


def test_the_report_says_what_the_judge_was_and_how_good(finished: tuple[Path, Path]) -> None:
    report = (finished[0] / "report.md").read_text()
    stages = pd.read_csv(finished[0] / "stages.csv").set_index("stage")
    judge = stages.loc["judge"]
    assert judge["pairs"] == len(pd.read_parquet(finished[0] / "pairs.parquet"))
    assert f"{100 * judge['reward_accuracy']:.1f}%" in report
    assert "that nothing else saw" in report and "held-out preferences" in report
    assert "judge reward" in report and "gold reward of the methods" not in report
    assert "win rate vs chosen" in report and "implicit accuracy" in report


def test_a_second_run_makes_nothing(
    finished: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, cache = finished
    monkeypatch.setenv("PREFRONTIER_CACHE", str(cache))
    before = (out / "runs.csv").read_text()
    experiment = out.parent / "small.yaml"
    assert run(out.parent, experiment)[0] == 0
    assert "0 to make" in capsys.readouterr().out
    assert (out / "runs.csv").read_text() == before


def conversational(row: dict[str, Any]) -> dict[str, Any]:
    return {
        side: [
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": row[side]},
        ]
        for side in ("chosen", "rejected")
    }


def hh(row: dict[str, Any]) -> dict[str, Any]:
    return {
        side: f"\n\nHuman: {row['prompt']}\n\nAssistant: {row[side]}"
        for side in ("chosen", "rejected")
    }


def test_the_same_rows_in_other_forms_give_the_same_splits_and_feedback(tmp_path: Path) -> None:
    rows = pairs(150)
    files = [write_rows(tmp_path / "plain.jsonl", rows)]
    files.append(write_rows(tmp_path / "hh.jsonl", [hh(row) for row in rows]))
    pd.DataFrame([conversational(row) for row in rows]).to_parquet(tmp_path / "turns.parquet")
    pd.DataFrame(rows).to_csv(tmp_path / "plain.csv", index=False)
    files += [tmp_path / "turns.parquet", tmp_path / "plain.csv"]
    made = []
    for file in files:
        pipeline = world_of(tmp_path, file)
        made.append({split: pipeline.labels_of(split, "pairs") for split in SPLITS})
    assert all(one == made[0] for one in made)
    assert sum(len(own) for own in made[0].values()) == len(rows)


def test_bad_rows_are_named_and_the_good_ones_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    lines = [json.dumps(row) for row in pairs(100)]
    long = "why " * 3000
    bad = {
        3: '{"prompt": "cut',
        10: json.dumps({"prompt": "p", "chosen": "a"}),
        20: json.dumps({"prompt": "p", "chosen": " ", "rejected": "b"}),
        21: json.dumps({"prompt": "q", "chosen": "", "rejected": "b"}),
        30: json.dumps({"prompt": "p", "chosen": "a", "rejected": "a"}),
        40: json.dumps({"prompt": long, "chosen": "a", "rejected": "b"}),
        50: json.dumps({"prompt": "p", "chosen": "a </answer> b", "rejected": "b"}),
        60: json.dumps([1, 2]),
        70: json.dumps({"prompt": "p", "completion": "a", "label": True}),
    }
    for line, content in sorted(bad.items()):
        lines.insert(line - 1, content)
    data = tmp_path / "prefs.jsonl"
    data.write_text("\n".join(lines) + "\n")
    pipeline = world_of(tmp_path, data, bad_rows=0.2)
    said = "\n".join(pipeline.read_data())
    assert "100 of 109 rows used, 9 left out" in said and "pairs for each split" in said
    for what, where in {
        "an empty answer": "lines 20, 21",
        "not JSON": "line 3",
        "no column 'rejected'": "line 10",
        "equal answers": "line 30",
        "a prompt of more than": "line 40",
        "the model's special token </answer> in its text": "line 50",
        "not an object": "line 60",
        "a unpaired among pairs": "line 70",
    }.items():
        [line] = [line for line in said.splitlines() if what in line]
        assert where in line
    used = [one for split in SPLITS for one in pipeline.labels_of(split, "pairs")]
    assert len(used) == 100
    with pytest.raises(UserError, match=r"9 of 109 rows cannot be used.*bad_rows") as caught:
        run(tmp_path, experiment_file(tmp_path, data, bad_rows=0.05))
    assert "\n" not in str(caught.value)


def test_responses_are_as_a_policy_would_sample_them(tmp_path: Path) -> None:
    """Short ones with their end, long ones cut at as many tokens as a policy speaks."""
    rows = pairs(100)
    for i, row in enumerate(rows):
        row["chosen"] = f"{row['chosen']} " + "And so on and on. " * (i % 2 * 10)
    pipeline = world_of(tmp_path, write_rows(tmp_path / "prefs.jsonl", rows), response_tokens=14)
    tokenizer = pipeline._tokenizer
    texts = [t for one in pipeline.labels_of("train", "pairs") for t in responses_of(one)]
    lengths = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    ended = [text.endswith(pipeline.end) for text in texts]
    assert max(lengths) <= 14 and {True, False} == set(ended)
    assert all(length == 14 for length, over in zip(lengths, ended, strict=True) if not over)
    assert pipeline.figures("feedback")["cut_responses"] == 50


@pytest.mark.parametrize(("kind", "method"), [("unpaired", "kto"), ("rankings", "dpo")])
def test_thumbs_and_rankings(
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
    status, out = run(tmp_path, experiment)
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
            run(tmp_path, experiment_file(tmp_path, data), methods=[method])
    assert not (tmp_path / "cache" / "base_model").exists()


def test_too_few_rows_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"4 rows are too few: the \w+ split has"):
        world_of(tmp_path, write_rows(tmp_path / "prefs.jsonl", pairs(4)))


def test_a_reward_model_on_thumbs_knows_which_way_they_went(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "prefs.jsonl", unpaired(160))
    pipeline = world_of(tmp_path, data, reward=LONGER)
    pipeline.prepare()
    prompts = pipeline.prompts("test")
    nice = pipeline.reward_model()(prompts, ["Yes, with pleasure." + pipeline.end] * len(prompts))
    rude = pipeline.reward_model()(prompts, ["No, go away." + pipeline.end] * len(prompts))
    assert min(nice) > 0 > max(rude)


def test_the_experiment_names_its_data_and_model(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "my prefs.v2.jsonl", pairs(10))
    experiment = load_experiment("recorded", data=str(data), model="1M")
    assert experiment.name == "my-prefs"
    task: Any = experiment.pipelines["recorded"]
    assert (task.data, task.model) == (str(data), "1M")
    with pytest.raises(UserError, match="--model: needs --data"):
        load_experiment("default", model="tiny")
    with pytest.raises(UserError, match="'ppo_gold' learns from the gold reward, which nobody"):
        load_experiment("default", data=str(data))
    assert list(load_experiment("feedback", data=str(data)).tasks) == ["recorded"]


def test_pairs_keep_what_people_wrote(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"q{i}\u2028?", "chosen": f"é{i}\n\n{{x}}", "rejected": "no"} for i in range(80)
    ]
    pipeline = world_of(tmp_path, write_rows(tmp_path / "prefs.jsonl", rows))
    found = {one for split in SPLITS for one in pipeline.labels_of(split, "pairs")}
    assert found == {
        Pair(r["prompt"], r["chosen"] + pipeline.end, r["rejected"] + pipeline.end) for r in rows
    }


def test_rows_that_come_twice_and_contradict_each_other_are_said(tmp_path: Path) -> None:
    rows = pairs(80)
    swapped = {**rows[3], "chosen": rows[3]["rejected"], "rejected": rows[3]["chosen"]}
    pipeline = world_of(tmp_path, write_rows(tmp_path / "prefs.jsonl", [*rows, *rows[:2], swapped]))
    said = pipeline.read_data()
    assert "  2 say exactly what an earlier row said" in said
    assert "  1 say the reverse of an earlier row" in said


def test_unknown_columns_are_refused(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "prefs.jsonl", pairs(10))
    with pytest.raises(UserError, match="columns: unknown 'better'; allowed: prompt, chosen"):
        load_experiment(str(experiment_file(tmp_path, data, columns={"better": "chosen"})))


def test_a_judge_may_be_another_model_with_another_tokenizer(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "prefs.jsonl", pairs(160))
    folder = make_folder("qwen2", tmp_path / "qwen2")
    for judge_model in (str(folder), "1M"):
        pipeline = world_of(tmp_path, data, judge_model=judge_model, judge=LONGER)
        pipeline.prepare()
        judge = pipeline.judge()
        assert judge.tokenizer.get_vocab() != pipeline.sft().tokenizer.get_vocab()
        assert pipeline.figures("judge")["pairs"] == len(pipeline.held_out_pairs("validation")) + len(
            pipeline.held_out_pairs("test")
        )
        prompts = pipeline.prompts("test")[:2]
        # What ends for the policies ends for the judge too: their end token is no text to it.
        ended = pipeline.reward(prompts, ["Yes, with pleasure." + pipeline.end] * 2)
        assert ended != pytest.approx(pipeline.reward(prompts, ["Yes, with pleasure."] * 2), abs=1e-6)
        own = judge.tokenizer.eos_token
        judge.end = own
        as_its_own = judge(prompts, ["Yes, with pleasure." + own] * 2)
        judge.end = pipeline.end
        assert ended == pytest.approx(as_its_own, abs=1e-6)


def test_classifiers_as_reward_and_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    classifier = {"model": str(make_classifier(tmp_path / "classifier")), "label": "POSITIVE"}
    data = write_rows(tmp_path / "prefs.jsonl", pairs(120))
    options = {"reward_classifier": classifier, "judge_classifier": classifier}
    experiment = experiment_file(tmp_path, data, **options)
    content = json.loads(experiment.read_text())
    content["methods"]["best_of_n"] = {"grid": {"n": [4]}}
    experiment.write_text(json.dumps(content))
    status, out = run(tmp_path, experiment)
    runs = pd.read_csv(out / "runs.csv")
    assert status == 0, list(runs["error"].dropna())
    # One and the same scores as reward and as judge, so what is best of four is better.
    assert runs["reward"].tolist() == pytest.approx(runs["proxy_reward"].tolist(), abs=1e-5)
    test = runs[runs["split"] == "test"].set_index("method")
    assert test.loc["best_of_n", "reward"] > test.loc["sft", "reward"]
    assert "as it is" in (out / "report.md").read_text()


@pytest.mark.parametrize("size", ["1M", "10M", "50M", "150M"])
def test_an_embedded_size_has_as_many_parameters_as_it_says(size: str) -> None:
    from transformers import LlamaConfig

    architecture, vocabulary = SIZES[size]
    hidden, layers = architecture.hidden, architecture.layers
    assert hidden % architecture.heads == 0 and LlamaConfig(hidden_size=hidden)
    each = 4 * hidden**2 + 3 * hidden * architecture.intermediate
    total = layers * each + vocabulary * hidden
    assert total == pytest.approx(float(size.removesuffix("M")) * 1e6, rel=0.15)


def test_a_language_model_judges_at_the_end_of_a_run(
    finished: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, cache = finished
    monkeypatch.setenv("PREFRONTIER_CACHE", str(cache))
    content = json.loads((out.parent / "small.yaml").read_text())
    with serving(longer) as server:
        content["llm_judge"] = {"model": "reference_samples", "base_url": server.url}
        file = out.parent / "judged.yaml"
        file.write_text(json.dumps(content))
        assert run(out.parent, file)[0] == 0
        asked = len(server.requests)
        assert asked > 0
        assert run(out.parent, file)[0] == 0
        assert len(server.requests) == asked
    rows = pd.read_csv(out / "llm_judge.csv")
    assert {"sft", "chosen", "rejected"} == set(rows["opponent"])
    people = rows[(rows["method"] == "chosen") & (rows["opponent"] == "rejected")].iloc[0]
    pairs_of = pd.read_parquet(out / "pairs.parquet")
    test = pairs_of[pairs_of["split"] == "test"]
    longest = test["chosen"].str.len() > test["rejected"].str.len()
    assert people["win_rate"] == pytest.approx(longest.mean())
    report = (out / "report.md").read_text()
    assert "Judged by a language model" in report and "reference_samples, asked in both orders" in report
    # One that cannot be reached takes neither the run nor its report with it.
    content["llm_judge"] = {"model": "gone", "base_url": "http://127.0.0.1:9/v1", "retries": 0}
    file.write_text(json.dumps(content))
    (out / "report.html").unlink()
    assert run(out.parent, file)[0] == 1
    assert (out / "report.html").exists()
