"""Log-probabilities of labeled responses: what the losses of offline methods are functions of.

They are taken at temperature 1 over all tokens, whatever the sampling parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from methods.core.models.logprobs import of_tokens

if TYPE_CHECKING:
    from torch import Tensor


class TokenLogprobs(NamedTuple):
    """Log-probabilities of the tokens of B responses (nats), 0 on padding.

    Attributes:
        policy: Under the policy, [B, T].
        reference: Under the reference, [B, T].
        mask: Where the tokens are, [B, T].
        collision: Log-probability that two tokens drawn from the policy are the same, [B, T].
            Without gradient. Only where the method asks for it.
    """

    policy: Tensor
    reference: Tensor
    mask: Tensor
    collision: Tensor = None  # type: ignore[assignment]

    @property
    def lengths(self) -> Tensor:
        """The tokens of each response, [B]."""
        return self.mask.sum(1)

    def log_ratios(self) -> Tensor:
        """Return the log-ratio of policy to reference of each response, [B], without gradient."""
        return self.policy.detach().sum(1) - self.reference.sum(1)


class PairLogprobs(NamedTuple):
    """Log-probabilities of the responses of B pairs (nats).

    Attributes:
        chosen: Of the chosen responses under the policy, [B].
        rejected: Of the rejected responses under the policy, [B].
        reference_chosen: Of the chosen responses under the reference, [B].
        reference_rejected: Of the rejected responses under the reference, [B].
        chosen_tokens: The same token by token, with lengths, of the chosen responses.
        rejected_tokens: Of the rejected responses.
    """

    chosen: Tensor
    rejected: Tensor
    reference_chosen: Tensor
    reference_rejected: Tensor
    chosen_tokens: TokenLogprobs = None  # type: ignore[assignment]
    rejected_tokens: TokenLogprobs = None  # type: ignore[assignment]

    @property
    def chosen_ratio(self) -> Tensor:
        """The log-ratio of policy to reference of the chosen responses, [B]."""
        return self.chosen - self.reference_chosen

    @property
    def rejected_ratio(self) -> Tensor:
        """The log-ratio of policy to reference of the rejected responses, [B]."""
        return self.rejected - self.reference_rejected

    @property
    def margin(self) -> Tensor:
        """The log-ratio of the chosen response minus that of the rejected response, [B]."""
        return self.chosen_ratio - self.rejected_ratio

    @classmethod
    def of(cls, tokens: TokenLogprobs) -> PairLogprobs:
        """Return the log-probabilities of pairs.

        Args:
            tokens: Of all chosen responses, then of all rejected ones, [2B, T].
        """
        halves = [(None, None) if part is None else part.chunk(2) for part in tokens]
        chosen, rejected = (TokenLogprobs(*(half[i] for half in halves)) for i in range(2))
        return cls(
            chosen.policy.sum(1),
            rejected.policy.sum(1),
            chosen.reference.sum(1),
            rejected.reference.sum(1),
            chosen,
            rejected,
        )

    def metrics(self) -> dict[str, Tensor]:
        """Return the metrics of the training curves, as scalars."""
        return {
            "logratio_margin": self.margin.mean(),
            "chosen_logp": self.chosen.mean(),
            "rejected_logp": self.rejected.mean(),
        }


class UnpairedLogprobs(NamedTuple):
    """Log-probabilities of B single responses (nats).

    Attributes:
        response: Under the policy, [B].
        reference: Under the reference, [B].
        liked: Whether the annotator liked each response, [B].
        tokens: The same token by token, with lengths.
        unrelated_ratio: The mean log-ratio of policy to reference of prompts with responses to
            other prompts, over the whole batch: a scalar without gradient. Only where the method
            asks for it.
        shift: What the method made of the whole batch, where it asks for that: see `fit_unpaired`.
    """

    response: Tensor
    reference: Tensor
    liked: Tensor
    tokens: TokenLogprobs = None  # type: ignore[assignment]
    unrelated_ratio: Tensor = None  # type: ignore[assignment]
    shift: Tensor | float = 0.0

    @property
    def ratio(self) -> Tensor:
        """The log-ratio of policy to reference, [B]."""
        return self.response - self.reference

    def metrics(self) -> dict[str, Tensor]:
        """Return the metrics of the training curves, as scalars."""
        return {"logp": self.response.mean(), "logratio": self.ratio.mean()}


def tokens_and_collisions(logprobs: Tensor, tokens: Tensor) -> Tensor:
    """Return log-probabilities of tokens, and that two tokens drawn are the same, [n, 2] (nats).

    Args:
        logprobs: Of all tokens, [n, V].
        tokens: [n].
    """
    import torch

    # Without gradient, so it keeps nothing for the backward pass.
    with torch.no_grad():
        collisions = (2 * logprobs).logsumexp(1, keepdim=True)
    return torch.cat([of_tokens(logprobs, tokens), collisions], dim=1)
