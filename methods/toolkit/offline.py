"""Methods that train on a fixed set of labels."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from methods.base import Context, Count, Method, Policy, Positive, Share
from methods.core.training.logprobs import PairLogprobs, TokenLogprobs, UnpairedLogprobs
from methods.core.training.pairwise import fit_pairs, fit_unpaired
from methods.core.training.trainer import Schedule

if TYPE_CHECKING:
    from torch import Tensor
else:
    # So that a method's file can import the name without importing torch.
    Tensor = Any

__all__ = [
    "Offline",
    "PairLogprobs",
    "PairLoss",
    "Scheduled",
    "Tensor",
    "TokenLogprobs",
    "UnpairedLogprobs",
    "UnpairedLoss",
]


@dataclass(frozen=True)
class Scheduled(Method):
    """Base class of methods that train on a fixed number of examples.

    Attributes:
        learning_rate: At its peak.
        examples: Training examples in all, repeats included. The budget may cut them.
        batch_size: Examples of a step.
        warmup: Share of the steps in which the learning rate rises.
    """

    learning_rate: Positive = 5e-4
    examples: Count = 8192
    batch_size: Count = 32
    warmup: Share = 0.1

    @property
    def schedule(self) -> Schedule:
        """The hyper-parameters of the trainer."""
        return Schedule(self.learning_rate, self.examples, self.batch_size, self.warmup)


@dataclass(frozen=True)
class Offline(Scheduled):
    """Base class of methods whose `beta` holds the policy to the reference.

    Attributes:
        beta: KL strength.
    """

    strength: ClassVar = "beta"
    grid: ClassVar = {"beta": [0.03, 0.1, 0.3, 1.0, 3.0]}

    beta: Positive = 1.0


@dataclass(frozen=True)
class PairLoss(Offline):
    """Base class of methods that consist of a loss on pairs.

    Attributes:
        collision: Whether the loss reads `TokenLogprobs.collision`.
    """

    feedback: ClassVar = "pairs"
    distributed: ClassVar = True
    collision: ClassVar[bool] = False

    @abstractmethod
    def loss(self, logprobs: PairLogprobs) -> Tensor:
        """Return the loss of each pair, [B].

        Args:
            logprobs: Log-probabilities of both responses under policy and reference.
        """

    def train(self, context: Context) -> Policy:
        return fit_pairs(context, self.loss, self.schedule, collision=self.collision)


@dataclass(frozen=True)
class UnpairedLoss(Offline):
    """Base class of methods that consist of a loss on single responses.

    Attributes:
        unrelated: Whether the loss reads `UnpairedLogprobs.unrelated_ratio`.
    """

    feedback: ClassVar = "unpaired"
    distributed: ClassVar = True
    unrelated: ClassVar[bool] = False

    @abstractmethod
    def loss(self, logprobs: UnpairedLogprobs) -> Tensor:
        """Return the loss of each response, [B].

        Args:
            logprobs: Log-probabilities of the responses under policy and reference.
        """

    def train(self, context: Context) -> Policy:
        return fit_unpaired(context, self.loss, self.schedule, unrelated=self.unrelated)
