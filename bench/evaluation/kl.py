"""Estimates of the sequence KL to the SFT policy, in nats.

The end token is part of the sequence; responses that are cut off have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

from methods.core.models.batch import Batch
from methods.core.models.logprobs import over_vocabulary
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams

if TYPE_CHECKING:
    from torch import Tensor

# The fewest samples of the pool per sample of best of n from which ties can be estimated.
SMALLEST_POOL = 16


def model_kl(
    policy: ModelPolicy, reference: ModelPolicy, batch: Batch, sampling: SamplingParams
) -> tuple[list[float], list[float]]:
    """Estimate the KL to the reference, and the entropy, from sampled responses.

    Each estimate is the sum over a response's prefixes of the KL (entropy) of the whole next-token
    distribution. It is unbiased, never negative, and of less variance than the log-ratio of the
    sampled tokens.

    Args:
        policy: The policy that was sampled.
        reference: The SFT policy, with the same tokenizer.
        batch: The very tokens that the policy sampled, [B] responses. Other tokens of the same text
            would bias the estimate.
        sampling: How they were sampled.

    Returns:
        KL and entropy for each response, [B] each (nats).
    """
    import torch

    models = policy.model, reference.model
    with torch.inference_mode():
        columns = over_vocabulary(_kl_and_entropy, batch, sampling, *models)
    kls, entropies = (column.double().sum(1).tolist() for column in columns)
    return kls, entropies


def _kl_and_entropy(logprobs: Tensor, reference_logprobs: Tensor, _: Tensor) -> Tensor:
    """Return the KL and the entropy of next-token distributions, [n, 2], given [n, V] (nats)."""
    import torch

    probabilities = logprobs.exp()
    # Tokens of probability 0 add nothing, also where the reference's is 0.
    ratio = (logprobs - reference_logprobs).masked_fill(probabilities == 0, 0.0)
    log = logprobs.masked_fill(probabilities == 0, 0.0)
    return torch.stack([(probabilities * ratio).sum(-1), -(probabilities * log).sum(-1)], dim=1)


def best_of_n_kl(rewards: Sequence[float], pools: Sequence[ndarray], n: int) -> list[float]:
    """Estimate the KL of best of n to the policy that it samples, from its responses.

    The estimate is log((F^n - F_-^n) / (F - F_-)), with F the share of reference samples of at most
    the response's reward and F_- the share of lower ones; the response itself counts as a sample.
    The usual log n - (n - 1) / n (Stiennon et al., 2020) is an upper bound, which is reached only
    without ties (Beirami et al., 2024). The bias is downward and grows with n over the
    size of the pool: 2% for n = 16 and 256 samples. From fewer samples for its n, the bound is
    returned.

    Args:
        rewards: The reward by which each response was picked, [B].
        pools: For each response, rewards of independent reference samples for its prompt.
        n: The n of best of n.

    Returns:
        [B] (nats).
    """
    kls = []
    for reward, pool in zip(rewards, pools, strict=True):
        if len(pool) < SMALLEST_POOL * n:
            kls.append(float(np.log(n) - (n - 1) / n))
            continue
        size = len(pool) + 1
        at_most = (np.count_nonzero(pool <= reward) + 1) / size
        below = np.count_nonzero(pool < reward) / size
        kls.append(float(np.log((at_most**n - below**n) / (at_most - below))))
    return kls
