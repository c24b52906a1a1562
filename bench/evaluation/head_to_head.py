"""Head-to-heads: how often one policy's responses beat another's, prompt by prompt."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from bench.evaluation.draw import Row
from bench.evaluation.measure import Measured
from bench.evaluation.reference_samples import lengths
from bench.evaluation.win_rate import sem, weighted_win_rate
from bench.pipeline.base import Pipeline


class HeadToHead(NamedTuple):
    """A comparison of two policies on one prompt.

    Attributes:
        win_rate: How often a response of the first has the higher reward; ties count half.
        tokens: Mean length of the first's responses.
        opponent_tokens: Mean length of the second's.
    """

    win_rate: float
    tokens: float
    opponent_tokens: float


class Side(NamedTuple):
    """One side of a head-to-head.

    Attributes:
        rewards: [prompts, n].
        tokens: Mean length of the responses to each prompt, [prompts].
        weights: Weight of each reward, [prompts, n]; None for equal weights.
    """

    rewards: ndarray
    tokens: list[float]
    weights: ndarray | None = None


def side_of(measured: Measured) -> Side:
    """Return a measured policy as a side; its lengths are those of the sampled responses."""
    tokens = np.array([row["response_tokens"] for row in measured.samples], dtype=float)
    means = tokens.reshape(len(measured.rewards), -1).mean(1)
    return Side(measured.rewards, list(means), measured.weights)


def chosen_side(pipeline: Pipeline) -> Side | None:
    """Return the responses that people chose as a side; None unless each test prompt has one."""
    chosen: dict[str, str] = {}
    for pair in pipeline.held_out_pairs("test"):
        chosen.setdefault(pair.prompt, pair.chosen)
    prompts = pipeline.prompts("test")
    if pipeline.task.reward_source == "gold" or not set(prompts) <= set(chosen):
        return None
    responses = [chosen[prompt] for prompt in prompts]
    tokens = lengths(pipeline.sft().tokenizer, responses, pipeline.task.max_new_tokens)
    return Side(np.array(pipeline.reward(prompts, responses))[:, None], [float(n) for n in tokens])


def head_to_head(side: Side, opponent: Side) -> list[HeadToHead]:
    """Compare two sides on each prompt; win rates are exact where all responses are listed."""
    rates = [
        weighted_win_rate(
            side.rewards[i],
            opponent.rewards[i],
            None if side.weights is None else side.weights[i],
            None if opponent.weights is None else opponent.weights[i],
        )
        for i in range(len(side.rewards))
    ]
    rows = zip(rates, side.tokens, opponent.tokens, strict=True)
    return [HeadToHead(*row) for row in rows]


def win_rate_chosen(pipeline: Pipeline, measured: Measured) -> Row:
    """Return the win rate on test prompts against the responses that people chose."""
    chosen = chosen_side(pipeline)
    if chosen is None:
        return {}
    rates = [row.win_rate for row in head_to_head(side_of(measured), chosen)]
    return {"win_rate_chosen": float(np.mean(rates)), "win_rate_chosen_sem": sem(rates)}
