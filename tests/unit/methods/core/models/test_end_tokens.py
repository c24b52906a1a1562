"""Models with several end tokens: a response ends at any of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.architectures import QUIRKS, make_architecture
from transformers import AutoTokenizer

from bench.pipeline.stages.training.models import load_model
from bench.pipeline.stages.training.reward_training import new_reward_model
from bench.pipeline.stages.training.tokenizers import load_tokenizer
from methods.core.models.policy import ModelPolicy
from methods.core.models.reward import RewardModel
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import (
    encode_responses,
    end_token_ids,
    end_tokens,
    has_ended,
    with_end,
)
from methods.core.training.context import Context

SAMPLING = SamplingParams(max_new_tokens=40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy with three end tokens, as it is saved."""
    source = make_architecture("llama", tmp_path_factory.mktemp("source"))
    tokenizer = load_tokenizer(source, plain=False)
    saved = tmp_path_factory.mktemp("policy")
    ModelPolicy(load_model(source, tokenizer, "float32"), tokenizer).save(saved)
    return saved


def test_the_first_is_the_end_of_a_turn_and_the_folder_keeps_all(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ends = end_tokens(tokenizer)
    assert ends[0] == tokenizer.eos_token == "<|eot_id|>"
    assert set(ends) == set(QUIRKS["llama"].ends)
    saved = json.loads((folder / "generation_config.json").read_text())
    assert saved["eos_token_id"] == end_token_ids(tokenizer)


def test_a_response_ends_at_the_first_of_any(folder: Path) -> None:
    policy = ModelPolicy.load(folder, "cpu")
    ends = end_token_ids(policy.tokenizer)
    batch, _ = policy.sample(["hat"] * 400, 0, SAMPLING)
    last = set()
    for row, mask in zip(batch.responses, batch.response_mask, strict=True):
        tokens = row[mask].tolist()
        assert not set(tokens[:-1]) & set(ends)
        assert tokens[-1] in ends or len(tokens) == SAMPLING.max_new_tokens
        last.add(tokens[-1])
    assert set(ends) <= last
    # Text says the same, and its tokens are those that were sampled.
    for text, row, mask in zip(
        policy.decode(batch), batch.responses, batch.response_mask, strict=True
    ):
        assert has_ended(policy.tokenizer, text) == (int(row[mask][-1]) in ends)
    text = "no" + "<|eom_id|>"
    assert (
        encode_responses(policy.tokenizer, [text])[0][-1]
        == end_token_ids(policy.tokenizer)[end_tokens(policy.tokenizer).index("<|eom_id|>")]
    )


def test_rollouts_and_rewards_know_all(folder: Path, tmp_path: Path) -> None:
    from methods.core.online.rollout import collect

    policy = ModelPolicy.load(folder, "cpu")
    reward = RewardModel(new_reward_model(folder, 0), policy.tokenizer)
    context = Context(folder, ["hat"], [], SAMPLING, 0, 0, tmp_path, "cpu", reward_function=reward)
    rollout = collect(context, policy, ["hat"] * 100, 0)
    texts = policy.decode(rollout.batch)
    assert rollout.ended.tolist() == [has_ended(policy.tokenizer, text) for text in texts]
    assert rollout.ended.any()
    # A reward model has learned from responses with one end token, and reads all ends as that.
    ended = [f"yes{end}" for end in end_tokens(policy.tokenizer)]
    first, *others = reward(["hat"] * 3, ended)
    assert others == [first, first] and reward(["hat"], ["yes"]) != [first]


def test_a_response_loses_one_end_token_or_none() -> None:
    ends = ["<a>", "<b>"]
    assert with_end("x<b>", ends, "!") == "x!" and with_end("x", ends, "!") == "x"
    assert with_end("x<b><a>", ends, "") == "x<b>"


def test_an_ordinary_token_is_not_believed_to_be_an_end(tmp_path: Path) -> None:
    folder = make_architecture("qwen2", tmp_path)
    file = folder / "generation_config.json"
    # As where a tokenizer was replaced: the number is now another token's.
    file.write_text(json.dumps({"eos_token_id": [300, 2]}))
    assert end_tokens(load_tokenizer(folder, plain=False)) == ["<|im_end|>"]
    file.unlink()
    assert end_tokens(load_tokenizer(folder, plain=False)) == ["<|im_end|>"]
    tokenizer = load_tokenizer(folder, plain=True)
    assert end_tokens(tokenizer) == ["<|im_end|>"]
