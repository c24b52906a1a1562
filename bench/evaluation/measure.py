"""Measuring a policy: the figures of a run, from samples or by enumeration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from bench.evaluation.enumeration import all_texts, listed_logprobs
from bench.evaluation.kl import best_of_n_kl, model_kl
from bench.evaluation.limit import Limit
from bench.evaluation.ruler import POOL, Ruler
from bench.evaluation.win_rate import sem, weighted_win_rate
from methods.best_of_n import BestOfNPolicy
from methods.core.policy import ModelPolicy, Policy
from methods.core.sampling import SamplingLaw, stream
from methods.core.text import has_ended

Row = dict[str, Any]


@dataclass
class Measured:
    """The figures of a policy on a split, its samples, and the gold rewards for win rates.

    gold, weights: [prompts, n]; weights is None where all count alike.
    """

    figures: Row
    samples: list[Row]
    gold: ndarray
    weights: ndarray | None = field(default=None)


class Duel(NamedTuple):
    """How often a policy's gold reward beats another's on a prompt, ties half; mean tokens."""

    win_rate: float
    tokens: float
    opponent_tokens: float


def measure(ruler: Ruler, policy: Policy, split: str, per_prompt: int) -> Measured:
    """Measure a policy on the prompts of a split."""
    samples = draw(ruler, policy, split, per_prompt)
    measured = from_list(ruler, policy, samples) if ruler.listed else None
    measured = measured or from_samples(ruler, split, samples)
    measured.figures |= logprob_changes(ruler, policy, split)
    return measured


def draw(ruler: Ruler, policy: Policy, split: str, per_prompt: int) -> list[Row]:
    """Sample responses and score each: gold, proxy, KL, entropy, length in tokens."""
    world, law = ruler.world, ruler.law
    prompts = world.task.prompts(split)  # type: ignore[arg-type]
    asked = [prompt for prompt in prompts for _ in range(per_prompt)]
    groups = [i for i in range(len(prompts)) for _ in range(per_prompt)]
    # The same for all methods of a seed.
    responses = policy.generate(asked, stream("responses", split, world.seed), law)
    reward = world.reward_model()
    proxy = reward(asked, responses)
    kls, entropies = sampled_kl(ruler, policy, split, groups, asked, responses, proxy)
    tokens = reward.tokenizer(responses, add_special_tokens=False)["input_ids"]
    columns = {
        "prompt": asked,
        "response": responses,
        "gold": world.task.gold(asked, responses),
        "proxy": proxy,
        "kl": kls,
        "entropy": entropies,
        "response_tokens": [len(ids) for ids in tokens],
        "ended": [has_ended(reward.tokenizer, response) for response in responses],
        "group": groups,
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def sampled_kl(
    ruler: Ruler,
    policy: Policy,
    split: str,
    groups: list[int],
    prompts: list[str],
    responses: list[str],
    proxy: list[float],
) -> tuple[list[float], list[float]]:
    """Return KL and entropy for each response; not a number where the policy has none."""
    none = [math.nan] * len(responses)
    if not ruler.law.is_softmax:
        return none, none
    if isinstance(policy, ModelPolicy):
        return model_kl(policy, ruler.world.sft(), prompts, responses, ruler.law)
    if isinstance(policy, BestOfNPolicy) and not ruler.listed:
        pool = ruler.proxy(split)
        return best_of_n_kl(proxy, [pool[group] for group in groups], policy.n), none
    ours = policy.logprobs(prompts, responses, ruler.law)
    if ours is None:
        return none, none
    # Any other policy that knows its probabilities: unbiased too, but of more variance.
    theirs = ruler.world.sft().logprobs(prompts, responses, ruler.law)
    return list(np.subtract(ours, theirs)), list(np.negative(ours))


def from_samples(ruler: Ruler, split: str, samples: list[Row]) -> Measured:
    """Return the figures that samples give, with standard errors clustered by prompt.

    These are for other prompts of the same kind: the spread between prompts is part of them. What
    these very prompts would give, sampled again, varies less.
    """
    figures: Row = {}
    names = {"gold_reward": "gold", "proxy_reward": "proxy", "kl": "kl"}
    groups = [row["group"] for row in samples]
    for name, column in names.items():
        values = [row[column] for row in samples]
        result = compute("ClusteredMean", predictions=values, references=groups)
        figures[name], figures[f"{name}_sem"] = result["mean"], result["sem"]
    for name, column in {
        "response_tokens": "response_tokens",
        "entropy": "entropy",
        "ended_rate": "ended",
    }.items():
        figures[name] = float(np.mean([row[column] for row in samples]))
    gold = np.array([row["gold"] for row in samples]).reshape(max(groups) + 1, -1)
    figures |= win_rate_sft(ruler, split, gold)
    figures["distinct_2"] = distinct_2(samples)
    return Measured(figures, samples, gold)


def win_rate_sft(ruler: Ruler, split: str, gold: ndarray) -> Row:
    """Return the win rate of gold rewards [prompts, n] against the SFT policy's."""
    theirs = ruler.gold(split)
    if ruler.listed:
        weights = np.exp(ruler.logprobs)
        rates = [
            weighted_win_rate(ours, other, None, weight)
            for ours, other, weight in zip(gold, theirs, weights, strict=True)
        ]
        return {"win_rate_sft": float(np.mean(rates)), "win_rate_sft_sem": sem(rates)}
    won = compute("WinRate", predictions=gold.tolist(), references=theirs[:, :POOL].tolist())
    return {"win_rate_sft": won["win_rate"], "win_rate_sft_sem": won["sem"]}


def distinct_2(samples: list[Row]) -> float:
    texts = [row["response"] for row in samples]
    return compute("DistinctN", predictions=texts, n=2)["distinct"]


def compute(metric: str, **inputs: Any) -> dict[str, float]:
    """Return what one of our `evaluate.Metric` classes gives."""
    # Imported here: it takes seconds, and reading what was measured does not need it.
    from bench.evaluation import metrics

    return dict(getattr(metrics, metric)(keep_in_memory=True).compute(**inputs))


def from_list(ruler: Ruler, policy: Policy, samples: list[Row]) -> Measured | None:
    """Return the figures by enumeration: expectations, so their standard errors are 0."""
    world = ruler.world
    tokenizer = world.sft().tokenizer
    texts = all_texts(tokenizer, world.task.max_new_tokens)
    prompts = world.task.prompts("test")
    gold, proxy, reference = ruler.gold("test"), ruler.proxy("test"), ruler.logprobs
    logprobs = listed_logprobs(policy, prompts, texts, ruler.law, reference, proxy)
    if logprobs is None:
        return None
    weights = np.exp(logprobs)

    def expect(values: ndarray) -> float:
        return float((weights * values).sum(1).mean())

    ended = np.array([has_ended(tokenizer, text) for text in texts])
    wins = [
        weighted_win_rate(gold[i], gold[i], weights[i], np.exp(reference[i]))
        for i in range(len(prompts))
    ]
    figures: Row = {
        "gold_reward": expect(gold),
        "proxy_reward": expect(proxy),
        "kl": expect(logprobs - reference),
        "win_rate_sft": float(np.mean(wins)),
        "response_tokens": expect(ruler.tokens("test")),
        "entropy": expect(-logprobs),
        "ended_rate": expect(ended[None]),
        "distinct_2": distinct_2(samples),
    }
    errors = ("gold_reward", "proxy_reward", "kl", "win_rate_sft")
    figures |= {f"{name}_sem": 0.0 for name in errors}
    return Measured(figures, samples, gold, weights.astype(np.float32))


def logprob_changes(ruler: Ruler, policy: Policy, split: str) -> Row:
    """Return the mean change in log-probability (nats) of held-out chosen and rejected ones."""
    pairs = ruler.world.held_out_pairs(split)
    reference = ruler.world.sft()
    prompts = [pair.prompt for pair in pairs]
    changes: Row = {}
    for side in ("chosen", "rejected"):
        responses = [getattr(pair, side) for pair in pairs]
        law = SamplingLaw(max_new_tokens=ruler.law.max_new_tokens)
        ours = policy.logprobs(prompts, responses, law)
        theirs = reference.logprobs(prompts, responses, law)
        change = None if ours is None else float(np.mean(np.subtract(ours, theirs)))
        changes[f"{side}_logp_change"] = change
    return changes


def against_limit(limit: Limit, figures: Row) -> Row:
    """Return the limit at the policy's KL, and the share of its gain that the policy has."""
    if figures["kl"] is None:
        return {"limit_reward": None, "efficiency": None}
    # Estimation noise can put a KL of 0 a hair below it.
    kl = max(figures["kl"], 0.0)
    return {
        "limit_reward": limit.reward(kl),
        "efficiency": limit.efficiency(figures["gold_reward"], kl),
    }


def at_temperatures(
    ruler: Ruler, policy: Policy, temperatures: Sequence[float], per_prompt: int
) -> list[Row]:
    """Return gold reward and win rate against SFT on test prompts at other temperatures."""
    world = ruler.world
    prompts = world.task.prompts("test")
    asked = [prompt for prompt in prompts for _ in range(per_prompt)]
    rows = []
    for temperature in temperatures:
        law = replace(ruler.law, temperature=temperature)
        gold = [
            np.reshape(world.task.gold(asked, of.generate(asked, seed, law)), (len(prompts), -1))
            for seed, of in (
                (stream("temperatures", "policy", world.seed), policy),
                (stream("temperatures", "sft", world.seed), world.sft()),
            )
        ]
        won = compute("WinRate", predictions=gold[0].tolist(), references=gold[1].tolist())
        rows.append(
            {
                "temperature": temperature,
                "gold_reward": float(gold[0].mean()),
                "win_rate_sft": won["win_rate"],
            }
        )
    return rows


def head_to_head(ours: Measured, theirs: Measured) -> list[Duel]:
    """Compare two policies on each prompt; win rates are exact where all are listed."""
    rates = [
        weighted_win_rate(
            ours.gold[i],
            theirs.gold[i],
            None if ours.weights is None else ours.weights[i],
            None if theirs.weights is None else theirs.weights[i],
        )
        for i in range(len(ours.gold))
    ]
    return [Duel(*row) for row in zip(rates, tokens(ours), tokens(theirs), strict=True)]


def tokens(measured: Measured) -> list[float]:
    """Return the mean tokens of the sampled responses to each prompt."""
    lengths = np.array([row["response_tokens"] for row in measured.samples], dtype=float)
    return list(lengths.reshape(len(measured.gold), -1).mean(1))
