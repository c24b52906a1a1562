"""Measuring a policy: the figures of a run, from samples or by enumeration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy import ndarray

from bench.evaluation.enumeration import all_texts, listed_logprobs
from bench.evaluation.kl import best_of_n_kl, model_kl
from bench.evaluation.frontier import Limit
from bench.evaluation.reference_samples import POOL, Ruler, lengths
from bench.evaluation.win_rate import sem, weighted_win_rate
from bench.tasks.base import Split
from methods.best_of_n import BestOfNPolicy
from methods.core.models.policy import ModelPolicy, Policy, response_ids
from methods.core.models.sampling import SamplingLaw, stream
from methods.core.models.text import has_ended

Row = dict[str, Any]
# Of held-out pairs, for changes of their likelihood.
MOST_PAIRS = 512
# Log-probabilities that differ by less are the same (nats).
STILL = 1e-4


@dataclass
class Measured:
    """The figures of a policy on a split, its samples, and their scores for win rates.

    A score is what policies are measured by: the gold reward, or a judge's. scores, weights:
    [prompts, n]; weights is None where all count alike.
    """

    figures: Row
    samples: list[Row]
    scores: ndarray
    weights: ndarray | None = field(default=None)


def measure(ruler: Ruler, policy: Policy, split: Split, per_prompt: int) -> Measured:
    """Measure a policy on the prompts of a split."""
    samples = draw(ruler, policy, split, per_prompt)
    measured = from_list(ruler, policy, samples) if ruler.listed else None
    measured = measured or from_samples(ruler, split, samples)
    measured.figures |= on_held_out_pairs(ruler, policy, split)
    return measured


def draw(ruler: Ruler, policy: Policy, split: Split, per_prompt: int) -> list[Row]:
    """Sample responses and score each: score, proxy, KL, entropy, length in tokens."""
    world = ruler.world
    prompts = world.prompts(split)
    asked = [prompt for prompt in prompts for _ in range(per_prompt)]
    groups = [i for i in range(len(prompts)) for _ in range(per_prompt)]
    # The same for all methods of a seed.
    seed = stream("responses", split, world.seed)
    if isinstance(policy, ModelPolicy):
        columns = drawn_as_tokens(ruler, policy, asked, seed)
    else:
        columns = drawn_as_text(ruler, policy, asked, seed, [ruler.proxy(split)[i] for i in groups])
    responses = columns["response"]
    end = world.sft().tokenizer
    columns |= {
        "prompt": asked,
        "score": world.score(asked, responses),
        "proxy": columns.get("proxy") or world.reward_model()(asked, responses),
        "ended": [has_ended(end, response) for response in responses],
        "group": groups,
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def drawn_as_tokens(
    ruler: Ruler, policy: ModelPolicy, prompts: list[str], seed: int
) -> dict[str, list[Any]]:
    """Return responses with KL and entropy, taken of the very tokens that were sampled."""
    columns: dict[str, list[Any]] = {
        name: [math.nan] * len(prompts) for name in ("response", "kl", "entropy", "response_tokens")
    }
    for places, batch in policy.sampled(prompts, seed, ruler.law):
        found: dict[str, list[Any]] = {
            "response": policy.decode(batch),
            "response_tokens": [len(ids) for ids in response_ids(batch)],
        }
        if ruler.law.is_softmax:
            kls, entropies = model_kl(policy, ruler.world.sft(), batch, ruler.law)
            found |= {"kl": kls, "entropy": entropies}
        for name, values in found.items():
            for place, value in zip(places, values, strict=True):
                columns[name][place] = value
    return columns


def drawn_as_text(
    ruler: Ruler, policy: Policy, prompts: list[str], seed: int, pools: list[ndarray]
) -> dict[str, list[Any]]:
    """Return responses with KL and entropy; not a number where the policy has none.

    pools: for each prompt the proxy rewards of the SFT policy's samples.
    """
    world, law = ruler.world, ruler.law
    responses = policy.generate(prompts, seed, law)
    proxy = world.reward_model()(prompts, responses)
    kls = entropies = [math.nan] * len(responses)
    if not law.is_softmax:
        pass
    elif isinstance(policy, BestOfNPolicy) and not ruler.listed:
        kls = best_of_n_kl(proxy, pools, policy.n)
    elif (ours := policy.logprobs(prompts, responses, law)) is not None:
        # Any other policy that knows its probabilities: unbiased too, but of more variance.
        theirs = world.sft().logprobs(prompts, responses, law)
        kls, entropies = list(np.subtract(ours, theirs)), list(np.negative(ours))
    return {
        "response": responses,
        "kl": kls,
        "entropy": entropies,
        "response_tokens": lengths(world.sft().tokenizer, responses, law.max_new_tokens).tolist(),
        "proxy": proxy,
    }


def from_samples(ruler: Ruler, split: Split, samples: list[Row]) -> Measured:
    """Return the figures that samples give, with standard errors clustered by prompt.

    These are for other prompts of the same kind: the spread between prompts is part of them. What
    these very prompts would give, sampled again, varies less.
    """
    figures: Row = {}
    names = {"score": "score", "proxy_reward": "proxy", "kl": "kl"}
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
    scores = np.array([row["score"] for row in samples]).reshape(max(groups) + 1, -1)
    figures |= win_rate_sft(ruler, split, scores)
    figures["distinct_2"] = distinct_2(samples)
    return Measured(figures, samples, scores)


def win_rate_sft(ruler: Ruler, split: Split, scores: ndarray) -> Row:
    """Return the win rate of scores [prompts, n] against the SFT policy's."""
    theirs = ruler.scores(split)
    if ruler.listed:
        weights = np.exp(ruler.logprobs)
        rates = [
            weighted_win_rate(ours, other, None, weight)
            for ours, other, weight in zip(scores, theirs, weights, strict=True)
        ]
        return {"win_rate_sft": float(np.mean(rates)), "win_rate_sft_sem": sem(rates)}
    won = compute("WinRate", predictions=scores.tolist(), references=theirs[:, :POOL].tolist())
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
    prompts = world.prompts("test")
    scores, proxy, reference = ruler.scores("test"), ruler.proxy("test"), ruler.logprobs
    logprobs = listed_logprobs(policy, prompts, texts, ruler.law, reference, proxy)
    if logprobs is None:
        return None
    weights = np.exp(logprobs)

    def expect(values: ndarray) -> float:
        return float((weights * values).sum(1).mean())

    ended = np.array([has_ended(tokenizer, text) for text in texts])
    wins = [
        weighted_win_rate(scores[i], scores[i], weights[i], np.exp(reference[i]))
        for i in range(len(prompts))
    ]
    figures: Row = {
        "score": expect(scores),
        "proxy_reward": expect(proxy),
        "kl": expect(logprobs - reference),
        "win_rate_sft": float(np.mean(wins)),
        "response_tokens": expect(ruler.tokens("test")),
        "entropy": expect(-logprobs),
        "ended_rate": expect(ended[None]),
        "distinct_2": distinct_2(samples),
    }
    errors = ("score", "proxy_reward", "kl", "win_rate_sft")
    figures |= {f"{name}_sem": 0.0 for name in errors}
    return Measured(figures, samples, scores, weights.astype(np.float32))


def on_held_out_pairs(ruler: Ruler, policy: Policy, split: Split) -> Row:
    """Return the mean change in log-probability (nats) of held-out chosen and rejected ones.

    implicit_accuracy: how often it rose by more (or fell by less) for the chosen one, as the
    implicit reward of Rafailov et al. (2023) has it; nothing where it did not move at all.
    """
    pairs = ruler.world.held_out_pairs(split)[:MOST_PAIRS]
    reference = ruler.world.sft()
    prompts = [pair.prompt for pair in pairs]
    names = ("chosen_logp_change", "rejected_logp_change", "implicit_accuracy")
    found: Row = dict.fromkeys(names)
    changes = []
    for side in ("chosen", "rejected") if pairs else ():
        responses = [getattr(pair, side) for pair in pairs]
        law = SamplingLaw(max_new_tokens=ruler.law.max_new_tokens)
        ours = policy.logprobs(prompts, responses, law)
        if ours is None:
            return found
        changes.append(np.subtract(ours, reference.logprobs(prompts, responses, law)))
        found[f"{side}_logp_change"] = float(np.mean(changes[-1]))
    if pairs and np.abs(changes).max() > STILL:
        margins = changes[0] - changes[1]
        found["implicit_accuracy"] = float(np.mean((margins > 0) + 0.5 * (margins == 0)))
    return found


def against_limit(limit: Limit, figures: Row) -> Row:
    """Return the limit at the policy's KL, and the share of its gain that the policy has."""
    if figures["kl"] is None:
        return {"limit_reward": None, "efficiency": None}
    # Estimation noise can put a KL of 0 a hair below it.
    kl = max(figures["kl"], 0.0)
    return {
        "limit_reward": limit.reward(kl),
        "efficiency": limit.efficiency(figures["score"], kl),
    }


def at_temperatures(
    ruler: Ruler, policy: Policy, temperatures: Sequence[float], per_prompt: int
) -> list[Row]:
    """Return score and win rate against SFT on test prompts at other temperatures."""
    world = ruler.world
    prompts = world.prompts("test")
    asked = [prompt for prompt in prompts for _ in range(per_prompt)]
    rows = []
    for temperature in temperatures:
        law = replace(ruler.law, temperature=temperature)
        scores = [
            np.reshape(world.score(asked, of.generate(asked, seed, law)), (len(prompts), -1))
            for seed, of in (
                (stream("temperatures", "policy", world.seed), policy),
                (stream("temperatures", "sft", world.seed), world.sft()),
            )
        ]
        won = compute("WinRate", predictions=scores[0].tolist(), references=scores[1].tolist())
        rows.append(
            {
                "temperature": temperature,
                "score": float(scores[0].mean()),
                "win_rate_sft": won["win_rate"],
            }
        )
    return rows
