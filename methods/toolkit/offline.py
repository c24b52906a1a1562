"""Methods that train on labels as they are given: the fields that they share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from methods.base import Context, Count, Method, Policy, Positive, Share
from methods.core.training.pairwise import PairLogprobs, UnpairedLogprobs, fit_pairs, fit_unpaired
from methods.core.training.trainer import Schedule

if TYPE_CHECKING:
    from torch import Tensor
else:
    # A loss can name it, and still be listed without torch.
    Tensor = Any

__all__ = [
    "Offline",
    "PairLogprobs",
    "PairLoss",
    "Scheduled",
    "Tensor",
    "UnpairedLogprobs",
    "UnpairedLoss",
]


@dataclass(frozen=True)
class Scheduled(Method):
    """learning_rate, examples, batch_size, warmup: see Schedule."""

    learning_rate: Positive = 5e-4
    examples: Count = 8192
    batch_size: Count = 32
    warmup: Share = 0.1

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.learning_rate, self.examples, self.batch_size, self.warmup)


@dataclass(frozen=True)
class Offline(Scheduled):
    """beta: KL strength. learning_rate, examples, batch_size, warmup: see Schedule."""

    strength: ClassVar = "beta"
    grid: ClassVar = {"beta": [0.5, 0.8, 1.2, 2.0]}

    beta: Positive = 1.0


@dataclass(frozen=True)
class PairLoss(Offline):
    """A method that is a loss on pairs."""

    feedback: ClassVar = "pairs"
    distributed: ClassVar = True

    @abstractmethod
    def loss(self, logprobs: PairLogprobs) -> Tensor:
        """Return the loss of each pair, [B]."""

    def train(self, context: Context) -> Policy:
        return fit_pairs(context, self.loss, self.schedule)


@dataclass(frozen=True)
class UnpairedLoss(Offline):
    """A method that is a loss on single responses that were liked or not."""

    feedback: ClassVar = "unpaired"
    distributed: ClassVar = True

    @abstractmethod
    def loss(self, logprobs: UnpairedLogprobs) -> Tensor:
        """Return the loss of each response, [B]."""

    def train(self, context: Context) -> Policy:
        return fit_unpaired(context, self.loss, self.schedule)
