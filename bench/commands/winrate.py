"""`prefrontier winrate`: the win rates of a file of annotations."""

from __future__ import annotations

import json
from pathlib import Path

from bench.judging.annotations import rates_text, read_annotations, win_rates


def win_rate_text(file: Path, *, as_json: bool) -> str:
    """Return the raw and the length-controlled win rate of a file of annotations.

    Args:
        file: Annotations in AlpacaEval's format.
        as_json: Whether to return JSON instead of readable lines.

    Raises:
        UserError: The file or a row is not valid.
    """
    annotations, left_out = read_annotations(file)
    rates = win_rates(annotations) | {"n_left_out": left_out}
    return json.dumps(rates, indent=2) if as_json else rates_text(rates)
