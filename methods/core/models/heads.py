"""The output layer of reward and value models. Importing this module imports torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Float32Linear(nn.Linear):
    """A linear layer that computes in float32, also where the model around it does not."""

    @classmethod
    def of(cls, layer: nn.Linear) -> Float32Linear:
        """Return a layer that shares the weights of another one."""
        new = cls(layer.in_features, layer.out_features, bias=False, device="meta")
        new.weight, new.bias = layer.weight, layer.bias
        return new.train(layer.training)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the outputs [..., out], in float32.

        Args:
            hidden: [..., in].
        """
        bias = None if self.bias is None else self.bias.float()
        with torch.autocast(hidden.device.type, enabled=False):
            return functional.linear(hidden.float(), self.weight.float(), bias)
