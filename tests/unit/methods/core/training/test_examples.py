"""Labeled responses as tokens: their order, their reference, and their split into parts."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
import torch
from helpers.models import PROMPTS
from helpers.offline import text

from methods.core.models.loading import Loading
from methods.core.models.policy import ModelPolicy
from methods.core.training.context import Context
from methods.core.training.examples import (
    PLAIN,
    Example,
    Examples,
    local_rows,
    micro_batches,
    training_rows,
)
from methods.core.training.trainer import Schedule

MakeContext = Callable[..., Context]


def some_examples(count: int) -> list[Example]:
    random = Random(0)
    return [
        Example(
            random.choice(PROMPTS),
            (text(random, random.randint(1, 4)), text(random, random.randint(1, 4))),
        )
        for _ in range(count)
    ]


def test_rows_come_pass_after_pass_in_another_order(make_context: MakeContext) -> None:
    lengths, schedule = [3] * 10, Schedule(examples=25, batch_size=5)
    steps = training_rows(make_context(), schedule, lengths)
    assert [len(rows) for rows in steps] == [5] * 5
    order = [row for rows in steps for row in rows]
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert order[:10] != order[10:20]
    assert steps == training_rows(make_context(), schedule, lengths)
    assert steps != training_rows(make_context(seed=1), schedule, lengths)


def test_the_budget_cuts_the_rows_to_whole_batches(make_context: MakeContext) -> None:
    schedule = Schedule(examples=100, batch_size=5)
    assert len(training_rows(make_context(budget=13), schedule, [3] * 10)) == 2
    assert training_rows(make_context(budget=0), schedule, [3] * 10) == []


def test_rows_of_similar_length_share_a_batch_where_that_is_asked_for(
    make_context: MakeContext,
) -> None:
    context = make_context(loading=Loading(group_by_length=True))
    lengths = list(range(40))
    steps = training_rows(context, Schedule(examples=40, batch_size=4), lengths)
    assert sorted(row for rows in steps for row in rows) == list(range(40))
    assert all(max(rows) - min(rows) == 3 for rows in steps)


def test_processes_share_the_rows_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    shares = []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        shares.append(local_rows([5, 3, 8, 1]))
    assert shares == [[5, 3], [8, 1]]


def test_a_batch_that_fits_stays_in_order_and_another_is_split_by_length() -> None:
    lengths = [9, 1, 5, 3, 7]
    assert micro_batches([4, 0, 2], lengths, 3) == [[4, 0, 2]]
    assert micro_batches([0, 1, 2, 3, 4], lengths, 2) == [[1, 3], [2, 4], [0]]


def test_a_batch_has_all_first_responses_then_all_second_ones(make_context: MakeContext) -> None:
    context = make_context()
    policy = context.start()
    data = Examples(context, policy, [Example("a", ("b c", "d")), Example("a b c", ("c", "a a a"))])
    batch = data.batch([1, 0])
    texts = [policy.tokenizer.decode(ids) for ids in batch.responses]
    assert [shown.replace(policy.tokenizer.pad_token, "").strip() for shown in texts] == [
        "c",
        "b c",
        "a a a",
        "d",
    ]
    prompts = [len(policy.tokenizer(shown)["input_ids"]) for shown in ("a", "a b c")]
    # A prompt also has the three tokens of its tags.
    assert data.lengths() == [prompts[0] + 3 + 2, prompts[1] + 3 + 3]


def test_prompts_get_the_responses_of_other_rows(make_context: MakeContext) -> None:
    context = make_context()
    policy = context.start()
    examples = [Example("a", (response,)) for response in ("b", "c", "d")]
    batch = Examples(context, policy, examples).unrelated([2, 0, 1], [1, 2, 0])
    assert policy.tokenizer.batch_decode(batch.responses) == ["c", "d", "b"]


def test_the_reference_is_computed_once_and_for_the_rows_that_are_used(
    make_context: MakeContext, reference: ModelPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, examples = make_context(), some_examples(30)
    policy = context.start()
    monkeypatch.setattr("methods.core.training.examples.REFERENCE_TOKENS", 60)
    seen: list[torch.Size] = []
    policy.model.register_forward_pre_hook(
        lambda _, __, inputs: seen.append(inputs["input_ids"].shape), with_kwargs=True
    )
    data = Examples(context, policy, examples)
    data.compute_reference(policy, [7, 3, 7, 12, 3, 29, 0])
    # Five pairs, in more than one part.
    assert sum(rows for rows, _ in seen) == 10 and len(seen) > 1
    assert all(rows * tokens <= 60 for rows, tokens in seen)
    rows = [12, 0, 29]
    logprobs = data.reference_logprobs(rows)
    assert logprobs.shape == data.batch(rows).responses.shape
    responses = [examples[row].responses[place] for place in range(2) for row in rows]
    prompts = [examples[row].prompt for row in rows] * 2
    expected = torch.tensor(reference.logprobs(prompts, responses, PLAIN))
    assert torch.allclose(logprobs.sum(1), expected, atol=1e-5)
    with pytest.raises(KeyError):
        data.reference_logprobs([1])
    assert context.usage.train_tokens == 0
