"""exact: its gold reward, and how its text leans towards it."""

from __future__ import annotations

from itertools import product
from random import Random
from statistics import fmean

import numpy as np
import pytest

from bench.tasks.exact import LETTERS, PROMPTS, Exact


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


# The table's numbers for some responses, as they were when it was made.
DRAWN = [0.727550748451, -0.850696858035, 0.889747144731, -0.658984401385, -0.635582551564]
STRINGS = list(product(LETTERS, repeat=4))


def gold_of_strings(task: Exact, prompt: str) -> np.ndarray:
    """Return the gold rewards of all strings of four letters."""
    return np.array(task.gold([prompt] * len(STRINGS), [" ".join(s) for s in STRINGS]))


def explained(rewards: np.ndarray) -> float:
    """Return how much of the variance a linear fit of letters in places and pairs explains."""
    places = [[s[i] == a for i in range(4) for a in LETTERS] for s in STRINGS]
    pairs = [
        [sum(s[i : i + 2] == pair for i in range(3)) for pair in product(LETTERS, repeat=2)]
        for s in STRINGS
    ]
    features = np.hstack([np.array(places, float), np.array(pairs, float)])
    fitted = features @ np.linalg.lstsq(features, rewards, rcond=None)[0]
    return float(1 - np.var(rewards - fitted) / np.var(rewards))


def test_features_explain_all_of_their_reward_and_nothing_of_a_table() -> None:
    for prompt in PROMPTS[:3]:
        assert explained(gold_of_strings(Exact(), prompt)) == pytest.approx(1.0)
        # By chance 60 parameters, less those that are redundant, explain 45 in 1,296.
        assert explained(gold_of_strings(Exact(reward="table"), prompt)) < 0.08


def test_a_table_has_the_variance_of_the_features_and_no_more_in_common() -> None:
    """Of 1,296 normal numbers, the variance is known to a standard error of 4%."""
    tables = []
    for instance in (0, 7):
        for prompt in PROMPTS:
            features = gold_of_strings(Exact(instance=instance), prompt)
            table = gold_of_strings(Exact(instance=instance, reward="table"), prompt)
            assert np.var(table) == pytest.approx(np.var(features), rel=0.16)
            tables += [table, features]
    # Neither with the features, nor from prompt to prompt, nor between instances.
    correlations = np.corrcoef(tables)
    with_tables = correlations[::2] - np.eye(len(tables))[::2]
    assert np.abs(with_tables).max() < 5 / len(STRINGS) ** 0.5


def test_a_table_is_the_same_in_every_process_and_differs_for_every_response() -> None:
    task, prompt = Exact(reward="table"), PROMPTS[0]
    responses = ["a b c d", "a b c </answer>", "a", "</answer>", "a <pad>"]
    numbers = task.gold([prompt] * 5, responses)
    assert numbers == pytest.approx(DRAWN, abs=1e-11)
    assert len(set(numbers)) == 5
    assert task.gold([prompt], ["a"]) == task.gold([prompt], ["a </answer>"])


def test_special_tokens_cost_as_much_beside_a_table() -> None:
    task = Exact(reward="table")
    clean = task.gold([PROMPTS[0]] * 200, [" ".join(s) for s in STRINGS[:200]])
    dirty = task.gold([PROMPTS[0]] * 200, ["<pad> " * 3 + " ".join(s) for s in STRINGS[:200]])
    assert fmean(clean) - fmean(dirty) == pytest.approx(3, abs=0.6)


def test_text_cannot_lean_towards_a_table() -> None:
    with pytest.raises(ValueError, match="overlap must be 0 with reward table"):
        Exact(reward="table", overlap=0.5)


def test_each_seed_can_have_an_instance_of_its_own() -> None:
    task = Exact(instance=None)
    assert task.at_seed(3) == Exact(instance=3) != task.at_seed(4)
    assert Exact(instance=7).at_seed(3) == Exact(instance=7)
