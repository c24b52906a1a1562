"""How often one policy's responses beat another's, or those that people chose, prompt by prompt."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from bench.evaluation.measure import Measured, Row
from bench.evaluation.reference_samples import lengths
from bench.evaluation.win_rate import sem, weighted_win_rate
from bench.pipeline.base import World


class Duel(NamedTuple):
    """How often a policy's score beats another's on a prompt, ties half; mean tokens."""

    win_rate: float
    tokens: float
    opponent_tokens: float


class Side(NamedTuple):
    """One side of duels: scores [prompts, n] and their weights, mean tokens for each prompt."""

    scores: ndarray
    tokens: list[float]
    weights: ndarray | None = None


def side_of(measured: Measured) -> Side:
    """Return a policy as a side; lengths are those of the sampled responses."""
    tokens = np.array([row["response_tokens"] for row in measured.samples], dtype=float)
    means = tokens.reshape(len(measured.scores), -1).mean(1)
    return Side(measured.scores, list(means), measured.weights)


def chosen_side(world: World) -> Side | None:
    """Return the responses that people chose for the test prompts, or None where none were."""
    chosen: dict[str, str] = {}
    for pair in world.held_out_pairs("test"):
        chosen.setdefault(pair.prompt, pair.chosen)
    prompts = world.prompts("test")
    if world.task.scored_by == "gold" or not set(prompts) <= set(chosen):
        return None
    responses = [chosen[prompt] for prompt in prompts]
    tokens = lengths(world.sft().tokenizer, responses, world.task.max_new_tokens)
    return Side(np.array(world.score(prompts, responses))[:, None], [float(n) for n in tokens])


def head_to_head(ours: Side, theirs: Side) -> list[Duel]:
    """Compare two sides on each prompt; win rates are exact where all responses are listed."""
    rates = [
        weighted_win_rate(
            ours.scores[i],
            theirs.scores[i],
            None if ours.weights is None else ours.weights[i],
            None if theirs.weights is None else theirs.weights[i],
        )
        for i in range(len(ours.scores))
    ]
    return [Duel(*row) for row in zip(rates, ours.tokens, theirs.tokens, strict=True)]


def win_rate_chosen(world: World, measured: Measured) -> Row:
    """Return the win rate on test prompts against the responses that people chose."""
    chosen = chosen_side(world)
    if chosen is None:
        return {}
    rates = [duel.win_rate for duel in head_to_head(side_of(measured), chosen)]
    return {"win_rate_chosen": float(np.mean(rates)), "win_rate_chosen_sem": sem(rates)}
