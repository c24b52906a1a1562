"""Table 1 of Xu et al. (2024): what DPO and PPO are optimal at, on three responses and one label.

The reference gives y1 and y2 half of the time each and y3 never; y1 is preferred over y2. The task
`bandit` trains on it; here, policies are vectors of three probabilities, and all is exact.
"""

from __future__ import annotations

import numpy as np
from numpy import ndarray
from scipy.special import log_softmax, rel_entr

from methods.core.training.logprobs import PairLogprobs
from methods.dpo import DPO
from methods.ipo import IPO

REFERENCE = np.array([0.5, 0.5, 0.0])


def simplex(steps: int) -> ndarray:
    """Return all policies whose probabilities are multiples of 1 / steps, [N, 3]."""
    y1, y2 = np.divmod(np.arange((steps + 1) ** 2), steps + 1)
    y1, y2 = (counts[y1 + y2 <= steps] for counts in (y1, y2))
    return np.stack([y1, y2, steps - y1 - y2], axis=1) / steps


def dpo_loss(policies: ndarray, beta: float) -> ndarray:
    """Return DPO's loss on the label.

    Args:
        policies: Probabilities of y1, y2 and y3, [..., 3].
        beta: DPO's.

    Returns:
        [...]; its infimum is 0. It is nan where a policy gives neither y1 nor y2: it has no odds.
    """
    return _loss(policies, DPO(beta=beta))


def ipo_loss(policies: ndarray, beta: float) -> ndarray:
    """Return IPO's loss on the label.

    Args:
        policies: Probabilities of y1, y2 and y3, [..., 3].
        beta: IPO's.

    Returns:
        [...], nan as above. It is 0 where the log-odds of y1 over y2 are 1 / (2 beta).
    """
    # A response has one token, so that sum and mean are the same.
    return _loss(policies, IPO(beta=beta, average=False))


def _loss(policies: ndarray, method: DPO | IPO) -> ndarray:
    import torch

    logprobs = torch.from_numpy(np.asarray(policies, dtype=float)).log()
    reference = torch.from_numpy(REFERENCE).log()
    pair = PairLogprobs(logprobs[..., 0], logprobs[..., 1], reference[0], reference[1])
    loss: ndarray = method.loss(pair).numpy()
    return loss


def kls_to_reference(policies: ndarray) -> ndarray:
    """Return the KL of policies [..., 3] to the reference (nats), infinite where they give y3."""
    kls: ndarray = rel_entr(policies, REFERENCE).sum(-1)
    return kls


def fitted_rewards(gap: float, unseen: float = 0.0) -> ndarray:
    """Return a reward model's rewards of y1, y2 and y3, [3].

    The likelihood of the label, sigmoid(gap), rises to its supremum as the gap grows, whatever y3
    has.

    Args:
        gap: Reward of y1 less that of y2.
        unseen: Reward of y3.
    """
    return np.array([gap, 0.0, unseen])


def ppo_objective(policies: ndarray, rewards: ndarray, beta: float) -> ndarray:
    """Return the mean reward less beta times the KL to the reference.

    Args:
        policies: Probabilities of y1, y2 and y3, [..., 3].
        rewards: Of y1, y2 and y3, [3].
        beta: Coefficient of the KL, in units of the reward per nat.

    Returns:
        [...]; -inf where y3 has any probability.
    """
    policies = np.asarray(policies, dtype=float)
    objective: ndarray = policies @ rewards - beta * kls_to_reference(policies)
    return objective


def ppo_optimum(rewards: ndarray, beta: float) -> ndarray:
    """Return the policy with the highest objective, proportional to ref exp(reward / beta), [3]."""
    with np.errstate(divide="ignore"):
        optimum: ndarray = np.exp(log_softmax(np.log(REFERENCE) + rewards / beta))
    return optimum
