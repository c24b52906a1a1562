"""A device with little memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch

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
