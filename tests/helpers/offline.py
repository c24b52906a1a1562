"""Settings by which offline methods train briefly, and responses to train them on."""

from __future__ import annotations

from random import Random
from typing import Any

STEPS, SIZE = 20, 16
SHORT: dict[str, Any] = {"learning_rate": 1e-3, "examples": STEPS * SIZE, "batch_size": SIZE}


def text(random: Random, tokens: int) -> str:
    """Return a response of this many tokens, cut off or ended."""
    words = random.choices("abcd", k=tokens - 1)
    return " ".join([*words, random.choice(["</answer>", "d"])])
