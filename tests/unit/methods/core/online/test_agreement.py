"""Sampler against trainer: when they disagree, and what corrects it when they nearly agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from helpers.models import weights
from helpers.online import starts_with_a

from methods.base import Context
from methods.core.models.engines.base import Engine, Request
from methods.core.models.engines.static import Static
from methods.core.models.loading import Loading, Lora
from methods.core.models.sampling import SamplingParams
from methods.core.online.agreement import (
    CAP,
    Agreement,
    SamplingGap,
    importance_weights,
    sampling_gap,
    weighted,
)
from methods.core.online.run import OnlineRun
from methods.dr_grpo import DrGRPO
from methods.reinforce_pp import ReinforcePP

LONG = SamplingParams(max_new_tokens=12)
SMALL = {"batch_size": 24, "episodes": 72, "minibatches": 2, "learning_rate": 1e-3}
MakeContext = Callable[..., Context]


class Distorted(Engine):
    """Samples from the model, but reports other log-probabilities."""

    exact: ClassVar = False
    schedules: ClassVar = False

    def __init__(self, factor: float) -> None:
        self._inner, self._factor = Static(), factor

    def respond(self, model: Any, input_ids: Any, request: Request) -> Any:
        responses, logprobs = self._inner.respond(model, input_ids, request)
        return responses, logprobs * self._factor


class Stale(Static):
    """Samples from the weights that the model had at first."""

    def __init__(self) -> None:
        super().__init__()
        self._first: dict[str, torch.Tensor] = {}

    def respond(self, model: Any, input_ids: Any, request: Request) -> Any:
        self._first = self._first or {n: w.clone() for n, w in model.state_dict().items()}
        present = {name: weight.clone() for name, weight in model.state_dict().items()}
        model.load_state_dict(self._first)
        sampled = super().respond(model, input_ids, request)
        model.load_state_dict(present)
        return sampled


def run_by(context: Context, engine: Engine | None, method: Any = None) -> OnlineRun:
    """Return a run whose policy an engine samples."""
    run = OnlineRun(context, method or DrGRPO(batch_size=24, episodes=72))
    if engine is not None:
        run.policy.engines._engine, run.policy.engines._is_chosen = engine, True
    return run


def test_the_gap_is_over_tokens_and_not_over_responses() -> None:
    mask = torch.tensor([[True, True, True], [True, False, False]])
    sampled = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, 0.0, 0.0]])
    scored = sampled + torch.tensor([[0.1, -0.3, 0.0], [0.2, 9.0, 9.0]])
    gap = sampling_gap(sampled, scored, mask)
    assert gap == pytest.approx((0.15, 0.3))
    assert list(gap.metrics()) == ["sampling_gap_mean", "sampling_gap_max"]


def test_the_loop_is_checked_before_the_first_update(make_context: MakeContext) -> None:
    run = OnlineRun(make_context(sampling=LONG), DrGRPO(batch_size=24, episodes=24))
    rollout = run.collect()
    with pytest.raises(RuntimeError, match="Sampling and scoring differ"):
        next_part = next(run.minibatches(replace(rollout, logprobs=rollout.logprobs + 0.01)))
        run.logprobs(next_part)


def test_weights_in_bf16_are_rounded_more(make_context: MakeContext) -> None:
    loading = Loading(Lora(rank=2), dtype="bfloat16")
    run = OnlineRun(make_context(sampling=LONG, loading=loading), DrGRPO(batch_size=24))
    run.logprobs(next(run.minibatches(run.collect())))
    assert 1e-3 < run._agreement.metrics["sampling_gap_mean"] < 0.1


@pytest.fixture(params=[False, True])
def tf32(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether GPUs multiply in TF32."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = request.param
    yield request.param
    torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_tf32_is_rounded_more_on_a_gpu(make_context: MakeContext, device: str, tf32: bool) -> None:
    agreement = Agreement(make_context().start(), LONG, bf16=False)
    on_device: Any = SimpleNamespace(
        model=SimpleNamespace(device=torch.device(device)), engine=lambda _: None
    )
    agreement._policy = on_device
    gap = SamplingGap(3e-3, 0.1)
    if device == "cuda" and tf32:
        agreement._check(gap, 0)
        gap = SamplingGap(0.02, 0.1)
    with pytest.raises(RuntimeError, match="Sampling and scoring differ"):
        agreement._check(gap, 0)


def test_the_policy_must_start_at_the_reference(make_context: MakeContext) -> None:
    run = OnlineRun(make_context(sampling=LONG), DrGRPO(batch_size=24, episodes=24))
    for weight in run.policy.model.parameters():
        weight.data *= 1.1
    rollout = run.collect()
    with pytest.raises(RuntimeError, match="must be the same model"):
        run.logprobs(next(run.minibatches(rollout)))


def test_an_engine_with_old_weights_is_found_at_the_next_update(make_context: MakeContext) -> None:
    run = run_by(make_context(sampling=LONG), Stale())
    run.collect()
    for weight in run.policy.model.parameters():
        weight.data *= 1.01
    with pytest.raises(RuntimeError, match="Stale samples with other weights") as error:
        run.collect()
    assert "loading.sampler to loop" in str(error.value)


def test_an_engine_that_reports_other_probabilities_is_found(make_context: MakeContext) -> None:
    run_by(make_context(sampling=LONG), Distorted(1.0)).collect()
    with pytest.raises(RuntimeError, match=r"in update 1, .* Distorted samples"):
        run_by(make_context(sampling=LONG), Distorted(1.1)).collect()


def test_importance_weights_make_another_sampler_unbiased() -> None:
    """The mean of w f under the sampler is that of f under the trainer, where no weight is cut."""
    torch.manual_seed(0)
    sampler, trainer = torch.randn(2, 50).mul(0.1).log_softmax(1)
    values = torch.randn(50)
    found = (sampler.exp() * importance_weights(trainer, sampler) * values).sum()
    assert float(found) == pytest.approx(float((trainer.exp() * values).sum()), abs=1e-6)
    far = importance_weights(torch.tensor([-1.0, -9.0]), torch.tensor([-4.0, -1.0]))
    assert far.tolist() == pytest.approx([CAP, math.exp(-8)])


def test_the_weights_scale_each_tokens_loss(make_context: MakeContext) -> None:
    run = run_by(make_context(sampling=LONG), Distorted(1 + 1e-4))
    rollout = run.collect()
    assert not torch.equal(rollout.logprobs, rollout.sampler_logprobs)
    rollout = replace(rollout, advantages=torch.randn(rollout.mask.shape))
    ratios = (rollout.logprobs - rollout.sampler_logprobs).exp()
    assert torch.allclose(weighted(rollout).advantages, rollout.advantages * ratios)
    part = next(run.minibatches(rollout))
    longest = part.mask.shape[1]
    [row] = [
        r
        for r in range(24)
        if torch.equal(rollout.logprobs[r, :longest], part.logprobs[0])
        and float(rollout.logprobs[r].sum()) == float(part.logprobs[0].sum())
    ][:1]
    assert torch.allclose(part.advantages[0], (rollout.advantages * ratios)[row, :longest])


@pytest.mark.parametrize("sampler", ["static", "continuous"])
def test_a_training_by_an_engine_learns_and_logs_the_gap(
    make_context: MakeContext, sampler: str
) -> None:
    context = make_context(
        sampling=SamplingParams(max_new_tokens=3),
        loading=Loading(sampler=sampler),  # type: ignore[arg-type]
        reward=starts_with_a,
    )
    method = replace(ReinforcePP(kl_coef=0.0), **SMALL)  # type: ignore[arg-type]
    method.train(context)
    assert [0 <= point["sampling_gap_mean"] < 1e-5 for point in context.curves] == [True] * 3
    assert context.usage.responses_sampled == 72


def test_the_static_engine_trains_as_the_loop_does(make_context: MakeContext) -> None:
    method = replace(ReinforcePP(), **SMALL)  # type: ignore[arg-type]
    policies = [
        method.train(make_context(sampling=LONG, loading=Loading(sampler=sampler)))  # type: ignore[arg-type]
        for sampler in ("loop", "static")
    ]
    first, second = map(weights, policies)  # type: ignore[arg-type]
    assert max(float((a - b).abs().max()) for a, b in zip(first, second, strict=True)) < 1e-4


def test_the_loop_logs_the_gap_once(make_context: MakeContext) -> None:
    context = make_context(sampling=LONG)
    replace(ReinforcePP(), **SMALL).train(context)  # type: ignore[arg-type]
    assert ["sampling_gap_mean" in point for point in context.curves] == [True, False, False]
