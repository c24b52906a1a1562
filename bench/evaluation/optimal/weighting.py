"""Weights of samples from several policies, and how many samples an estimate rests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy import ndarray
from scipy.special import log_softmax, logsumexp


def balance_heuristic(logprobs: ndarray, counts: Sequence[int]) -> ndarray:
    """Weight samples of several policies so that they stand for the first.

    The weight of a sample is its probability under the first policy over its mean probability under
    all policies, by their counts (the balance heuristic: Veach and Guibas, 1995), normalized to sum
    to 1.

    Args:
        logprobs: Of all samples under each policy, [policies, prompts, N] (nats).
        counts: Samples per prompt of each policy, [policies].

    Returns:
        Logs of the weights, [prompts, N].
    """
    shares = np.log(np.array(counts) / sum(counts))[:, None, None]
    return log_softmax(logprobs[0] - logsumexp(logprobs + shares, axis=0), axis=1)


def sampled_kls(logprobs: ndarray, counts: Sequence[int]) -> list[float]:
    """Estimate the KL of each policy to the first from its own samples.

    Args:
        logprobs: As above; the samples are in the order of the policies.
        counts: As above.

    Returns:
        [policies] (nats).
    """
    starts = np.cumsum([0, *counts])
    return [
        float((policy_logprobs[:, start:stop] - logprobs[0, :, start:stop]).mean())
        for policy_logprobs, start, stop in zip(logprobs, starts[:-1], starts[1:], strict=True)
    ]


def effective_samples(probabilities: ndarray) -> float:
    """Return the effective number of samples per prompt, the harmonic mean over prompts.

    For one prompt it is 1 / sum of squares (Kish, 1965). The squared error of a mean of log Z is a
    sum of its inverses.

    Args:
        probabilities: Normalized weights of the samples, [prompts, R].
    """
    return float(1 / (probabilities**2).sum(1).mean())
