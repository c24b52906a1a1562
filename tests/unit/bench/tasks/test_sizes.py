"""Embedded models are as large as their names say."""

from __future__ import annotations

import pytest

from bench.tasks.sizes import SIZES


@pytest.mark.parametrize("size", ["1M", "10M", "50M", "150M"])
def test_an_embedded_size_has_as_many_parameters_as_it_says(size: str) -> None:
    from transformers import LlamaConfig

    architecture, vocabulary = SIZES[size]
    hidden, layers = architecture.hidden, architecture.layers
    assert hidden % architecture.heads == 0 and LlamaConfig(hidden_size=hidden)
    each = 4 * hidden**2 + 3 * hidden * architecture.intermediate
    total = layers * each + vocabulary * hidden
    assert total == pytest.approx(float(size.removesuffix("M")) * 1e6, rel=0.15)
