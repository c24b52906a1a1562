"""Models from elsewhere: any architecture, with a tokenizer of its own, through every method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.preferences import experiment_file, make_folder, pairs, write_rows
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.commands.experiments.options import Options
from bench.commands.experiments.prepare import fit_options
from bench.commands.experiments.run import run_bench
from bench.config.files import load_experiment
from bench.errors import UserError
from bench.pipeline.stages.training.models import load_model
from bench.pipeline.stages.training.tokenizers import load_tokenizer
from methods.core.models.text import encode_prompts, encode_responses

KINDS = ["gpt2", "qwen2", "gpt_neox", "llama"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_folder_goes_through_all_methods(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    folder = make_folder(kind, tmp_path / kind)
    data = write_rows(tmp_path / "prefs.jsonl", pairs(120))
    experiment = experiment_file(tmp_path, data, model=str(folder))
    status = run_bench(
        Options(
            str(experiment),
            jobs=1,
            device="cpu",
            out=tmp_path / "out",
        )
    )
    runs = pd.read_csv(tmp_path / "out" / "runs.csv")
    assert status == 0, list(runs["error"].dropna())
    assert set(runs["method"]) == {"sft", "dpo", "ppo"}
    assert (runs["status"] == "ok").all()
    assert (runs["reward_source"] == "judge").all()
    assert runs["reward"].notna().all()
    test = runs[runs["split"] == "test"].set_index("method")
    assert test["kl"].ge(0).all() and test.loc["sft", "kl"] == pytest.approx(0, abs=1e-5)
    assert test.loc[["dpo", "ppo"], "kl"].gt(1e-4).all()
    # What was trained is a folder that transformers loads, of the same architecture.
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    [trained] = [p["folder"] for p in manifest["policies"] if p["method"] == "dpo"]
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "cache" / trained)
    assert model.config.model_type == kind
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "cache" / trained)
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    assert tokenizer.eos_token == AutoTokenizer.from_pretrained(folder).eos_token


def test_its_own_chat_template_is_kept(tmp_path: Path) -> None:
    folder = make_folder("qwen2", tmp_path)
    tokenizer = load_tokenizer(folder, plain=False)
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(folder).chat_template
    [ids] = encode_prompts(tokenizer, ["hi"])
    assert tokenizer.decode(ids) == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    # A response ends with one token, the end of the turn.
    [answer] = encode_responses(tokenizer, ["hello" + tokenizer.eos_token])
    assert answer[-1] == tokenizer.eos_token_id and answer.count(answer[-1]) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_pad_is_not_the_end_and_has_a_place_in_the_model(kind: str, tmp_path: Path) -> None:
    folder = make_folder(kind, tmp_path)
    tokenizer = load_tokenizer(folder, plain=False)
    model = load_model(folder, tokenizer, "float32")
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    assert tokenizer.pad_token_id < model.get_input_embeddings().weight.shape[0]
    assert model.config.vocab_size == model.get_input_embeddings().weight.shape[0]


def test_a_start_token_stands_once_where_the_tokenizer_puts_one(tmp_path: Path) -> None:
    for plain in (False, True):
        tokenizer = load_tokenizer(make_folder("llama", tmp_path), plain=plain)
        [ids] = encode_prompts(tokenizer, ["may I"])
        assert ids.count(tokenizer.bos_token_id) == 1 and ids[0] == tokenizer.bos_token_id
    tokenizer = load_tokenizer(make_folder("gpt2", tmp_path / "gpt2"), plain=True)
    [ids] = encode_prompts(tokenizer, ["may I"])
    assert tokenizer.decode(ids) == "may I"


def test_what_is_no_model_is_said_in_one_line(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "prefs.jsonl", pairs(60))
    (tmp_path / "empty").mkdir()
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text("{}")
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"")
    for name, why in {
        "empty": "no config.json",
        "pickled": "no safetensors",
        "missing": "neither a folder nor to be had from the hub|no such folder",
    }.items():
        with pytest.raises(UserError, match=why) as caught:
            run_bench(
                Options(
                    "",
                    data=str(data),
                    model=str(tmp_path / name),
                    methods=["sft"],
                    seeds=1,
                    jobs=1,
                    device="cpu",
                    out=tmp_path / "out",
                )
            )
        assert "\n" not in str(caught.value)


def test_models_whose_weights_do_not_fit_are_refused_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    data = write_rows(tmp_path / "prefs.jsonl", pairs(60))
    whole = make_folder("qwen2", tmp_path / "whole")
    broken = make_folder("qwen2", tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    for options, why in (
        ({"model": str(broken)}, "no causal language model: .*model.norm.weight missing"),
        ({"judge_model": str(broken)}, "no causal language model: .*model.norm.weight missing"),
        # A causal model is no classifier: its head would be random.
        ({"judge_classifier": {"model": str(whole)}}, "no sequence classifier: .*score.weight"),
        ({"reward_classifier": {"model": str(whole)}}, "no sequence classifier: .*score.weight"),
    ):
        settings: dict[str, Any] = {"model": str(whole), **options}
        experiment = experiment_file(tmp_path, data, **settings)
        quiet: dict[str, Any] = {"methods": [], "tasks": [], "seeds": None, "jobs": 1}
        with pytest.raises(UserError, match=why) as caught:
            run_bench(Options(str(experiment), **quiet, device="cpu", out=tmp_path / "out"))
        assert "\n" not in str(caught.value)


def test_responses_leave_half_of_a_short_model_to_the_prompt(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "prefs.jsonl", pairs(60))
    folder = str(make_folder("gpt2", tmp_path / "gpt2"))
    short = load_experiment("recorded", data=str(data), model=folder)
    changed, lines = fit_options(short)
    task: Any = changed.task_objects["recorded"]
    assert task.response_tokens == 48 and "response_tokens is 48" in lines[0]
    fits = load_experiment(str(experiment_file(tmp_path, data, model=folder)))
    assert fit_options(fits) == (fits, [])
