"""Hybrid preference optimization (HyPO; Song et al., 2024): DPO and the KL of sampled responses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from methods.base import Context, NonNegative, Paper, Policy, Positive
from methods.core.models import distributed
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams, derive_seed
from methods.core.training.examples import micro_batches
from methods.core.training.pairwise import fit_pairs
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class HyPO(PairLoss):
    """Hybrid preference optimization.

    The loss of DPO holds the policy to the reference on the responses of the data only. HyPO adds
    kl_coef times the KL on responses that the policy itself samples, one to each prompt of a batch.
    The gradient of the KL is estimated by that of the log-probabilities, each times its log-ratio
    (Song et al., 2024, algorithm 1).

    Training is measured in sequences: a pair is two, and its sampled response is one more. So with
    the same `examples`, HyPO trains on a third fewer pairs than DPO.

    Attributes:
        beta: As in DPO. A smaller one than DPO's: the KL on samples holds the policy, too.
        kl_coef: KL strength: the coefficient of the KL on sampled responses, lambda in the paper.
    """

    paper: ClassVar = Paper("Song et al., 2024", "https://arxiv.org/abs/2406.01462")
    strength: ClassVar = "kl_coef"
    grid: ClassVar = {"kl_coef": [0.0001, 0.001, 0.003, 0.01, 0.03]}
    expected_failures: ClassVar = {
        "offline_asks_nothing": "its KL is estimated on responses that it samples"
    }

    beta: Positive = 0.1
    kl_coef: NonNegative = 0.003

    def train(self, context: Context) -> Policy:
        def kl(
            policy: ModelPolicy, prompts: Sequence[str], step: int, most_tokens: int
        ) -> Iterator[Tensor]:
            for part in sampled_kl(context, policy, prompts, step, most_tokens):
                yield self.kl_coef * part

        # A pair with its sampled response is three sequences, where DPO has two.
        examples = 2 * min(self.examples, context.budget) // 3
        schedule = replace(self.schedule, examples=examples)
        return fit_pairs(context, self.loss, schedule, regularizer=kl)

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        return -logsigmoid(self.beta * logprobs.margin)


def sampled_kl(
    context: Context, policy: ModelPolicy, prompts: Sequence[str], step: int, most_tokens: int
) -> Iterator[Tensor]:
    """Yield scalars whose gradients together estimate that of the KL to the reference.

    Their values are not the KL.

    Args:
        context: The context of the training.
        policy: The policy, which samples a response to each prompt.
        prompts: Prompts of the batch, in several processes those of this process.
        step: Number of the step.
        most_tokens: The most tokens that go through the policy at once, padding included.
    """
    import torch

    sampling = SamplingParams(max_new_tokens=context.sampling.max_new_tokens)
    rows = distributed.batch_slice(len(prompts) * distributed.world_size())
    seed = derive_seed("hypo", context.seed, step)
    batch, _ = policy.sample(prompts, seed, sampling, rows)
    size = max(1, most_tokens // max(batch.lengths))
    for numbers in micro_batches(range(len(prompts)), batch.lengths, size):
        part = batch.rows(numbers).trimmed()
        logprobs = token_logprobs(policy.model, part, sampling).sum(1)
        with torch.no_grad():
            reference = token_logprobs(context.reference.model, part, sampling).sum(1)
        yield ((logprobs.detach() - reference) * logprobs).sum() / len(prompts)
