"""Published architectures with their quirks: through SFT, DPO and PPO, and loaded as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from helpers.architectures import QUIRKS, SETTINGS, make_architecture
from helpers.preferences import experiment_file, pairs, write_rows
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.commands.experiments.options import Options
from bench.commands.experiments.run import run_bench
from bench.commands.policies.export_model import export_model
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy, load_policy
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import render_prompt, to_prompt

SYSTEM = {"role": "system", "content": "Be brief."}
PROMPT = to_prompt([SYSTEM, {"role": "user", "content": "Hi"}])
SAMPLING = SamplingParams(max_new_tokens=8)
# As little training as the machinery needs.
QUICK: dict[str, Any] = {
    "response_tokens": 8,
    "eval_prompts": 4,
    "sft": {"examples": 16, "epochs": 1, "batch_size": 16, "learning_rate": 1e-3},
    "reward_model": {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3},
    "judge": {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3},
}


def rows() -> list[dict[str, Any]]:
    """Return pairs, every second one with a system turn."""
    plain = pairs(60)
    for row in plain[::2]:
        row["prompt"] = [SYSTEM, {"role": "user", "content": row["prompt"]}]
        for side in ("chosen", "rejected"):
            row[side] = [{"role": "assistant", "content": row[side]}]
    return plain


# The one with the most quirks is always tested.
KINDS = [kind if kind == "llama" else pytest.param(kind, marks=pytest.mark.slow) for kind in QUIRKS]


@pytest.mark.parametrize("kind", KINDS)
def test_an_architecture_is_trained_and_sampled_as_its_folder_says(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quirks = QUIRKS[kind]
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    folder = make_architecture(kind, tmp_path / kind)
    data = write_rows(tmp_path / "prefs.jsonl", rows())
    loading = {"chat_template_kwargs": dict(quirks.values)}
    experiment = experiment_file(tmp_path, data, model=str(folder), loading=loading, **QUICK)
    options: dict[str, Any] = {"methods": [], "tasks": [], "seeds": None, "jobs": 1}
    status = run_bench(Options(str(experiment), **options, device="cpu", out=tmp_path / "out"))
    runs = pd.read_csv(tmp_path / "out" / "runs.csv")
    assert status == 0, list(runs["error"].dropna())
    assert set(runs["method"]) == {"sft", "dpo", "ppo"} and (runs["status"] == "ok").all()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    for entry in manifest["policies"]:
        if entry["method"] != "sft":
            policy = tmp_path / "cache" / entry["folder"]
            check_policy(policy, kind)
            out = export_model(tmp_path / "out", method=entry["method"])
            check_export(out, policy, kind)


def check_export(folder: Path, policy_folder: Path, kind: str) -> None:
    """Check what other programs find in an exported folder."""
    policy, tokenizer = load_policy(policy_folder, "cpu"), AutoTokenizer.from_pretrained(folder)
    turns, response = json.loads(PROMPT), "Yes, with pleasure." + QUIRKS[kind].end
    prompt = tokenizer.apply_chat_template(
        turns, tokenize=False, add_generation_prompt=True, **QUIRKS[kind].values
    )
    texts = (prompt, prompt + response)
    before, ids = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    places = range(len(before), len(ids))
    expected = sum(float(logprobs[place - 1, ids[place]]) for place in places)
    assert prompt == QUIRKS[kind].prompt
    assert policy.logprobs([PROMPT], [response], SamplingParams()) == pytest.approx(
        [expected], abs=1e-4
    )
    settings = json.loads((folder / "generation_config.json").read_text())
    assert SETTINGS.items() <= settings.items()
    # One end token is a number, several are a list.
    ends = settings["eos_token_id"]
    ends = ends if isinstance(ends, list) else [ends]
    assert set(tokenizer.convert_ids_to_tokens(ends)) == set(QUIRKS[kind].ends)


def check_policy(folder: Path, kind: str) -> None:
    quirks = QUIRKS[kind]
    policy = load_policy(folder, "cpu")
    assert isinstance(policy, ModelPolicy)
    tokenizer = policy.tokenizer
    # The prompt is as the model reads it, also for a program that only has the folder.
    assert render_prompt(tokenizer, PROMPT) == quirks.prompt
    turns = json.loads(PROMPT)
    alone = AutoTokenizer.from_pretrained(folder)
    assert quirks.prompt == alone.apply_chat_template(
        turns, tokenize=False, add_generation_prompt=True
    )
    assert (tokenizer.eos_token, tokenizer.pad_token) == (quirks.end, quirks.pad)
    # All end tokens, and no other setting, are those of generation; the makers' are kept.
    settings = json.loads((folder / "generation_config.json").read_text())
    assert set(tokenizer.convert_ids_to_tokens(settings["eos_token_id"])) == set(quirks.ends)
    assert not set(settings) & {"repetition_penalty", "min_new_tokens", "suppress_tokens", "top_k"}
    original = json.loads((folder / "original_generation_config.json").read_text())
    assert SETTINGS.items() <= original.items()
    # What is sampled is what is scored, and tokens that are no tokens are never sampled.
    batch, logprobs = policy.sample([PROMPT, "Hi"] * 64, 0, SAMPLING)
    with torch.no_grad():
        scored = token_logprobs(policy.model, batch, SAMPLING)
    assert (scored - logprobs).abs().max() < 1e-5
    assert int(batch.responses.max()) < len(tokenizer)
