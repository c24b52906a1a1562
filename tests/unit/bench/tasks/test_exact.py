"""exact: its gold reward, and how its text leans towards it."""

from __future__ import annotations

from random import Random
from statistics import fmean

import pytest

from bench.tasks.exact import PROMPTS, Exact


def test_gold_is_a_sum_over_letters_and_neighbors() -> None:
    task, prompt = Exact(), PROMPTS[0]

    def gold(response: str) -> float:
        return task.gold([prompt], [response])[0]

    pair = gold("a b") - gold("a") - (gold("c b") - gold("c"))
    assert pair == pytest.approx(task._terms["a", "b"] - task._terms["c", "b"])
    assert gold("a </answer>") == gold("a")
    assert gold("a <pad>") == pytest.approx(gold("a") - 1)
    assert task.gold([PROMPTS[1]], ["a"]) != task.gold([prompt], ["a"])
    assert Exact(instance=1).gold([prompt], ["a"]) != [gold("a")]


def test_text_leans_towards_the_reward_with_overlap() -> None:
    def mean_gold(overlap: float) -> float:
        task = Exact(overlap=overlap)
        examples = task.demonstrations(Random(0), 4000)
        return fmean(task.gold([e.prompt for e in examples], [e.response for e in examples]))

    apart, none, close = map(mean_gold, (-1.0, 0.0, 1.0))
    assert apart < none - 0.5 and close > none + 0.5
    assert Exact(overlap=1.0).gold([PROMPTS[0]], ["a b"]) == Exact().gold([PROMPTS[0]], ["a b"])
