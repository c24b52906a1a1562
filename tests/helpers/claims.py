"""Made-up claims with numbers for each seed, of which tests know what they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from helpers.synthetic_hostile import BACKWARD, IMAGE, SCRIPT, TERMINAL

from bench.analysis.claims.results import ClaimResult, Tested, claim_results
from bench.analysis.claims.values import CONDITION_COLUMNS, by_seed
from bench.config.claim import Claim, Prediction

SEEDS = 8
TASK = "polite"
LEVELS = {"polite": 0.0, "low": 0.1, "middle": 0.2, "high": 0.4}
WORD = "w" * 10_000


class Effect(NamedTuple):
    """What a contrast shows.

    Attributes:
        mean: Its mean over seeds, exactly; its slope where it has levels. None for no values.
        spread: How far the outermost seeds are from it.
        predicted: What the paper predicts.
        bound: The smallest effect that matters.
        levels: Whether it has the conditions LEVELS.
        seeds: How many seeds have values.
    """

    mean: float | None
    spread: float = 0.02
    predicted: Prediction = "higher"
    bound: float = 0.1
    levels: bool = False
    seeds: int = SEEDS


# Of claims with each verdict.
HOLDS = [Effect(0.5)]
IN_PART = [Effect(0.5), Effect(-0.4), Effect(0.0, 0.5)]
REFUTED = [Effect(-0.3)]
UNDECIDED = [Effect(0.05, 0.6)]


def make_claim(effects: Sequence[Effect], **texts: str) -> Claim:
    """Return a claim with a contrast for each effect; texts may be longer than a file's."""
    any_levels = any(effect.levels for effect in effects)
    contrasts = []
    for number, effect in enumerate(effects, start=1):
        where: dict[str, Any] = {"levels": LEVELS} if effect.levels else {"task": TASK}
        contrasts.append(
            {
                "name": f"contrast {number}",
                "quantity": "reward",
                "of": "dpo",
                "minus": "ppo",
                "predicted": effect.predicted,
                "bound": effect.bound,
                **where,
            }
        )
    tasks: dict[str, Any] = {task: {} for task in (LEVELS if any_levels else [TASK])}
    content = {
        "title": "One is better than the other",
        "paper": "Author (2024), Title",
        "url": "https://example.org/paper",
        "place": "table 1",
        "statement": "One is better.",
        "refuted_by": "The other is better.",
        "seeds": [4, SEEDS],
        "experiment": {"tasks": tasks, "methods": {"dpo": {}, "ppo": {}}},
        "contrasts": contrasts,
    }
    return Claim.model_validate(content).model_copy(update=texts)


def conditions_of(effect: Effect) -> pd.DataFrame:
    """Return a contrast's numbers by task and seed."""
    if effect.mean is None:
        return pd.DataFrame([], columns=CONDITION_COLUMNS)
    apart = effect.spread * np.linspace(-1, 1, effect.seeds)
    levels = LEVELS if effect.levels else {TASK: None}
    middle = np.mean(list(LEVELS.values()))
    spread = sum((level - middle) ** 2 for level in LEVELS.values())
    rows = []
    for task, level in levels.items():
        weight = 1.0 if level is None else (level - middle) / spread
        values = effect.mean + apart if level is None else (effect.mean + apart) * level
        rows += [[task, level, weight, seed, value] for seed, value in enumerate(values)]
    return pd.DataFrame(rows, columns=CONDITION_COLUMNS)


def with_verdicts(
    claims: Mapping[str, Sequence[Effect]],
    texts: Mapping[str, Mapping[str, str]] | None = None,
    privileged: frozenset[str] = frozenset(),
) -> list[ClaimResult]:
    """Return claims with their verdicts.

    Args:
        claims: Effects of the contrasts of each claim, by its name.
        texts: Of some claims, in place of the usual ones.
        privileged: Methods that were given the gold reward.
    """
    tested: list[Tested] = []
    for name, effects in claims.items():
        claim = make_claim(effects, **(texts or {}).get(name, {}))
        frames = [conditions_of(effect) for effect in effects]
        looks = [4, SEEDS]
        values = [
            [number[number.index < look] for look in looks]
            for number in map(by_seed, claim.contrasts, frames)
        ]
        tested.append(Tested(name, claim, looks, frames, values, [], 123.4, privileged))
    contrasts = {(of.name, each.name): each for of in tested for each in of.claim.contrasts}
    return claim_results(tested, contrasts)


def all_verdicts() -> list[ClaimResult]:
    """Return four claims, one with each verdict."""
    effects = {"open": UNDECIDED, "part": IN_PART, "refuted": REFUTED, "holds": HOLDS}
    titles = {name: {"title": f"The claim {name}"} for name in effects}
    return with_verdicts(effects, titles)


def hostile_claims() -> list[ClaimResult]:
    """Return claims whose texts try to act, or are longer than a window is wide."""
    fields = ("title", "paper", "place", "statement", "refuted_by", "checked")
    attacks = {
        "script": dict.fromkeys(fields, SCRIPT) | {"url": "javascript:window.pwned=1"},
        "image": dict.fromkeys(fields, IMAGE) | {"url": f"https://example.org/{IMAGE}"},
        "control": dict.fromkeys(fields, f"{TERMINAL}{BACKWARD}") | {"url": "data:text/html,x"},
        "long": dict.fromkeys(fields, WORD) | {"url": f"https://example.org/{WORD}"},
    }
    effects = [Effect(0.5), Effect(0.5, levels=True)]
    claims = with_verdicts(dict.fromkeys(attacks, effects), attacks)
    for result in claims:
        text = result.tested.claim.title
        contrasts = [
            contrast.model_copy(update={"name": text, "quantity": text})
            for contrast in result.tested.claim.contrasts
        ]
        result.tested.claim.contrasts[:] = contrasts
        for frame in result.tested.conditions:
            frame["task"] = frame["task"] + text
    return claims
