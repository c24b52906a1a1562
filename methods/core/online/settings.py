"""The hyper-parameters that the loop of online methods reads."""

from __future__ import annotations

from typing import Protocol


class OnlineSettings(Protocol):
    """The hyper-parameters that the loop reads. A method's own fields serve."""

    @property
    def learning_rate(self) -> float:
        """Of the policy, at its peak. It falls linearly to 0."""

    @property
    def episodes(self) -> int:
        """Responses in all. The budget may cut them."""

    @property
    def batch_size(self) -> int:
        """Responses between updates."""

    @property
    def epochs(self) -> int:
        """Passes over a batch."""

    @property
    def minibatches(self) -> int:
        """Parts of a batch, with one optimizer step for each."""

    @property
    def max_grad_norm(self) -> float | None:
        """The gradients of each model are clipped to this norm. None does not clip."""

    @property
    def save_every(self) -> int:
        """Updates between saves for resuming."""
