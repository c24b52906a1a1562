"""Direct preference optimization (Rafailov et al., 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from methods.base import Paper, Share
from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor

# The largest exponent, so that exponentials stay finite.
LARGEST = 80.0


@dataclass(frozen=True)
class DPO(PairLoss):
    """Direct preference optimization.

    A logistic loss on the margin between the log-ratios of the chosen and the rejected response:
    equation 7 of Rafailov et al. (2023).

    Attributes:
        beta: Coefficient of the divergence. For the KL, in units of the annotator's reward per nat.
        divergence: What holds the policy to the reference: the reverse KL, or another f-divergence
            (Wang et al., 2023, table 1).
        alpha: Of the alpha-divergence. As in TRL, 1 is the reverse and 0 the forward KL: it is
            1 - alpha of the table.
    """

    paper: ClassVar = Paper("Rafailov et al., 2023", "https://arxiv.org/abs/2305.18290")
    grid: ClassVar = {"beta": [0.1, 0.25, 0.5, 1.0, 3.0]}

    divergence: Literal["reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"] = (
        "reverse_kl"
    )
    alpha: Share = 0.5

    @property
    def strength_is_kl(self) -> bool:  # type: ignore[override]
        """Whether `beta` is the coefficient of the KL: it may be that of another divergence."""
        return self.divergence == "reverse_kl"

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        margin = self.score(logprobs.chosen_ratio) - self.score(logprobs.rejected_ratio)
        return -logsigmoid(self.beta * margin)

    def score(self, ratio: Tensor) -> Tensor:
        """Return f'(u) of a log-ratio log u, up to a constant. For the reverse KL it is log u."""
        from torch.nn.functional import logsigmoid

        if self.divergence == "forward_kl":
            return -(-ratio).clamp(max=LARGEST).exp()
        if self.divergence == "js_divergence":
            return logsigmoid(ratio)
        if self.divergence == "alpha_divergence" and self.alpha != 1:
            power = ((self.alpha - 1) * ratio).clamp(max=LARGEST)
            return power.exp() / (self.alpha - 1)
        return ratio
