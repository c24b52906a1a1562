"""Online methods: their KL, the rewards that they see, and how TRL's trainers sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from helpers.models import PROMPTS, SAMPLING
from helpers.online import BY_TRL, METHODS, OURS, Recorder, exact_share_of_a, starts_with_a
from scipy.stats import chisquare

from bench.evaluation.enumeration import all_texts, model_logprobs
from methods.base import Context, Diverged
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import encode_prompts
from methods.core.trl.online import text_reward
from methods.grpo import GRPO
from methods.toolkit import imitation

MakeContext = Callable[..., Context]
WITH_KL = ["reinforce", *BY_TRL]
EVERY = pytest.mark.parametrize("name", METHODS)


@pytest.mark.parametrize("name", WITH_KL)
def test_kl_starts_at_0_and_comes_to_what_enumeration_says(
    make_context: MakeContext, name: str
) -> None:
    """So the reference is the right one, and the curve's KL that of whole responses."""
    context = make_context(reward=starts_with_a, budget=2000)
    # GRPO's second minibatch is behind a first step, and the first point of its curve with it.
    method = GRPO(minibatches=1) if name == "grpo" else METHODS[name]
    policy = method.train(context)
    assert exact_share_of_a(policy) > 0.85
    assert 1500 < context.usage.responses_sampled == context.usage.reward_calls <= 2000
    table, reference = (model_logprobs(p, PROMPTS, SAMPLING) for p in (policy, context.reference))
    exact = float((np.exp(table) * (table - reference)).sum(1).mean())
    kls = [point["kl"] for point in context.curves]
    assert kls[0] == pytest.approx(0.0, abs=1e-4)
    assert exact > 0.3
    assert sum(kls[-10:]) / 10 == pytest.approx(exact, rel=0.25)


@pytest.mark.parametrize(
    "name",
    [
        *(name for name in OURS if name not in ("rebel", "xpo", "shuffled_online_dpo")),
        *("rloo", "grpo"),
    ],
)
def test_a_large_kl_coefficient_holds_the_policy(make_context: MakeContext, name: str) -> None:
    context = make_context(reward=starts_with_a)
    settings = {"kl_coef": 100.0, "episodes": 3072, "learning_rate": 1e-3}
    held = replace(METHODS[name], **settings)  # type: ignore[arg-type]
    assert abs(exact_share_of_a(held.train(context)) - exact_share_of_a(context.reference)) < 0.05


@EVERY
def test_the_reward_sees_exactly_what_was_sampled(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    recorder = Recorder(monkeypatch)
    # Long enough for responses that end.
    context = make_context(reward=recorder.reward, sampling=SamplingParams(max_new_tokens=12))
    method = METHODS[name]
    changes = {"examples": 256} if isinstance(method, imitation.Imitation) else {}
    replace(method, **{"episodes": 256, **changes}).train(context)  # type: ignore[arg-type]
    tokenizer = context.reference.tokenizer
    end = str(tokenizer.eos_token)
    expected = []
    for ids in recorder.sampled:
        words = tokenizer.convert_ids_to_tokens(ids)
        expected.append(" ".join(words[: words.index(end) + 1] if end in words else words))
    assert [response for _, response in recorder.rewarded] == expected
    assert [p for p, _ in recorder.rewarded] != [recorder.rewarded[0][0]] * len(expected)
    asked = encode_prompts(tokenizer, [prompt for prompt, _ in recorder.rewarded])
    assert asked == recorder.prompts
    ended = sum(text.endswith(end) for text in expected)
    assert 0 < ended < len(expected)


@pytest.mark.parametrize("name", BY_TRL)
def test_trl_samples_with_the_sampling_parameters(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    recorder = Recorder(monkeypatch)
    sampling = SamplingParams(temperature=0.6, max_new_tokens=3)
    context = make_context(reward=recorder.reward, sampling=sampling, prompts=["a"])
    replace(METHODS[name], learning_rate=1e-12, episodes=2048).train(context)  # type: ignore[call-arg]
    texts = all_texts(context.reference.tokenizer, 3)
    responses = [response for _, response in recorder.rewarded]

    def p_value(of: SamplingParams) -> float:
        probabilities = np.exp(model_logprobs(context.reference, ["a"], of)[0])
        likely = np.argsort(-probabilities)[:30]
        counts = [responses.count(texts[i]) for i in likely]
        shares = probabilities[likely]
        observed = [*counts, len(responses) - sum(counts)]
        expected = len(responses) * np.array([*shares, 1 - shares.sum()])
        return float(chisquare(observed, expected).pvalue)

    assert p_value(sampling) > 0.01
    assert p_value(SamplingParams(max_new_tokens=3)) < 1e-6


@EVERY
def test_an_infinite_reward_is_divergence(make_context: MakeContext, name: str) -> None:
    context = make_context(reward=lambda p, r: [math.inf] * len(r))
    with pytest.raises(Diverged):
        METHODS[name].train(context)


def test_a_response_is_cut_behind_its_first_end_token(make_context: MakeContext) -> None:
    """OnlineDPOTrainer pads what it hands over."""
    seen: list[str] = []
    context = make_context(reward=lambda p, r: seen.extend(r) or [0.0] * len(r))  # type: ignore[func-returns-value]
    tokenizer = context.reference.tokenizer
    a, b = tokenizer.convert_tokens_to_ids(["a", "b"])
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    turns = [{"role": "user", "content": "a"}]
    text_reward(context, tokenizer)(
        prompts=[turns] * 3, completion_ids=[[a, end, pad, pad], [a, b, b], [pad, a, end]]
    )
    ended = f"a {tokenizer.eos_token}"
    # A pad token that was sampled is a token like any other.
    assert seen == [ended, "a b b", f"{tokenizer.pad_token} {ended}"]
