"""Embedded tasks: the text that they generate."""

from __future__ import annotations

from random import Random

import pytest

from bench.pipeline.stages.training.tokenizers import make_tokenizer
from bench.tasks.base import Embedded
from bench.tasks.exact import Exact
from bench.tasks.haiku import Haiku
from bench.tasks.polite import Polite
from methods.core.models.text import decode_responses


@pytest.mark.parametrize("task", [Polite(), Haiku(), Exact()], ids=lambda task: task.name)
def test_every_word_is_known_and_every_response_fits(task: Embedded) -> None:
    tokenizer = make_tokenizer(task.words())
    for example in task.corpus(Random(0), 500):
        ids = tokenizer(example.response)["input_ids"]
        assert tokenizer.unk_token_id not in ids + tokenizer(example.prompt)["input_ids"]
        assert decode_responses(tokenizer, [ids]) == [example.response]
        assert len(ids) <= task.max_new_tokens
