"""What methods learn from."""

from __future__ import annotations

from typing import NamedTuple


class Pair(NamedTuple):
    """Two responses to one prompt, of which an annotator preferred the first."""

    prompt: str
    chosen: str
    rejected: str
