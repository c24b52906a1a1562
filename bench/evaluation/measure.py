"""Measuring a policy: the metrics of a run, from samples or by enumeration.

Each metric is declared in `bench/results/metrics.py` under the name that it has here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray

from bench.evaluation.draw import Row, draw
from bench.evaluation.enumeration import all_texts, listed_logprobs
from bench.evaluation.optimal.frontier import OptimalFrontier
from bench.evaluation.reference_samples import POOL, ReferenceSamples
from bench.evaluation.win_rate import sem, weighted_win_rate
from bench.pipeline.base import Pipeline
from bench.tasks.base import Split
from methods.core.feedback import responses_of
from methods.core.models.outputs import logprobs_of
from methods.core.models.policy import Policy
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import has_ended

# The most held-out pairs whose likelihood is measured, unless the caller says otherwise.
MOST_PAIRS = 512
# A policy whose log-probabilities all changed by less did not move (nats).
UNCHANGED = 1e-4


@dataclass
class Measured:
    """What is measured of a policy on a split.

    Attributes:
        metrics: By name.
        samples: A row for each sampled response, see `draw`.
        rewards: Of the sampled or of all responses, [prompts, n].
        weights: Weight of each reward, [prompts, n]; None for equal weights.
    """

    metrics: Row
    samples: list[Row]
    rewards: ndarray
    weights: ndarray | None = field(default=None)


def measure(
    reference_samples: ReferenceSamples,
    policy: Policy,
    split: Split,
    per_prompt: int,
    most_pairs: int = MOST_PAIRS,
) -> Measured:
    """Measure a policy on the prompts of a split.

    Args:
        reference_samples: Those of the pipeline.
        policy: The policy to measure.
        split: The split whose prompts it answers.
        per_prompt: Responses to each prompt.
        most_pairs: The most held-out pairs whose likelihood is measured.
    """
    samples = draw(reference_samples, policy, split, per_prompt)
    measured = None
    if reference_samples.listed:
        measured = _by_enumeration(reference_samples, policy, samples)
    measured = measured or _from_samples(reference_samples, split, samples)
    measured.metrics |= on_held_out_pairs(reference_samples, policy, split, most_pairs)
    return measured


def _from_samples(
    reference_samples: ReferenceSamples, split: Split, samples: list[Row]
) -> Measured:
    """Estimate the metrics from samples, with standard errors clustered by prompt.

    The errors are for the mean over other prompts of the same kind: they include the spread between
    prompts. The means over the same prompts, sampled again, would vary less.
    """
    metrics: Row = {}
    groups = [row["group"] for row in samples]
    for name in ("reward", "proxy_reward", "kl"):
        values = [row[name] for row in samples]
        result = compute("ClusteredMean", predictions=values, references=groups)
        metrics[name], metrics[f"{name}_sem"] = result["mean"], result["sem"]
    metrics["response_tokens"] = _mean(samples, "response_tokens")
    metrics["entropy"] = _mean(samples, "entropy")
    metrics["ended_rate"] = _mean(samples, "ended")
    rewards = np.array([row["reward"] for row in samples]).reshape(max(groups) + 1, -1)
    metrics |= win_rate_sft(reference_samples, split, rewards)
    metrics["distinct_2"] = distinct_2(samples)
    return Measured(metrics, samples, rewards)


def _by_enumeration(
    reference_samples: ReferenceSamples, policy: Policy, samples: list[Row]
) -> Measured | None:
    """Return the metrics as expectations over all responses, with standard errors of 0.

    Returns:
        None where the policy has no log-probabilities.
    """
    pipeline, reference = reference_samples.pipeline, reference_samples.logprobs
    tokenizer = pipeline.sft().tokenizer
    texts = all_texts(tokenizer, pipeline.task.max_new_tokens)
    rewards, proxy = reference_samples.rewards("test"), reference_samples.proxy_rewards("test")
    logprobs = listed_logprobs(
        policy, pipeline.prompts("test"), texts, reference_samples.sampling, reference, proxy
    )
    if logprobs is None:
        return None
    weights = np.exp(logprobs)

    def expect(values: ndarray) -> float:
        return float((weights * values).sum(1).mean())

    ended = np.array([has_ended(tokenizer, text) for text in texts])
    wins = [
        weighted_win_rate(rewards[i], rewards[i], weights[i], np.exp(reference[i]))
        for i in range(len(rewards))
    ]
    metrics: Row = {
        "reward": expect(rewards),
        "proxy_reward": expect(proxy),
        "kl": expect(logprobs - reference),
        "win_rate_sft": float(np.mean(wins)),
        "response_tokens": expect(reference_samples.tokens("test")),
        "entropy": expect(-logprobs),
        "ended_rate": expect(ended[None]),
        "distinct_2": distinct_2(samples),
    }
    if (unlabeled := unlabeled_responses(pipeline)) is not None:
        metrics["unlabeled_mass"] = expect(unlabeled)
    metrics |= {f"{name}_sem": 0.0 for name in ("reward", "proxy_reward", "kl", "win_rate_sft")}
    return Measured(metrics, samples, rewards, weights.astype(np.float32))


@lru_cache(maxsize=1)
def unlabeled_responses(pipeline: Pipeline) -> ndarray | None:
    """Return which of all responses to test prompts no label is about, [prompts, R].

    Returns:
        None where the labels are about other prompts.
    """
    prompts = pipeline.prompts("test")
    labels = pipeline.labels("train", pipeline.feedback_kind)
    labeled = {(label.prompt, text) for label in labels for text in responses_of(label)}
    if {prompt for prompt, _ in labeled}.isdisjoint(prompts):
        return None
    texts = all_texts(pipeline.sft().tokenizer, pipeline.task.max_new_tokens)
    return np.array([[(prompt, text) not in labeled for text in texts] for prompt in prompts])


def win_rate_sft(reference_samples: ReferenceSamples, split: Split, rewards: ndarray) -> Row:
    """Return the win rate of responses against the SFT policy's, with its standard error.

    Args:
        reference_samples: Those of the pipeline.
        split: The split of the prompts.
        rewards: Rewards of the responses, [prompts, n].
    """
    sft_rewards = reference_samples.rewards(split)
    if reference_samples.listed:
        weights = np.exp(reference_samples.logprobs)
        rates = [
            weighted_win_rate(ours, theirs, None, their_weights)
            for ours, theirs, their_weights in zip(rewards, sft_rewards, weights, strict=True)
        ]
        return {"win_rate_sft": float(np.mean(rates)), "win_rate_sft_sem": sem(rates)}
    references = sft_rewards[:, :POOL].tolist()
    won = compute("WinRate", predictions=rewards.tolist(), references=references)
    return {"win_rate_sft": won["win_rate"], "win_rate_sft_sem": won["sem"]}


def distinct_2(samples: list[Row]) -> float:
    """Return the share of distinct two-word sequences; see `DistinctN`."""
    texts = [row["response"] for row in samples]
    return compute("DistinctN", predictions=texts, n=2)["distinct"]


def _mean(samples: list[Row], column: str) -> float:
    return float(np.mean([row[column] for row in samples]))


def compute(metric: str, **inputs: Any) -> dict[str, float]:
    """Compute one of the `evaluate.Metric` classes in `metrics.py`.

    Args:
        metric: The class's name.
        inputs: Its inputs by name.
    """
    # Imported here: it takes seconds, and reading results does not need it.
    from bench.evaluation import metrics

    return dict(getattr(metrics, metric)(keep_in_memory=True).compute(**inputs))


def on_held_out_pairs(
    reference_samples: ReferenceSamples, policy: Policy, split: Split, most: int = MOST_PAIRS
) -> Row:
    """Return how the log-probabilities of held-out responses changed from the SFT policy.

    Returns:
        chosen_logp_change and rejected_logp_change: mean changes (nats). implicit_accuracy: how
        often the change is larger for the chosen response: the accuracy of the implicit reward of
        Rafailov et al. (2023). All are None where the policy has no log-probabilities, and the last
        also where the policy did not move.
    """
    pipeline = reference_samples.pipeline
    prompts, chosen, rejected = _held_out_pairs(pipeline, split, most)
    names = ("chosen_logp_change", "rejected_logp_change", "implicit_accuracy")
    metrics: Row = dict.fromkeys(names)
    if not prompts:
        return metrics
    sampling = SamplingParams(max_new_tokens=reference_samples.sampling.max_new_tokens)
    logprobs = logprobs_of(policy, prompts * 2, chosen + rejected, sampling)
    if logprobs is None:
        return metrics
    changes = np.subtract(logprobs, _sft_logprobs(pipeline, split, sampling, most)).reshape(2, -1)
    metrics |= zip(names, changes.mean(1).tolist(), strict=False)
    if np.abs(changes).max() > UNCHANGED:
        margins = changes[0] - changes[1]
        metrics["implicit_accuracy"] = float(np.mean((margins > 0) + 0.5 * (margins == 0)))
    return metrics


def _held_out_pairs(
    pipeline: Pipeline, split: Split, most: int
) -> tuple[list[str], list[str], list[str]]:
    """Return prompts, chosen and rejected responses of the held-out pairs that are measured."""
    pairs = pipeline.held_out_pairs(split)[:most]
    return [p.prompt for p in pairs], [p.chosen for p in pairs], [p.rejected for p in pairs]


@lru_cache(maxsize=4)
def _sft_logprobs(
    pipeline: Pipeline, split: Split, sampling: SamplingParams, most: int
) -> list[float]:
    """Return the SFT policy's log-probabilities of them, which all runs of a pipeline share."""
    prompts, chosen, rejected = _held_out_pairs(pipeline, split, most)
    return pipeline.sft().logprobs(prompts * 2, chosen + rejected, sampling)


def against_frontier(frontier: OptimalFrontier, metrics: Row) -> Row:
    """Return the optimal reward at a policy's KL, and the policy's efficiency.

    Args:
        frontier: The optimal frontier of the reward.
        metrics: Of the policy.

    Returns:
        frontier_reward and efficiency; None beyond what the frontier can be trusted for.
    """
    if metrics["kl"] is None:
        return {"frontier_reward": None, "efficiency": None}
    # Rounding can make a KL of 0 slightly negative.
    kl = max(metrics["kl"], 0.0)
    return {
        "frontier_reward": frontier.reward(kl),
        "efficiency": frontier.efficiency(metrics["reward"], kl),
    }
