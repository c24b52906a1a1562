"""Online methods: what they learn, and what TRL's trainers get, against enumeration."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.models import PROMPTS, SAMPLING, likes_a, weights
from scipy.stats import chisquare
from torch import Tensor
from transformers import LlamaForCausalLM

from bench.evaluation.enumeration import all_responses, all_texts, model_logprobs
from methods.base import Context, Diverged
from methods.best_of_n import best_of_n_probabilities
from methods.best_of_n_distilled import BestOfNDistilled
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams, make_batch, token_logprobs
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.rollout import collect
from methods.core.trl.online import text_reward
from methods.expert_iteration import ExpertIteration
from methods.grpo import GRPO
from methods.online_dpo import OnlineDPO
from methods.reinforce import Reinforce, policy_gradient_loss
from methods.rloo import RLOO
from methods.toolkit import imitation

MakeContext = Callable[..., Context]
METHODS = {
    "reinforce": Reinforce(),
    "rloo": RLOO(),
    "grpo": GRPO(),
    "online_dpo": OnlineDPO(),
    "expert_iteration": ExpertIteration(),
    "best_of_n_distilled": BestOfNDistilled(),
}
BY_TRL = ["rloo", "grpo", "online_dpo"]
WITH_KL = ["reinforce", *BY_TRL]
EVERY = pytest.mark.parametrize("name", METHODS)


def starts_with_a(prompts: object, responses: list[str]) -> list[float]:
    return [float(response.startswith("a")) for response in responses]


def exact_share_of_a(policy: ModelPolicy) -> float:
    """Return how likely the first letter is an a, without sampling error."""
    batch = make_batch(encode_prompts(policy.tokenizer, PROMPTS), [[0]] * len(PROMPTS), 0, "cpu")
    first = policy.next_token_logprobs(batch, SAMPLING)[:, 0].exp()
    return float(first[:, policy.tokenizer.convert_tokens_to_ids("a")].mean())


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


@pytest.mark.parametrize("name", ["reinforce", "rloo", "grpo"])
def test_a_large_kl_coefficient_holds_the_policy(make_context: MakeContext, name: str) -> None:
    context = make_context(reward=starts_with_a)
    held = replace(METHODS[name], kl_coef=100.0, episodes=1024)  # type: ignore[call-arg]
    assert abs(exact_share_of_a(held.train(context)) - exact_share_of_a(context.reference)) < 0.05


def test_reinforce_estimates_the_exact_policy_gradient(
    make_context: MakeContext, other: ModelPolicy, reference: ModelPolicy
) -> None:
    kl_coef, prompt = 0.5, "a b c"
    tokenizer, model = other.tokenizer, other.model
    listed = all_responses(len(tokenizer), tokenizer.eos_token_id, SAMPLING.max_new_tokens)
    asked = encode_prompts(tokenizer, [prompt] * len(listed))
    batch = make_batch(asked, listed, tokenizer.pad_token_id, "cpu")
    rewards = torch.tensor(likes_a(None, all_texts(tokenizer, SAMPLING.max_new_tokens)))
    with torch.no_grad():
        anchors = token_logprobs(reference.model, batch, SAMPLING).sum(1)
    logprobs = token_logprobs(model, batch, SAMPLING).sum(1)
    assert float(logprobs.exp().sum()) == pytest.approx(1.0, abs=1e-4)
    objective = (logprobs.exp() * (rewards - kl_coef * (logprobs - anchors))).sum()
    exact = gradient(objective, model)

    rollout = collect(make_context(), other, [prompt] * 10_000, seed=0)
    returns = rollout.rewards - kl_coef * rollout.log_ratios
    sampled = token_logprobs(model, rollout.batch, SAMPLING)
    estimate = gradient(-policy_gradient_loss(sampled, returns - returns.mean()), model)
    assert float((estimate - exact).norm() / exact.norm()) < 0.1


def gradient(value: Tensor, model: LlamaForCausalLM) -> Tensor:
    parts = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
    return torch.cat([part.flatten() for part in parts if part is not None])


class Recorder:
    """Keeps what every model generated, as token ids, and what was rewarded, as text."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.prompts: list[list[int]] = []
        self.sampled: list[list[int]] = []
        self.rewarded: list[tuple[str, str]] = []
        generate = LlamaForCausalLM.generate

        def recorded(model: Any, *args: Any, **options: Any) -> Any:
            output = generate(model, *args, **options)
            ids, mask = options["input_ids"], options["attention_mask"].bool()
            sequences = getattr(output, "sequences", output)
            self.prompts += [row[keep].tolist() for row, keep in zip(ids, mask, strict=True)]
            self.sampled += sequences[:, ids.shape[1] :].tolist()
            return output

        monkeypatch.setattr(LlamaForCausalLM, "generate", recorded)

    def reward(self, prompts: list[str], responses: list[str]) -> list[float]:
        self.rewarded += zip(prompts, responses, strict=True)
        return starts_with_a(prompts, responses)


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


def leave_one_out(rewards: Tensor, lengths: Tensor) -> Tensor:
    """RLOO: the advantage against the others of the group; every token of a response counts."""
    others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
    return (rewards - others).flatten()


def standardized(rewards: Tensor, lengths: Tensor) -> Tensor:
    """GRPO: the advantage in standard deviations of the group; the mean token of a response."""
    spread = rewards.std(1, keepdim=True) + 1e-4
    return ((rewards - rewards.mean(1, keepdim=True)) / spread).flatten() / lengths


@pytest.mark.parametrize(("name", "formula"), [("rloo", leave_one_out), ("grpo", standardized)])
def test_one_step_of_a_group_trainer_is_the_papers(
    make_context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    formula: Callable[[Tensor, Tensor], Tensor],
) -> None:
    """A plain gradient step of size 1, so that the weights show the gradient itself."""
    import trl

    recorder = Recorder(monkeypatch)
    once = {"episodes": 64, "batch_size": 64, "minibatches": 1, "learning_rate": 1.0}
    method = replace(METHODS[name], **once)  # type: ignore[arg-type]
    context = make_context(reward=recorder.reward)
    kind = name.upper()
    policy = method.fit(  # type: ignore[attr-defined]
        context,
        getattr(trl, f"{kind}Trainer"),
        getattr(trl, f"{kind}Config"),
        optim="sgd",
        max_grad_norm=1e9,
        lr_scheduler_type="constant",
        **({"loss_type": "grpo", "use_bias_correction_kl": False} if name == "grpo" else {}),
    )
    start = context.start()
    prompts, responses = map(list, zip(*recorder.rewarded, strict=True))
    batch = make_batch(
        encode_prompts(start.tokenizer, prompts),
        encode_responses(start.tokenizer, responses),
        start.tokenizer.pad_token_id,
        "cpu",
    )
    rewards = torch.tensor(starts_with_a(prompts, responses)).view(-1, 4)
    advantages = formula(rewards, batch.response_mask.sum(1))
    logprobs = token_logprobs(start.model, batch, SAMPLING)
    expected = gradient(-policy_gradient_loss(logprobs, advantages), start.model)
    moved = torch.cat(
        [(a - b).flatten() for a, b in zip(weights(policy), weights(start), strict=True)]
    )
    assert float(expected.norm()) > 0.01
    assert torch.allclose(moved, expected, atol=1e-5)


def test_distillation_trains_on_the_best_of_n(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[tuple[list[str], list[str]]] = []
    train = imitation.train_on_responses

    def recorded(model: Any, tokenizer: Any, prompts: Any, responses: Any, *rest: Any) -> Any:
        batches.append((prompts, responses))
        return train(model, tokenizer, prompts, responses, *rest)

    monkeypatch.setattr(imitation, "train_on_responses", recorded)
    rewarded: list[tuple[str, str]] = []

    def reward(prompts: list[str], responses: list[str]) -> list[float]:
        rewarded.extend(zip(prompts, responses, strict=True))
        return likes_a(prompts, responses)

    BestOfNDistilled(n=4, episodes=128, examples=64).train(make_context(reward=reward))
    [(prompts, responses)] = batches
    assert len(responses) == 32
    for i, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        group = rewarded[4 * i : 4 * i + 4]
        assert (prompt, response) in group
        rewards = likes_a(None, [text for _, text in group])
        assert likes_a(None, [response]) == [max(rewards)]


def test_distillation_comes_to_best_of_n(make_context: MakeContext) -> None:
    """Expected reward and KL against those of best of n itself, all by enumeration."""
    context = make_context()
    policy = BestOfNDistilled(n=4, episodes=4096, examples=4096).train(context)
    scores = np.array(likes_a(None, all_texts(policy.tokenizer, SAMPLING.max_new_tokens)))
    start, learned = (
        np.exp(model_logprobs(p, PROMPTS, SAMPLING)) for p in (context.reference, policy)
    )
    best = np.stack([best_of_n_probabilities(p, scores, 4) for p in start])
    gains = [float(((p - start) * scores).sum(1).mean()) for p in (learned, best)]
    assert 0.9 < gains[0] / gains[1] < 1.05
    kl = float((learned * np.log(learned / start)).sum(1).mean())
    assert kl < math.log(4)


def test_expert_iteration_goes_further_than_one_round(make_context: MakeContext) -> None:
    def share(rounds: int) -> float:
        return exact_share_of_a(
            ExpertIteration(rounds=rounds).train(make_context(reward=starts_with_a))
        )

    assert share(4) > share(1) + 0.02


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
