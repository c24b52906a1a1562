"""The trainer of losses on labeled responses: micro-batches, references, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import pytest
import torch
from helpers.memory import limit_memory
from helpers.models import PROMPTS, same, weights
from helpers.offline import SHORT, SIZE, STEPS, text

from methods.base import Diverged
from methods.bco import BCO
from methods.core.feedback import Label, Pair, Unpaired
from methods.core.models.batch import Batch
from methods.core.models.loading import Loading
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.core.training.context import Context
from methods.core.training.examples import PLAIN
from methods.core.training.optimization import Optimization
from methods.core.training.pairwise import PairLogprobs, fit_pairs
from methods.core.training.trainer import Schedule
from methods.dpo import DPO
from methods.hypo import HyPO
from methods.kto import KTO
from methods.toolkit.offline import PairLoss, UnpairedLoss
from methods.tr_dpo import TRDPO
from methods.wpo import WPO

MakeContext = Callable[..., Context]
SCHEDULE = Schedule(1e-3, STEPS * SIZE, SIZE)


def some_pairs(count: int = 100) -> list[Label]:
    random = Random(0)
    texts = [[text(random, random.randint(1, 5)) for _ in range(2)] for _ in range(count)]
    return [Pair(random.choice(PROMPTS), *pair) for pair in texts]


def some_unpaired(count: int = 100) -> list[Label]:
    return [
        Unpaired(pair.prompt, pair.chosen, number % 3 == 0)
        for number, pair in enumerate(some_pairs(count))
        if isinstance(pair, Pair)
    ]


def dpo_loss(logprobs: PairLogprobs) -> torch.Tensor:
    return -torch.nn.functional.logsigmoid(0.5 * logprobs.margin)


@pytest.mark.parametrize("method", [DPO(**SHORT), WPO(**SHORT), KTO(**SHORT), BCO(**SHORT)])
def test_a_batch_that_is_split_has_the_same_gradient(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch, method: PairLoss | UnpairedLoss
) -> None:
    labels = some_unpaired() if method.feedback == "unpaired" else some_pairs()
    whole = make_context(labels=labels)
    split = make_context(labels=labels, loading=Loading(micro_batch_tokens=60))
    expected = method.train(whole)
    sizes: list[int] = []
    start = Context.start

    def watched(context: Context) -> ModelPolicy:
        policy = start(context)
        policy.model.register_forward_pre_hook(
            lambda _, __, inputs: sizes.append(inputs["input_ids"].numel()), with_kwargs=True
        )
        return policy

    monkeypatch.setattr(Context, "start", watched)
    trained = method.train(split)
    # All passes but the first, in which the policy is still the reference. Prompts and responses
    # are padded apart, so a part may have somewhat more tokens than its rows.
    assert len(sizes) > 2 * STEPS and max(sizes[1:]) < 1.5 * 60
    assert isinstance(trained, ModelPolicy) and isinstance(expected, ModelPolicy)
    for a, b in zip(weights(trained), weights(expected), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    for point, other in zip(split.curves, whole.curves, strict=True):
        assert point == pytest.approx(other, abs=1e-4)
    assert split.usage.train_tokens == whole.usage.train_tokens


@pytest.mark.parametrize(
    "method", [DPO(**SHORT), BCO(**SHORT), TRDPO(**SHORT), HyPO(**SHORT), KTO(**SHORT)]
)
def test_a_step_that_runs_out_of_memory_is_repeated_in_smaller_parts(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch, method: PairLoss | UnpairedLoss
) -> None:
    labels = some_unpaired() if method.feedback == "unpaired" else some_pairs()
    whole, split = (make_context(labels=labels) for _ in range(2))
    expected = method.train(whole)
    limit_memory(monkeypatch, 150)
    trained = method.train(split)
    assert isinstance(trained, ModelPolicy) and isinstance(expected, ModelPolicy)
    for a, b in zip(weights(trained), weights(expected), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    for point, other in zip(split.curves, whole.curves, strict=True):
        assert point == pytest.approx(other, abs=1e-4)
    assert split.usage.micro_batch_halvings >= 6 and whole.usage.micro_batch_halvings == 0


def test_the_log_shows_the_means_since_the_last_one(
    make_context: MakeContext, reference: ModelPolicy
) -> None:
    pairs = some_pairs(SIZE)
    context = make_context(labels=pairs)
    fit_pairs(context, dpo_loss, Schedule(1e-12, 12 * SIZE, SIZE))
    assert [point["step"] for point in context.curves] == [10 * SIZE, 12 * SIZE]
    prompts, chosen = [p.prompt for p in pairs], [p.chosen for p in pairs]
    logp = sum(reference.logprobs(prompts, chosen, PLAIN)) / SIZE
    for point in context.curves:
        assert point["loss"] == pytest.approx(math.log(2), abs=1e-5)
        assert point["logratio_margin"] == pytest.approx(0, abs=1e-4)
        assert point["chosen_logp"] == pytest.approx(logp, abs=1e-4)
        assert point["policy_gradient_norm"] > 0


def test_checkpoints_are_kept_and_a_budget_of_0_changes_nothing(make_context: MakeContext) -> None:
    context = make_context(checkpoints=2)
    policy = fit_pairs(context, dpo_loss, SCHEDULE)
    assert len(list((context.workdir / "checkpoints").iterdir())) == 2
    assert not policy.model.training
    start = make_context(budget=0)
    assert same(weights(fit_pairs(start, dpo_loss, SCHEDULE)), weights(start.start()))
    assert start.usage.train_sequences == 0


@pytest.mark.parametrize("shape", [lambda of: of.mean(), lambda of: of.unsqueeze(1)])
def test_a_loss_of_another_shape_is_refused(
    make_context: MakeContext, shape: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    message = r"the shape of the loss is .*; it must be \[16\], one value for each row"
    with pytest.raises(ValueError, match=message):
        fit_pairs(make_context(), lambda logprobs: shape(dpo_loss(logprobs)), SCHEDULE)


def test_a_loss_that_is_not_finite_diverges(make_context: MakeContext) -> None:
    with pytest.raises(Diverged):
        fit_pairs(make_context(), lambda p: (p.margin - 1e9).sqrt(), SCHEDULE)


class Uniform:
    """A reference that gives every token log-probability -1, and counts the steps."""

    def __init__(self, policy: ModelPolicy) -> None:
        self.policy, self.steps = policy, list[int]()

    def logprobs(self, batch: Batch) -> torch.Tensor:
        return -batch.response_mask.float()

    def after_step(self, step: int) -> None:
        self.steps.append(step)


def test_a_moving_reference_replaces_the_sft_policy(make_context: MakeContext) -> None:
    made: list[Uniform] = []

    def reference(policy: ModelPolicy) -> Uniform:
        made.append(Uniform(policy))
        return made[-1]

    def loss(logprobs: PairLogprobs) -> torch.Tensor:
        assert torch.equal(logprobs.reference_chosen, -logprobs.chosen_tokens.lengths.float())
        return dpo_loss(logprobs)

    policy = fit_pairs(make_context(labels=some_pairs()), loss, SCHEDULE, reference=reference)
    [uniform] = made
    assert uniform.policy is policy and uniform.steps == list(range(1, STEPS + 1))


def test_a_regularizer_is_added_to_the_loss(make_context: MakeContext) -> None:
    """A second loss on the same pairs, computed by the regularizer, doubles the gradient."""
    pairs, seen = some_pairs(SIZE), list[tuple[list[str], int]]()

    def regularizer(
        policy: ModelPolicy, prompts: Sequence[str], step: int, most_tokens: int
    ) -> Iterator[torch.Tensor]:
        seen.append((sorted(prompts), step))
        chosen = [pair.chosen for pair in pairs]
        [(_, batch)] = policy.batches([pair.prompt for pair in pairs], chosen)
        for rows in (range(5), range(5, SIZE)):
            part = batch.rows(rows).trimmed()
            yield -token_logprobs(policy.model, part, SamplingParams()).sum() / SIZE

    both, twice = make_context(labels=pairs), make_context(labels=pairs)
    schedule = Schedule(1e-3, 3 * SIZE, SIZE)
    trained = fit_pairs(both, lambda p: -p.chosen, schedule, regularizer=regularizer)
    expected = fit_pairs(twice, lambda p: -2 * p.chosen, schedule)
    for a, b in zip(weights(trained), weights(expected), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    prompts = sorted(pair.prompt for pair in pairs)
    assert seen == [(prompts, 1), (prompts, 2), (prompts, 3)]


def test_only_the_forward_pass_of_a_regularizer_is_in_the_precision_of_the_training(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, backward = [], []

    def regularizer(policy: ModelPolicy, *_: Any) -> Iterator[torch.Tensor]:
        for weight in list(policy.model.parameters())[:2]:
            forward.append(torch.is_autocast_enabled("cpu"))
            added = weight.sum()
            added.register_hook(lambda _: backward.append(torch.is_autocast_enabled("cpu")))
            yield added

    bf16 = torch.autocast("cpu", torch.bfloat16)
    monkeypatch.setattr(Optimization, "autocast", lambda _: bf16)
    fit_pairs(make_context(), dpo_loss, Schedule(1e-3, 1, 1), regularizer=regularizer)
    assert forward == [True, True] and backward == [False, False]


def test_token_logprobs_have_the_lengths_and_the_collisions(
    make_context: MakeContext, reference: ModelPolicy
) -> None:
    """At the start, policy and reference agree token by token."""
    seen: list[Any] = []

    def loss(logprobs: PairLogprobs) -> torch.Tensor:
        seen.append(logprobs)
        return dpo_loss(logprobs)

    context = make_context(labels=[Pair("a", "a b c", "d </answer>")])
    fit_pairs(context, loss, Schedule(1e-3, 1, 1), collision=True)
    [logprobs] = seen
    tokens, shorter = logprobs.chosen_tokens, logprobs.rejected_tokens
    assert tokens.lengths.tolist() == [3] and shorter.lengths.tolist() == [2]
    assert torch.allclose(tokens.policy, tokens.reference, atol=1e-5)
    [(_, batch)] = reference.batches(["a"], ["d </answer>"])
    vocabulary = reference.next_token_logprobs(batch, PLAIN)
    expected = (2 * vocabulary).exp().sum(2).log()
    assert torch.allclose(shorter.collision[:, :2], expected, atol=1e-5)
    assert not shorter.collision.requires_grad and float(shorter.collision[0, 2]) == 0
