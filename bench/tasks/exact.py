"""exact: a task so small that every response is enumerated.

A response is up to four letters. There are few enough sequences of tokens to list all of them,
special tokens included: 16,105 for each of the 8 prompts. The KL, the reward, the optimal frontier
and the regret of a policy are then sums over all responses, without sampling error. Estimates are
checked against them, and methods can be compared to the exact optimum. Training, validation and
test use the same 8 prompts: there is nothing to generalize to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, product
from random import Random
from statistics import pstdev
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from bench.tasks.base import (
    END,
    MOST_EXAMPLES,
    Architecture,
    Embedded,
    Example,
    RewardTraining,
    Split,
    Training,
)

LETTERS = tuple("abcdef")
PROMPTS = ("a b", "b c", "c d", "d e", "e f", "f a", "a d", "c f")
# At overlap 1, a reward of 1 for two letters in a row multiplies their weight in the text by e^4.
LEAN = 4.0


@dataclass(frozen=True)
class Exact(Embedded):
    """Strings of letters with a reward for each letter in each place and each pair of letters.

    Attributes:
        instance: Which random instance of the task: its text and its gold reward. All seeds of a
            comparison share it; with None, each seed has its own, that of its number.
        length: The longest response, in letters.
        stop: Probability that the text ends after each letter.
        overlap: How far all text leans towards pairs of letters with a high reward. At 0 it is
            independent of the reward; above 0 the reference gives the best responses often; below
            0 hardly ever.
        reward: What the gold reward is: a sum over "features", which are letters in their places
            and pairs of letters; or a "table" with a random number for each response to each
            prompt. A table tells nothing about a response from all others, and is as hard to
            learn as a policy (Swamy et al., 2025).
    """

    name: ClassVar[str] = "exact"
    enumerable: ClassVar[bool] = True

    instance: Annotated[int, Ge(0)] | None = 0
    length: Annotated[int, Gt(0), Le(4)] = 4
    stop: Annotated[float, Ge(0), Le(1)] = 0.1
    overlap: Annotated[float, Ge(-1), Le(1)] = 0.0
    reward: Literal["features", "table"] = "features"
    labels: Annotated[int, Gt(0), Le(MOST_EXAMPLES)] = 8192
    architecture: Architecture = Architecture(layers=2, hidden=32, heads=2, intermediate=96)
    pretraining: Training = Training(16384, 1, 128, 3e-3)
    sft: Training = Training(4096, 1, 128, 1e-3)
    # With fewer passes its accuracy is 0.65 in place of 0.80, and PPO gains half as much.
    reward_model: RewardTraining = RewardTraining(16, 128, 4e-3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reward == "table" and self.overlap != 0:
            raise ValueError(
                f"overlap must be 0 with reward table, which likes no pairs; not {self.overlap:g}"
            )

    def at_seed(self, seed: int) -> Exact:
        return replace(self, instance=seed) if self.instance is None else self

    def at_any_seed(self) -> Exact:
        return replace(self, instance=None)

    @property
    def max_new_tokens(self) -> int:
        return self.length

    def words(self) -> list[str]:
        return list(LETTERS)

    def prompts(self, split: Split) -> list[str]:
        return list(PROMPTS)

    def corpus(self, random: Random, count: int) -> list[Example]:
        """Return letters from each prompt's own Markov chain, half of the time at random."""
        return self._examples(random, count, mixed=0.5)

    def demonstrations(self, random: Random, count: int) -> list[Example]:
        """Return letters from the same chains, at random less often."""
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
        """For each letter, the factors by which the weights of the next letters lean."""
        strength = LEAN * self.overlap
        return {a: [math.exp(strength * self._terms[a, b]) for b in LETTERS] for a in LETTERS}

    @cached_property
    def _terms(self) -> dict[tuple[object, ...], float]:
        """Terms of the reward for (prompt, place, letter), and for (letter, next letter)."""
        random = Random(f"scores {self.instance}")
        places = [(p, i, a) for p in PROMPTS for i in range(self.length) for a in LETTERS]
        neighbors = [(a, b) for a in LETTERS for b in LETTERS]
        return {key: random.gauss(0, 0.6) for key in places} | {
            key: random.gauss(0, 0.4) for key in neighbors
        }

    def gold(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        return [self._gold(p, r) for p, r in zip(prompts, responses, strict=True)]

    def _gold(self, prompt: str, response: str) -> float:
        """Return the sum of the terms of all letters by place, and of all neighbors, or the number
        in the table.

        Any token that is neither a letter nor the end counts -1.
        """
        tokens = response.removesuffix(END).split()
        if self.reward == "table":
            return self._number(prompt, tokens) - sum(token not in LETTERS for token in tokens)
        return self._sum(prompt, tokens)

    def _sum(self, prompt: str, tokens: Sequence[str]) -> float:
        placed = sum(self._terms.get((prompt, i, a), -1.0) for i, a in enumerate(tokens))
        return placed + sum(self._terms.get(pair, 0.0) for pair in pairwise(tokens))

    def _number(self, prompt: str, tokens: Sequence[str]) -> float:
        """Return the table's number, of which only those that are asked for are ever drawn."""
        text = f"table {self.instance} {prompt}: {' '.join(tokens)}"
        return Random(text).gauss(0, self._scales[prompt])

    @cached_property
    def _scales(self) -> dict[str, float]:
        """For each prompt, the standard deviation of the sum over all strings of full length."""
        strings = list(product(LETTERS, repeat=self.length))
        return {p: pstdev(self._sum(p, string) for string in strings) for p in PROMPTS}
