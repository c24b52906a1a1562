"""The loop of online methods: its minibatches, their parts, and what it samples besides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from helpers.memory import ActivationWatch, limit_memory
from helpers.models import PROMPTS, weights
from helpers.online import starts_with_a

from methods.base import Context
from methods.core.models import distributed
from methods.core.models.loading import Loading
from methods.core.models.sampling import SamplingParams
from methods.core.online.run import OnlineRun
from methods.core.training.memory import StepTooLargeError
from methods.core.training.optimization import TrainedModel
from methods.dapo import DAPO
from methods.dr_grpo import DrGRPO
from methods.gspo import GSPO
from methods.ppo import PPO
from methods.rebel import REBEL
from methods.reinforce_pp import ReinforcePP
from methods.toolkit.online import Online

LONG = SamplingParams(max_new_tokens=12)
SMALL = {"batch_size": 24, "episodes": 48, "minibatches": 2, "learning_rate": 1e-3}
MakeContext = Callable[..., Context]


def lengths(prompts: object, responses: list[str]) -> list[float]:
    """A reward that almost no two responses share."""
    return [len(r.split()) / 12 + starts_with_a(None, [r])[0] for r in responses]


@pytest.mark.parametrize("group", [1, 2, 4])
def test_an_epoch_has_every_row_once_and_groups_stay_together(
    make_context: MakeContext, group: int
) -> None:
    context = make_context(sampling=LONG, loading=Loading(micro_batch_tokens=50))
    run = OnlineRun(context, replace(ReinforcePP(), **SMALL, epochs=1))
    rollout = run.collect()
    rollout = replace(rollout, baselines=torch.arange(24.0))
    parts = [part.baselines.view(-1, group) for part in run.minibatches(rollout, group=group)]
    assert len(parts) > 4
    rows = torch.cat(parts)
    assert torch.equal(rows, rows[:, :1] + torch.arange(group))
    assert sorted(rows.flatten().tolist()) == list(range(24))


@pytest.mark.parametrize("method", [ReinforcePP(), GSPO(), DrGRPO(), DAPO(), REBEL()])
def test_a_minibatch_in_parts_has_the_same_gradient(
    make_context: MakeContext, method: Online
) -> None:
    """For means over tokens, over responses, by a constant length, and over pairs."""
    method = replace(method, **SMALL)  # type: ignore[arg-type]
    whole = make_context(sampling=LONG, reward=lengths)
    expected = weights(method.train(whole))  # type: ignore[arg-type]
    parts = make_context(sampling=LONG, reward=lengths, loading=Loading(micro_batch_tokens=60))
    found = weights(method.train(parts))  # type: ignore[arg-type]
    assert max(float((a - b).abs().max()) for a, b in zip(expected, found, strict=True)) < 2e-5
    for one, other in zip(whole.curves, parts.curves, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-3, abs=1e-5)
        assert other["policy_gradient_norm"] == pytest.approx(one["policy_gradient_norm"], rel=1e-3)


@pytest.mark.parametrize("method", [ReinforcePP(), DAPO(), REBEL(), PPO()])
def test_a_step_that_runs_out_of_memory_is_repeated_in_smaller_parts(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch, method: Online
) -> None:
    method = replace(method, **SMALL, save_every=1)  # type: ignore[arg-type]
    whole, parts = (make_context(sampling=LONG, reward=lengths) for _ in range(2))
    expected = weights(method.train(whole))  # type: ignore[arg-type]
    limit_memory(monkeypatch, 150)
    found = weights(method.train(parts))  # type: ignore[arg-type]
    assert max(float((a - b).abs().max()) for a, b in zip(expected, found, strict=True)) < 2e-5
    assert parts.usage.micro_batch_halvings >= 6 and whole.usage.micro_batch_halvings == 0
    for one, other in zip(whole.curves, parts.curves, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("method", [ReinforcePP(), REBEL(), PPO()])
def test_a_backward_pass_that_runs_out_of_memory_leaves_nothing_behind(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch, method: Online
) -> None:
    """What a model saves for its gradient is gone when it reads the next part."""
    method = replace(method, **SMALL)  # type: ignore[arg-type]
    whole, parts = (make_context(sampling=LONG, reward=lengths) for _ in range(2))
    expected = weights(method.train(whole))  # type: ignore[arg-type]
    watch = ActivationWatch(monkeypatch, 150)
    found = weights(method.train(parts))  # type: ignore[arg-type]
    assert parts.usage.micro_batch_halvings == watch.failures > 0
    assert watch.most_saved > 0 and watch.left_behind == 0
    assert max(float((a - b).abs().max()) for a, b in zip(expected, found, strict=True)) < 2e-5
    for one, other in zip(whole.curves, parts.curves, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-3, abs=1e-5)


def test_losses_may_come_one_by_one(make_context: MakeContext) -> None:
    """Each has its own graph, as the losses of policy and critic have."""
    gradients = []
    for together in (True, False):
        context = make_context(sampling=LONG, reward=lengths)
        critic = TrainedModel(context.value_model("zero"), 1e-3)
        run = OnlineRun(context, replace(PPO(), **SMALL, epochs=1), critic=critic)
        part = next(run.minibatches(run.collect()))
        losses = run.logprobs(part).mean(), run.values(part).square().mean()
        for loss in [sum(losses)] if together else losses:
            run.backward(loss)
        models = (run.policy.model, critic.model)
        gradients.append([weight.grad for model in models for weight in model.parameters()])
    assert all((a is None) == (b is None) for a, b in zip(*gradients, strict=True))
    pairs = [(a, b) for a, b in zip(*gradients, strict=True) if a is not None]
    assert all(torch.equal(a, b) for a, b in pairs) and any(a.any() for a, _ in pairs)


def test_a_loss_without_gradient_where_none_is_wanted(make_context: MakeContext) -> None:
    run = OnlineRun(make_context(sampling=LONG), replace(ReinforcePP(), **SMALL, epochs=1))
    part = next(run.minibatches(run.collect()))
    with torch.no_grad():
        assert not run.logprobs(part).requires_grad


def test_a_row_that_does_not_fit_says_what_would(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_memory(monkeypatch, 10)
    with pytest.raises(StepTooLargeError, match="out of memory with a micro-batch of"):
        replace(ReinforcePP(), **SMALL).train(make_context(sampling=LONG))  # type: ignore[arg-type]


def test_the_rows_of_two_processes_make_up_a_minibatch(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean of what the processes compute is the mean over the minibatch, even of 3 groups."""
    run = OnlineRun(
        make_context(sampling=LONG),
        DrGRPO(group=4, batch_size=12, episodes=12, minibatches=3, epochs=1),
    )
    rollout = replace(run.collect(4), baselines=torch.arange(12.0))
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    seen, means = [], []
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        # No step: it would average the gradients of processes that are not there.
        monkeypatch.setattr(run._optimization, "step", lambda: None)
        for part in run.minibatches(rollout, "responses", group=4):
            means.append(float(part.baselines.mean()) * run._learning.weight)
            seen.append(run._learning.weight > 0)
    # One group in each minibatch: the second process has none, and joins in with a weight of 0.
    assert seen == [True] * 3 + [False] * 3
    assert sum(means) / 2 == pytest.approx(1.5 + 5.5 + 9.5)


def test_fewer_groups_than_minibatches_make_fewer_steps(make_context: MakeContext) -> None:
    run = OnlineRun(make_context(), replace(ReinforcePP(), **SMALL, epochs=1))
    rollout = run.collect()
    assert len(list(run.minibatches(rollout.rows([0])))) == 1


def test_baselines_are_rewards_of_other_responses(make_context: MakeContext) -> None:
    seen: list[tuple[list[str], list[str]]] = []

    def reward(prompts: list[str], responses: list[str]) -> list[float]:
        seen.append((list(prompts), responses))
        return starts_with_a(prompts, responses)

    context = make_context(sampling=LONG, reward=reward)
    run = OnlineRun(context, DrGRPO(batch_size=24, episodes=24))
    prompts = run.prompts(2)
    assert len(prompts) == 12
    rollout = run.collect(prompts=prompts)
    baselines = run.baselines(prompts)
    greedy = run.baselines(prompts, replace(LONG, temperature=0.0))
    (first, responses), (second, others), (third, likeliest) = seen
    assert first == second == third == prompts
    assert responses == context.reference.decode(rollout.batch) != others
    assert baselines.tolist() == starts_with_a(None, others)
    assert greedy.tolist() == starts_with_a(None, likeliest)
    # The most likely response depends on the prompt alone.
    assert len(set(zip(prompts, likeliest, strict=True))) == len(PROMPTS)


def test_the_reference_can_be_sampled_too(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context(sampling=LONG)
    run = OnlineRun(context, DrGRPO(batch_size=24, episodes=24))
    for weight in run.policy.model.parameters():
        weight.data *= 1.5
    rollout = run.collect_reference(run.prompts(2))
    assert torch.allclose(rollout.logprobs, rollout.reference_logprobs, atol=1e-4)
    policy = run.collect()
    assert not torch.allclose(policy.logprobs, policy.reference_logprobs, atol=1e-1)
