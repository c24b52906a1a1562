"""The trainer interface: `train(context) -> Policy`, on a frozen dataclass of hyper-parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Gt, Le

from methods.core.training.context import Context
from methods.core.feedback import FeedbackKind
from methods.core.models.policy import Policy
from methods.core.training.trainer import Diverged

__all__ = [
    "Context",
    "Count",
    "Diverged",
    "Method",
    "NonNegative",
    "Paper",
    "Policy",
    "Positive",
    "Share",
]

Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Ge(0), Le(1)]
Count = Annotated[int, Gt(0)]
Feedback = FeedbackKind | Literal["none", "reward"]


class Paper(NamedTuple):
    """Where a method was published. authors: with the year."""

    authors: str
    url: str


@dataclass(frozen=True)
class Method(ABC):
    """A way of aligning a policy. Fields are hyper-parameters; the file's stem is its name.

    feedback: what it learns from. strength: the field that trades reward against KL, the
    frontier's dial, and `grid` the values of it (or of any field) that a comparison tries.
    strength_is_kl: the dial is the coefficient of the KL, in units of reward per nat, so that
    E[r] - strength KL is what the method maximizes.
    privileged: it is given the gold reward instead of the learned one.
    distributed: processes that run together (`accelerate launch`) share its batches.
    expected_failures: checks of `prefrontier check` that it cannot pass, by name, and why.
    """

    paper: ClassVar[Paper | None] = None
    feedback: ClassVar[Feedback] = "none"
    strength: ClassVar[str | None] = None
    strength_is_kl: ClassVar[bool] = False
    grid: ClassVar[dict[str, list[Any]]] = {}
    privileged: ClassVar[bool] = False
    expected_failures: ClassVar[dict[str, str]] = {}
    distributed: ClassVar[bool] = False

    @abstractmethod
    def train(self, context: Context) -> Policy:
        """Return the trained policy. Raise Diverged where a loss or a weight is not finite."""
