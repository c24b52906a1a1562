"""Synthetic log-probabilities, so that losses are checked without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from methods.core.training.logprobs import PairLogprobs, TokenLogprobs, UnpairedLogprobs

if TYPE_CHECKING:
    from torch import Tensor

# How many tokens the responses have: the chosen ones, and the rejected ones.
CHOSEN, REJECTED = (3, 5, 2, 6, 4), (4, 2, 6, 3, 5)
LIKED = (True, False, True, False, True)
ROWS = len(CHOSEN)


def synthetic_pairs(
    chosen_ratio: Tensor, rejected_ratio: Tensor, seed: int = 0
) -> tuple[PairLogprobs, list[Tensor]]:
    """Return log-probabilities of pairs, and the leaves that they are computed from.

    Args:
        chosen_ratio: Log-ratios of policy to reference of the chosen responses, [B] (nats).
        rejected_ratio: The same of the rejected responses.
        seed: Of the log-probabilities.

    Returns:
        The log-probabilities, and those of the tokens of the chosen and of the rejected responses
        under the policy, which require gradients, each [B, T].
    """
    chosen, chosen_leaf = synthetic_tokens(CHOSEN, chosen_ratio, 2 * seed)
    rejected, rejected_leaf = synthetic_tokens(REJECTED, rejected_ratio, 2 * seed + 1)
    logprobs = PairLogprobs(
        chosen=chosen.policy.sum(1),
        rejected=rejected.policy.sum(1),
        reference_chosen=chosen.reference.sum(1),
        reference_rejected=rejected.reference.sum(1),
        chosen_tokens=chosen,
        rejected_tokens=rejected,
    )
    return logprobs, [chosen_leaf, rejected_leaf]


def synthetic_unpaired(ratio: Tensor, seed: int = 0) -> tuple[UnpairedLogprobs, list[Tensor]]:
    """Return log-probabilities of single responses, and the leaf that they are computed from.

    Args:
        ratio: Log-ratios of policy to reference, [B] (nats).
        seed: Of the log-probabilities.

    Returns:
        The log-probabilities, and those of the tokens under the policy, which require gradients,
        [B, T].
    """
    import torch

    tokens, leaf = synthetic_tokens(CHOSEN, ratio, seed)
    logprobs = UnpairedLogprobs(
        response=tokens.policy.sum(1),
        reference=tokens.reference.sum(1),
        liked=torch.tensor(LIKED),
        tokens=tokens,
        unrelated_ratio=torch.zeros(ROWS),
    )
    return logprobs, [leaf]


def synthetic_tokens(
    lengths: tuple[int, ...], ratio: Tensor, seed: int
) -> tuple[TokenLogprobs, Tensor]:
    """Return log-probabilities of tokens, all below 0, and the policy's as a leaf, [B, T].

    Args:
        lengths: How many tokens the responses have.
        ratio: Log-ratios of policy to reference of whole responses, [B] (nats).
        seed: Of the log-probabilities.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    width = max(*CHOSEN, *REJECTED)
    sizes = torch.tensor(lengths).unsqueeze(1)
    mask = torch.arange(width) < sizes
    # The higher one of policy and reference; the other is lower by the log-ratio.
    higher = -0.5 - 2 * torch.rand(len(lengths), width, generator=generator)
    per_token = ratio.unsqueeze(1) / sizes
    leaf = (higher + per_token.clamp(max=0)).requires_grad_()
    policy = leaf * mask
    reference = (higher - per_token.clamp(min=0)) * mask
    # Two tokens are the same at least as often as both are this one.
    collision = 1.5 * policy.detach()
    return TokenLogprobs(policy, reference, mask, collision), leaf
