"""Gradient steps: the schedule is that of transformers, and gradients add up, clip and diverge."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.models import same, weights

from methods.base import Diverged
from methods.core.models import distributed
from methods.core.models.policy import ModelPolicy
from methods.core.training.context import Context
from methods.core.training.memory import StepTooLargeError
from methods.core.training.optimization import Optimization, TrainedModel

MakeContext = Callable[..., Context]


def loss_of(policy: ModelPolicy, token: int) -> torch.Tensor:
    """Return the negative log-probability of a token after another."""
    logits = policy.model(input_ids=torch.tensor([[3, token]])).logits
    return -logits[0, 0].log_softmax(-1)[token]


def start(context: Context, steps: int = 4, **options: float) -> tuple[ModelPolicy, Optimization]:
    policy = context.start()
    trained = {"policy": TrainedModel(policy.model, 1e-2)}
    return policy, Optimization(context, trained, steps, **options)


def test_the_schedule_is_that_of_transformers(make_context: MakeContext) -> None:
    from transformers import Trainer, TrainingArguments

    context = make_context()
    policy, optimization = start(context, 20, warmup=0.2)
    arguments = TrainingArguments(
        **context.trainer_arguments(policy.model), learning_rate=1e-2, warmup_steps=4, max_steps=20
    )
    trainer = Trainer(policy.model, arguments)
    trainer.create_optimizer_and_scheduler(20)
    for _ in range(20):
        assert optimization.learning_rate() == pytest.approx(trainer.lr_scheduler.get_last_lr()[0])
        optimization.backward(loss_of(policy, 4))
        optimization.step()
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    assert optimization.learning_rate() == 0


def test_steps_are_those_of_adamw_without_weight_decay(make_context: MakeContext) -> None:
    policy, optimization = start(make_context(), max_grad_norm=0.5)
    other = make_context().start()
    plain = torch.optim.AdamW(other.model.parameters(), lr=1e-2, weight_decay=0.0)
    norms = []
    for step in range(4):
        optimization.backward(loss_of(policy, 4 + step))
        optimization.step()
        plain.param_groups[0]["lr"] = 1e-2 * (1 - step / 4)
        loss_of(other, 4 + step).backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(other.model.parameters(), 0.5)))
        plain.step()
        plain.zero_grad()
    for a, b in zip(weights(policy), weights(other), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    assert min(norms) > 0.5
    # The mean norm before clipping, since the last call.
    shown = optimization.gradient_norms()
    assert shown == {"policy_gradient_norm": pytest.approx(sum(norms) / 4, rel=1e-4)}


def test_losses_before_a_step_add_up(make_context: MakeContext) -> None:
    (together, first), (apart, second) = (start(make_context()) for _ in range(2))
    first.backward(loss_of(together, 4) + 2 * loss_of(together, 5))
    second.backward(loss_of(apart, 4))
    second.backward(2 * loss_of(apart, 5))
    first.step()
    second.step()
    for a, b in zip(weights(together), weights(apart), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_diverges(make_context: MakeContext, number: float) -> None:
    policy, optimization = start(make_context())
    for factor in (1.0, number, 1.0):
        optimization.backward(factor * loss_of(policy, 4))
        optimization.step()
    with pytest.raises(Diverged, match=r"the gradient norm of the policy is (nan|inf)"):
        optimization.gradient_norms()


def test_with_several_processes_the_first_out_of_memory_ends_the_run(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, optimization = start(make_context())
    optimization.use_smaller_micro_batches(8)
    monkeypatch.setattr(distributed, "is_distributed", lambda: True)
    with pytest.raises(StepTooLargeError, match="8192 tokens; with several processes, the first"):
        optimization.use_smaller_micro_batches(8)


def test_a_training_continues_from_its_state(make_context: MakeContext, tmp_path: Path) -> None:
    def train(policy: ModelPolicy, optimization: Optimization, tokens: range) -> None:
        for token in tokens:
            optimization.backward(loss_of(policy, token))
            optimization.step()

    policy, optimization = start(make_context(), warmup=0.5)
    train(policy, optimization, range(4, 6))
    file = tmp_path / "state.pt"
    torch.save(optimization.state_dict(), file)
    resumed, fresh = start(make_context(), warmup=0.5)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    train(policy, optimization, range(6, 8))
    train(resumed, fresh, range(6, 8))
    assert same(weights(policy), weights(resumed))
    assert fresh.learning_rate() == optimization.learning_rate()
