"""The sequence KL to the SFT policy, in nats: the end token counts, cut-off responses have none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import Batch, SamplingParams

# Log-probabilities in one table of next tokens.
LARGEST_TABLE = 2**25
# Samples for each of the n of best of n, below which ties in them are not measured.
SMALLEST_POOL = 16


def model_kl(
    policy: ModelPolicy, reference: ModelPolicy, batch: Batch, sampling: SamplingParams
) -> tuple[list[float], list[float]]:
    """Return for each response of the policy an estimate of the KL, and of the entropy.

    The sum over its prefixes of the KL (entropy) of the whole next-token distribution: unbiased,
    never negative, and of less variance than log-ratios of the sampled tokens. batch: the tokens
    that the policy sampled, and no others that give the same text. Both models read them, so they
    must share a tokenizer.
    """
    kls: list[float] = []
    entropies: list[float] = []
    size = max(1, LARGEST_TABLE // (batch.responses.shape[1] * len(policy.tokenizer)))
    for start in range(0, len(batch.ids), size):
        part = batch.rows(slice(start, start + size))
        ours = policy.next_token_logprobs(part, sampling)
        theirs = reference.next_token_logprobs(part, sampling)
        probabilities, mask = ours.exp(), part.response_mask
        # A reference probability of 0 where ours is 0 too adds nothing.
        ratio = (ours - theirs).masked_fill(probabilities == 0, 0.0)
        log = ours.masked_fill(probabilities == 0, 0.0)
        kls += ((probabilities * ratio).sum(-1) * mask).double().sum(1).tolist()
        entropies += (-(probabilities * log).sum(-1) * mask).double().sum(1).tolist()
    return kls, entropies


def best_of_n_kl(rewards: Sequence[float], pools: Sequence[ndarray], n: int) -> list[float]:
    """Return for each response of best of n an estimate of the KL.

    rewards: the reward by which it was picked. pools: for each response the rewards of independent
    reference samples for its prompt. log((F^n - F_-^n) / P(tie class)), with the response itself
    counted into the pool; the usual log n - (n - 1) / n is only an upper bound, met without ties.
    Biased downward as n comes near the pool: by 2% for n = 16 and a pool of 256. From a smaller
    pool for its n it cannot be told, and that bound stands in.
    """
    kls = []
    for score, pool in zip(rewards, pools, strict=True):
        if len(pool) < SMALLEST_POOL * n:
            kls.append(float(np.log(n) - (n - 1) / n))
            continue
        size = len(pool) + 1
        upto = (np.count_nonzero(pool <= score) + 1) / size
        below = np.count_nonzero(pool < score) / size
        kls.append(float(np.log((upto**n - below**n) / (upto - below))))
    return kls
