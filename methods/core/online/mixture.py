"""Sampling from the geometric mixture of two policies, token by token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from methods.core.models.loading import inner

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Cache, PreTrainedModel


@contextmanager
def mixed_with(model: PreTrainedModel, reference: PreTrainedModel, share: float) -> Iterator[None]:
    """Let the model generate from its geometric mixture with a reference.

    Each token has a probability in proportion to p^(1 - share) q^share, where p is its probability
    under the model and q that under the reference. Normalized token by token, the mixture can be
    sampled without further models: Munos et al. (2023), section 7.

    Args:
        model: The model, which samples from the mixture until the context ends.
        reference: A model with the same tokens.
        share: Weight of the reference, from 0 to 1.
    """
    from transformers import DynamicCache

    cache: Any = None
    is_inside = False

    def mix(_: Any, __: Any, inputs: dict[str, Any], output: Any) -> Any:
        nonlocal cache, is_inside
        # Where adapters are trained, the reference is the same model.
        if is_inside:
            return output
        if inputs["input_ids"].shape == inputs["attention_mask"].shape:
            cache = DynamicCache(config=inner(model).config)
            follow(inputs["past_key_values"], cache)
        is_inside = True
        try:
            logits = reference(**inputs | {"past_key_values": cache}).logits
        finally:
            is_inside = False
        # The log-probabilities, but for a constant at each token.
        output.logits = (1 - share) * output.logits + share * logits
        return output

    handle = inner(model).register_forward_hook(mix, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def follow(first: Cache, second: Cache) -> None:
    """Let rows that leave the first cache leave the second one as well."""
    select = first.batch_select_indices

    def select_both(rows: Tensor) -> None:
        select(rows)
        second.batch_select_indices(rows)

    first.batch_select_indices = select_both
