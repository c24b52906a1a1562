"""REINFORCE leave-one-out (Ahmadian et al., 2024), by TRL's RLOOTrainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from methods.base import Context, Paper, Policy
from methods.toolkit.groups import Groups


@dataclass(frozen=True)
class RLOO(Groups):
    """REINFORCE leave-one-out.

    The policy gradient of the reward less kl_coef times the log-ratio, where the baseline of a
    response is the mean of the others to the same prompt (Ahmadian et al., 2024). TRL clips the
    ratio of whole responses.

    kl_coef is in units of the reward per nat. normalize: advantages of a batch to mean 0 and
    variance 1; they then have no unit.
    """

    paper: ClassVar = Paper("Ahmadian et al., 2024", "https://arxiv.org/abs/2402.14740")
    strength_is_kl: ClassVar = True

    normalize: bool = False

    def train(self, context: Context) -> Policy:
        from trl import RLOOConfig, RLOOTrainer

        return self.fit(context, RLOOTrainer, RLOOConfig, normalize_advantages=self.normalize)
