"""Whether sampler and trainer agree on the probabilities of the tokens that were sampled.

They differ by rounding, the more in bf16. If they differ by more, the model is sampled with other
weights or settings than it is trained with, and a method would optimize the difference.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from methods.core.models import distributed
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.core.online.rollout import Rollout

if TYPE_CHECKING:
    from torch import Tensor

# The largest mean difference of a token that rounding explains (nats). In bf16, a logit between 16
# and 32 is rounded by up to 0.06. On a model of 135M parameters, rounding made 0.03 to 0.045, a
# temperature wrong by 10% 0.16, a top_k of 20 that scoring does not know 0.15, and weights that are
# one step of 1e-5 behind 0.14. Sums over a response say nothing: they grow with its length.
# In TF32 factors are rounded to 10 bits, and small products may be computed in float32 instead.
# Where one pass is in TF32 and the other is not, a simulation on a CPU made up to 3e-3; none of it
# has been measured on a GPU.
BOUND, BOUND_TF32, BOUND_BF16 = 1e-3, 1e-2, 0.1
# An exact engine is checked on this many rows of each process.
CHECKED_ROWS = 16
# Importance weights are cut here, as the ratios of Yao et al. (2025).
CAP = 2.0


class SamplingGap(NamedTuple):
    """The absolute difference of a token's log-probability between sampler and trainer (nats).

    Attributes:
        mean: Over all sampled tokens.
        largest: Of any of them.
    """

    mean: float
    largest: float

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the training curves."""
        return {"sampling_gap_mean": self.mean, "sampling_gap_max": self.largest}


class Agreement:
    """Checks one training's sampler against its trainer, at every update at which it can.

    Attributes:
        metrics: What was measured since they were last taken.
    """

    def __init__(self, policy: ModelPolicy, sampling: SamplingParams, *, bf16: bool) -> None:
        dtypes = {str(weight.dtype) for weight in policy.model.parameters()}
        self._policy, self._sampling = policy, sampling
        # Quantized weights are multiplied in bf16, too.
        is_quantized = bool(getattr(policy.model, "is_quantized", False))
        self._bf16 = bf16 or is_quantized or "torch.bfloat16" in dtypes
        self._is_started = False
        self.metrics: dict[str, float] = {}

    def take_metrics(self) -> dict[str, float]:
        """Return the metrics, and forget them."""
        metrics, self.metrics = self.metrics, {}
        return metrics

    def check_rollout(self, rollout: Rollout, update: int) -> None:
        """Check new responses of an engine. The plain loop is checked by `check_start`.

        Args:
            rollout: Responses of this process, before the policy is updated.
            update: The number of the update, from 0.

        Raises:
            RuntimeError: Sampler and trainer do not agree.
        """
        engine = self._policy.engine(self._sampling)
        if engine is None:
            return
        if engine.exact:
            batch = rollout.batch.rows(range(min(CHECKED_ROWS, len(rollout.rewards)))).trimmed()
            scored = token_logprobs(self._policy.model, batch, self._sampling)
            rows, columns = scored.shape
            sampled = rollout.logprobs[:rows, :columns]
            gap = sampling_gap(sampled, scored, batch.response_mask)
        else:
            gap = sampling_gap(rollout.sampler_logprobs, rollout.logprobs, rollout.mask)
        self._check(gap, update)

    def check_start(self, part: Rollout, logprobs: Tensor) -> None:
        """Check that before the first update every probability ratio is 1 and every log-ratio 0.

        Args:
            part: Responses of the untrained policy.
            logprobs: Their log-probabilities as the loss computes them, [B, T] (nats).

        Raises:
            RuntimeError: Sampler and trainer do not agree, or the policy is not the reference.
        """
        if self._is_started:
            return
        self._is_started = True
        if self._policy.engine(self._sampling) is None:
            self._check(sampling_gap(part.logprobs, logprobs, part.mask), 0)
        gap = sampling_gap(logprobs, part.reference_logprobs, part.mask)
        if not gap.mean <= self._bound():
            raise RuntimeError(
                "before the first update, a token's log-probabilities under the policy and the "
                f"reference differ by {gap.mean:.2g} nats on average: they must be the same model, "
                "without dropout"
            )

    def _bound(self) -> float:
        """Return the largest mean difference that rounding explains (nats)."""
        import torch

        engine = self._policy.engine(self._sampling)
        on_gpu = self._policy.model.device.type == "cuda"
        coarse = self._bf16 or (on_gpu and engine is not None and not engine.exact)
        if coarse:
            return BOUND_BF16
        return BOUND_TF32 if on_gpu and torch.backends.cuda.matmul.allow_tf32 else BOUND

    def _check(self, gap: SamplingGap, update: int) -> None:
        self.metrics = gap.metrics()
        # Not a number fails too.
        if gap.mean <= self._bound():
            return
        engine = self._policy.engine(self._sampling)
        if engine is None:
            remedy = (
                "rounding can cause it: set loading.dtype to float32. If it stays, this model "
                "gives other probabilities token by token than in one pass, and only methods that "
                "do not sample, such as dpo, can train it"
            )
        else:
            name = type(engine).__name__
            remedy = (
                f"{name} samples with other weights or settings than those that are trained: set "
                "loading.sampler to loop, which samples from the trained model itself"
            )
        raise RuntimeError(
            f"in update {update + 1}, a token's log-probabilities when sampled and when scored "
            f"differ by {gap.mean:.2g} nats on average and by up to {gap.largest:.2g}, where "
            f"rounding explains {self._bound():g} on average. Sampling and scoring differ: {remedy}"
        )


def sampling_gap(sampled: Tensor, scored: Tensor, mask: Tensor) -> SamplingGap:
    """Return how far sampler and trainer are apart, in all processes together.

    Args:
        sampled: Log-probabilities that were taken while sampling, [B, T] (nats).
        scored: Those under the model as it is trained, [B, T] (nats).
        mask: Where the response tokens are, [B, T].
    """
    gaps = (scored.detach().float() - sampled.detach().float()).abs()[mask]
    local = (float(gaps.double().sum()), len(gaps), float(gaps.max()))
    sums, counts, largest = zip(*distributed.all_gather(local), strict=True)
    # The largest of numbers and nan depends on their order.
    total = sum(sums)
    return SamplingGap(total / sum(counts), math.nan if math.isnan(total) else max(largest))


def importance_weights(scored: Tensor, sampled: Tensor, cap: float = CAP) -> Tensor:
    """Return what each token's loss is multiplied by, because another policy sampled it.

    Yao et al. (2025), "Your efficient RL framework secretly brings you off-policy RL training":
    the truncated ratio min(p / q, cap) of the trainer's probability p to the sampler's q.

    Args:
        scored: Log-probabilities under the trainer, before the update, [B, T] (nats).
        sampled: Those under the sampler, [B, T] (nats).
        cap: The largest weight.

    Returns:
        [B, T], 1 where they agree.
    """
    return (scored - sampled).exp().clamp(max=cap)


def weighted(rollout: Rollout) -> Rollout:
    """Return the rollout with its advantages weighted, where its sampler was not exact."""
    if rollout.sampler_logprobs is None or rollout.advantages is None:
        return rollout
    weights = importance_weights(rollout.logprobs, rollout.sampler_logprobs)
    return replace(rollout, advantages=rollout.advantages * weights)
