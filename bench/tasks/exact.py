"""exact: a instance so small that every response is listed, so that nothing need be estimated.

A response is up to four letters; the tokens are few enough that every sequence of them can be
scored (16,105 for each of the 8 prompts), special tokens included. What the enumeration gives,
optimum, KL, regret, has no sampling error: it is the reference_samples that the rest is checked with. The
same 8 prompts serve to train, choose and test: there is nothing to generalize to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from random import Random
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from bench.tasks.base import END, Architecture, Embedded, Example, RewardTraining, Split, Training

LETTERS = tuple("abcdef")
PROMPTS = ("a b", "b c", "c d", "d e", "e f", "f a", "a d", "c f")
# What a score of 1 for two letters in a row makes of their weight in the text, at overlap 1: e^4.
LEAN = 4.0


@dataclass(frozen=True)
class Exact(Embedded):
    """Strings of letters with a reward for each letter in each place and each pair of letters.

    overlap: how far all text leans towards the pairs of letters that the reward likes. At 0 it
    knows nothing of them, above 0 the reward's peak is where the reference is, below 0 where it
    hardly ever is.
    """

    name: ClassVar[str] = "exact"
    enumerable: ClassVar[bool] = True

    instance: Annotated[int, Ge(0)] = 0
    length: Annotated[int, Gt(0), Le(4)] = 4
    stop: Annotated[float, Ge(0), Le(1)] = 0.1
    overlap: Annotated[float, Ge(-1), Le(1)] = 0.0
    labels: Annotated[int, Gt(0)] = 8192
    architecture: Architecture = Architecture(layers=2, hidden=32, heads=2, intermediate=96)
    pretraining: Training = Training(16384, 1, 128, 3e-3)
    sft: Training = Training(4096, 1, 128, 1e-3)
    reward_model: RewardTraining = RewardTraining(4, 256, 1e-2)

    @property
    def max_new_tokens(self) -> int:
        return self.length

    def words(self) -> list[str]:
        return list(LETTERS)

    def prompts(self, split: Split) -> list[str]:
        return list(PROMPTS)

    def corpus(self, random: Random, count: int) -> list[Example]:
        """Letters from each prompt's own Markov chain, half of the time at random."""
        return self._examples(random, count, mixed=0.5)

    def demonstrations(self, random: Random, count: int) -> list[Example]:
        """The same, more sharply."""
        return self._examples(random, count, mixed=0.3)

    def _examples(self, random: Random, count: int, mixed: float) -> list[Example]:
        chosen = [random.choice(PROMPTS) for _ in range(count)]
        return [Example(prompt, self._string(random, prompt, mixed)) for prompt in chosen]

    def _string(self, random: Random, prompt: str, mixed: float) -> str:
        chain = self._chains[prompt]
        letters = [random.choice(LETTERS)]
        while len(letters) < self.length:
            if random.random() < self.stop:
                return " ".join([*letters, END])
            uniform = random.random() < mixed
            weights = self._leaning[letters[-1]]
            if not uniform:
                weights = [w * c for w, c in zip(weights, chain[letters[-1]], strict=True)]
            letters += random.choices(LETTERS, weights)
        return " ".join(letters)

    @cached_property
    def _chains(self) -> dict[str, dict[str, list[float]]]:
        """For each prompt, the weights of the next letter after each letter."""
        random = Random(f"chains {self.instance}")
        return {p: {a: [random.expovariate(1) for _ in LETTERS] for a in LETTERS} for p in PROMPTS}

    @cached_property
    def _leaning(self) -> dict[str, list[float]]:
        """For each letter, how its next letters' weights lean towards the reward."""
        strength = LEAN * self.overlap
        return {a: [math.exp(strength * self._scores[a, b]) for b in LETTERS] for a in LETTERS}

    @cached_property
    def _scores(self) -> dict[tuple[object, ...], float]:
        """Scores of (prompt, place, letter), and of (letter, next letter) whatever the prompt."""
        random = Random(f"scores {self.instance}")
        places = [(p, i, a) for p in PROMPTS for i in range(self.length) for a in LETTERS]
        neighbors = [(a, b) for a in LETTERS for b in LETTERS]
        return {key: random.gauss(0, 0.6) for key in places} | {
            key: random.gauss(0, 0.4) for key in neighbors
        }

    def gold(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        return [self._gold(p, r) for p, r in zip(prompts, responses, strict=True)]

    def _gold(self, prompt: str, response: str) -> float:
        """Sum of the scores of its letters, by place, and of its neighbors; -1 for any other
        token than a letter or the end."""
        tokens = response.removesuffix(END).split()
        placed = sum(self._scores.get((prompt, i, a), -1.0) for i, a in enumerate(tokens))
        return placed + sum(self._scores.get(pair, 0.0) for pair in pairwise(tokens))
