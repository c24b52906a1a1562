"""Embedded tasks: the text that they generate."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from bench.pipeline.stages.training.tokenizers import make_tokenizer
from bench.tasks.bandit import Bandit
from bench.tasks.base import Embedded
from bench.tasks.coverage import covered_words, first_word
from bench.tasks.exact import Exact
from bench.tasks.haiku import Haiku
from bench.tasks.labeling import ResponseSource
from bench.tasks.polite import Polite
from methods.core.models.text import decode_responses

TASKS = (Polite(), Haiku(), Exact(), Bandit(), *(Haiku(lines=lines) for lines in (2, 5)))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_word_is_known_and_every_response_fits(task: Embedded) -> None:
    tokenizer = make_tokenizer(task.words())
    for example in task.corpus(Random(0), 500):
        ids = tokenizer(example.response)["input_ids"]
        assert tokenizer.unk_token_id not in ids + tokenizer(example.prompt)["input_ids"]
        assert decode_responses(tokenizer, [ids]) == [example.response]
        assert len(ids) <= task.max_new_tokens


@pytest.mark.parametrize("task", [Polite, Haiku, Exact], ids=lambda task: task.name)
def test_coverage_is_a_share_of_the_first_words_of_the_text(task: type[Embedded]) -> None:
    examples = task().demonstrations(Random(5), 4000)
    words = {first_word(example.response) for example in examples}
    half = task(response_source=ResponseSource(coverage=0.5))
    covered = {word for word in words if half.is_covered(f"{word} and more")}
    assert abs(len(covered) - len(words) / 2) <= 1
    assert all(task().is_covered(response) for response in ["", "</answer>", "<pad> a"])
    assert not any(half.is_covered(response) for response in ["", "</answer>", "<pad> a"])


def test_covered_words_are_nested_and_never_none() -> None:
    """More coverage adds words and takes none away; six letters begin the responses of exact."""
    shares = (0.01, 0.2, 0.5, 0.8, 1.0)
    sets = [covered_words(Exact().demonstrations, share) for share in shares]
    assert [len(words) for words in sets] == [1, 1, 3, 5, 6]
    assert sets[-1] == set("abcdef")
    for fewer, more in pairwise(sets):
        assert fewer <= more
