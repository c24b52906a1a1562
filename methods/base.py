"""The trainer interface: `train(context) -> Policy` on a frozen dataclass of hyper-parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Gt, Le

from methods.core.feedback import FeedbackKind
from methods.core.models.policy import Policy
from methods.core.training.context import Context
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

# Types of hyper-parameters. They say which values an experiment file may set.
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Ge(0), Le(1)]
Count = Annotated[int, Gt(0), Le(1_000_000_000)]
Feedback = FeedbackKind | Literal["none", "reward"]


class Paper(NamedTuple):
    """Where a method was published.

    Attributes:
        authors: First author and year, as in a citation.
        url: Where to read it.
    """

    authors: str
    url: str


@dataclass(frozen=True)
class Method(ABC):
    """A way of aligning a policy. Its fields are its hyper-parameters.

    The stem of a method's file is its name.

    Attributes:
        paper: Where the method was published.
        feedback: What it learns from.
        strength: The field that trades reward against KL: the parameter of its frontier.
        strength_is_kl: Whether `strength` is the coefficient of the KL, in units of reward per nat,
            so that the method maximizes E[reward] - strength * KL.
        strength_reduces_kl: Whether a larger `strength` gives a smaller KL to the reference, as the
            beta of DPO does and the n of best-of-n does not.
        grid: The values that a comparison tries, by field.
        privileged: Whether it receives the gold reward instead of the learned one.
        expected_failures: Conformance checks that it cannot pass: the reason, by name of the check.
        distributed: Whether the processes of `accelerate launch` can share its batches.
    """

    paper: ClassVar[Paper | None] = None
    feedback: ClassVar[Feedback] = "none"
    strength: ClassVar[str | None] = None
    strength_is_kl: ClassVar[bool] = False
    strength_reduces_kl: ClassVar[bool] = True
    grid: ClassVar[dict[str, list[Any]]] = {}
    privileged: ClassVar[bool] = False
    expected_failures: ClassVar[dict[str, str]] = {}
    distributed: ClassVar[bool] = False

    @abstractmethod
    def train(self, context: Context) -> Policy:
        """Train a policy.

        Args:
            context: All that the training may use.

        Returns:
            The trained policy.

        Raises:
            Diverged: A loss or a weight is not finite.
        """
