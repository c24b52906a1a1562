"""A device with little memory."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from methods.core.training.context import Context


def limit_memory(monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    """Let trained policies run out of memory where more tokens go through them with gradients."""
    start = Context.start

    def check(_: Any, __: Any, inputs: dict[str, Any]) -> None:
        if torch.is_grad_enabled() and inputs["input_ids"].numel() > tokens:
            raise torch.OutOfMemoryError("out of memory")

    def limited(context: Context) -> Any:
        policy = start(context)
        policy.model.register_forward_pre_hook(check, with_kwargs=True)
        return policy

    monkeypatch.setattr(Context, "start", limited)


class Saved:
    """A tensor that a gradient needs. It lives as long as the graph keeps it."""

    def __init__(self, tensor: torch.Tensor) -> None:
        # Without its history, or it would keep the graph that keeps it.
        self.tensor = tensor.detach()


class ActivationWatch:
    """Lets the policy's backward pass run out of memory, and watches what forward passes save.

    Attributes:
        failures: How often it ran out.
        most_saved: The most tensors that were saved at once.
        left_behind: The most that were still there when the policy read the next batch.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
        self.failures = self.most_saved = self.left_behind = 0
        self._tokens, self._saved = tokens, WeakSet[Saved]()
        start = Context.start

        def watched(context: Context) -> Any:
            policy = start(context)
            # The second of two layers has its gradient first, so the graph is half used up.
            policy.model.model.layers[0].register_forward_hook(self._fail_backward)
            forward = policy.model.forward
            monkeypatch.setattr(policy.model, "forward", self._saving(forward))
            return policy

        monkeypatch.setattr(Context, "start", watched)

    def _saving(self, forward: Any) -> Any:
        def saving(*args: Any, **options: Any) -> Any:
            if not torch.is_grad_enabled():
                return forward(*args, **options)
            self.left_behind = max(self.left_behind, len(self._saved))
            with saved_tensors_hooks(self._pack, lambda saved: saved.tensor):
                output = forward(*args, **options)
            self.most_saved = max(self.most_saved, len(self._saved))
            return output

        return saving

    def _pack(self, tensor: torch.Tensor) -> Saved:
        saved = Saved(tensor)
        self._saved.add(saved)
        return saved

    def _fail_backward(self, _: Any, __: Any, output: torch.Tensor) -> None:
        if output.requires_grad and output.shape[0] * output.shape[1] > self._tokens:
            output.register_hook(self._fail)

    def _fail(self, _: torch.Tensor) -> None:
        self.failures += 1
        raise torch.OutOfMemoryError("out of memory")
