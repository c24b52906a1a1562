"""Checks of losses on labels, on synthetic log-probabilities. Nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.checks.exceptions import DoesNotApply, Failed
from bench.checks.registry import check
from bench.checks.subject import Subject
from bench.checks.synthetic import (
    CHOSEN,
    LIKED,
    REJECTED,
    ROWS,
    synthetic_pairs,
    synthetic_unpaired,
)
from methods.toolkit.offline import PairLoss, UnpairedLoss

if TYPE_CHECKING:
    from torch import Tensor

# How far responses have moved from the reference, in nats times beta.
MOVED = (0.1, 0.2, 0.5, 1.0, 2.0)
# Share of a gradient that counts as zero.
TOLERANCE = 1e-4
FALLEN = "where both responses have become less likely than under the reference"
STRAYED = "where responses have moved the wrong way from the reference"


@check()
def one_loss_for_each_label(subject: Subject) -> None:
    """Its losses have the shape [B]: one for each pair or single response."""
    if reason := wrong_shape(subject):
        # The trainer refuses such losses.
        subject.explained_by = "one_loss_for_each_label"
        raise Failed(reason)


@check()
def losses_are_separate(subject: Subject) -> None:
    """Each loss depends on its own row alone."""
    if wrong_shape(subject):
        raise DoesNotApply("its losses do not have the shape [B]")
    losses, leaves = _random_losses(subject)
    if not losses.requires_grad:
        raise Failed("its losses have no gradient: do they use the policy's log-probabilities?")
    for row in range(ROWS):
        for gradient in _gradients(losses[row], leaves):
            others = gradient.abs().sum(1)
            others[row] = 0
            if not float(others.max()) == 0:
                raise Failed(
                    f"the loss of row {row} depends on row {int(others.argmax())}: "
                    "what is computed from the whole batch must have no gradient"
                )


@check()
def first_step_raises_chosen(subject: Subject) -> None:
    """A first step favors chosen over rejected responses, and liked over disliked ones."""
    if issubclass(subject.method, PairLoss):
        _check_pair_steps(subject)
    else:
        _check_unpaired_steps(subject)


def _check_pair_steps(subject: Subject) -> None:
    """Check steps at the reference, and where both responses have fallen by the same.

    In both states the pair is undecided, so the chosen response must rise against the rejected one.
    In the second it may not fall further: a penalty on its fall must not be a reward.
    """
    moved = _moved(subject)
    for ratio, where in ((0 * moved, "at the reference"), (-moved, FALLEN)):
        logprobs, leaves = synthetic_pairs(ratio, ratio)
        chosen, rejected = _changes(_losses(subject, logprobs), leaves, (CHOSEN, REJECTED))
        if not bool((chosen > rejected).all()):
            raise Failed(f"{where}, a step does not raise the chosen response against the rejected")
        allowed = TOLERANCE * (chosen.abs() + rejected.abs())
        if where == FALLEN and not bool((chosen >= -allowed).all()):
            raise Failed(f"{where}, a step makes the chosen one still less likely")


def _check_unpaired_steps(subject: Subject) -> None:
    """Check steps at the reference, and where liked responses have fallen and others risen."""
    import torch

    sign = 2 * torch.tensor(LIKED).float() - 1
    moved = _moved(subject)
    for ratio, where in ((0 * moved, "at the reference"), (-sign * moved, STRAYED)):
        logprobs, leaves = synthetic_unpaired(ratio)
        [change] = _changes(_losses(subject, logprobs), leaves, (CHOSEN,))
        right = change * sign > 0
        for liked, must in ((True, "raise a liked"), (False, "lower a disliked")):
            if not bool(right[logprobs.liked == liked].all()):
                raise Failed(f"{where}, a step does not {must} response")


def has_losses(method: type) -> bool:
    """Return whether a method is a loss on pairs or on single responses."""
    return issubclass(method, PairLoss | UnpairedLoss)


def wrong_shape(subject: Subject) -> str:
    """Return what is wrong with the shape of a method's losses; nothing if it is right.

    Raises:
        DoesNotApply: The method is no loss on labels.
    """
    import torch

    losses, _ = _random_losses(subject)
    if not isinstance(losses, torch.Tensor):
        return f"its losses are of type {type(losses).__name__}; they must be a tensor [{ROWS}]"
    shape = list(losses.shape)
    if shape == [ROWS]:
        return ""
    hint = ": return the losses, not their mean or sum" if not shape else ""
    return f"its losses of {ROWS} rows have the shape {shape}; it must be [{ROWS}]{hint}"


def _random_losses(subject: Subject) -> tuple[Tensor, Sequence[Tensor]]:
    """Return the losses of a random policy, and the leaves that they are computed from."""
    import torch

    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, ROWS, generator=generator)
    if issubclass(subject.method, PairLoss):
        pairs, leaves = synthetic_pairs(first, second)
        return _losses(subject, pairs), leaves
    unpaired, leaves = synthetic_unpaired(first)
    return _losses(subject, unpaired), leaves


def _losses(subject: Subject, logprobs: object) -> Tensor:
    if not has_losses(subject.method):
        raise DoesNotApply("it is not a PairLoss or UnpairedLoss")
    losses: Tensor = subject.make().loss(logprobs)  # type: ignore[attr-defined]
    return losses


def _gradients(loss: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    import torch

    return list(
        torch.autograd.grad(
            loss, leaves, retain_graph=True, allow_unused=True, materialize_grads=True
        )
    )


def _changes(
    losses: Tensor, leaves: Sequence[Tensor], lengths: Sequence[Sequence[int]]
) -> list[Tensor]:
    """Return how gradient descent changes responses, each [B]: the mean over their tokens."""
    import torch

    if not losses.requires_grad:
        raise DoesNotApply("its losses have no gradient")
    gradients = _gradients(losses.sum(), leaves)
    return [-g.sum(1) / torch.tensor(n) for g, n in zip(gradients, lengths, strict=True)]


def _moved(subject: Subject) -> Tensor:
    """Return how far responses have moved, [B] (nats). A loss levels off at about 1 / beta."""
    import torch

    return torch.tensor(MOVED) / float(getattr(subject.make(), "beta", 1.0))
