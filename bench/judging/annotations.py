"""Pairwise annotations in AlpacaEval's format, and their win rates."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.cache.files import read_named
from bench.errors import UserError, reason_of
from bench.evaluation.win_rate import length_controlled

# Of a file (bytes): some 100,000 comparisons of long responses.
LARGEST = 256 * 1024 * 1024
TEXTS = ("instruction", "output_1", "output_2")


class Annotation(NamedTuple):
    """A comparison of two responses.

    Attributes:
        instruction: The prompt.
        output_1: The baseline's response.
        output_2: The response whose win rate is wanted.
        won: 1 if output_2 won, 0 if output_1 won, 0.5 for a draw.
    """

    instruction: str
    output_1: str
    output_2: str
    won: float


def read_annotations(file: Path) -> tuple[list[Annotation], int]:
    """Return the annotations in a file, and the number of rows without a preference.

    Args:
        file: A JSON list. Rows without a preference are left out.

    Raises:
        UserError: The file or a row is not valid; the message has the row, counted from 1.
    """
    try:
        rows = json.loads(read_named(file, LARGEST))
    except json.JSONDecodeError as error:
        raise UserError(f"{file}: line {error.lineno}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or deep lists
        raise UserError(f"{file}: not JSON that can be read: {reason_of(error)}") from None
    if not isinstance(rows, list):
        raise UserError(f"{file}: must be a JSON list of annotations")
    annotations = [
        annotation
        for i, row in enumerate(rows, start=1)
        if (annotation := _annotation(f"{file}: row {i}", row)) is not None
    ]
    if not annotations:
        raise UserError(f"{file}: no row has a preference")
    return annotations, len(rows) - len(annotations)


def _annotation(where: str, row: object) -> Annotation | None:
    """Return a row's annotation; None if the row has no preference."""
    if not isinstance(row, dict):
        raise UserError(f"{where}: must be an object with {', '.join((*TEXTS, 'preference'))}")
    for key in (*TEXTS, "preference"):
        if key not in row:
            raise UserError(f"{where}: '{key}' is missing")
        if key in TEXTS and not isinstance(row[key], str):
            raise UserError(f"{where}: '{key}' must be text")
    preference = row["preference"]
    if preference is None or (isinstance(preference, float) and math.isnan(preference)):
        return None
    is_number = isinstance(preference, int | float) and not isinstance(preference, bool)
    if not is_number or not (preference == 0 or 1 <= preference <= 2):
        raise UserError(
            f"{where}: preference is {json.dumps(preference)}; allowed: 1 (output_1) to 2 "
            "(output_2), 1.5 or 0 for a draw, null for none"
        )
    won = 0.5 if preference == 0 else preference - 1
    return Annotation(row["instruction"], row["output_1"], row["output_2"], float(won))


Rates = dict[str, float | int | None]


def win_rates(annotations: Sequence[Annotation]) -> Rates:
    """Return output_2's win rates over output_1 in percent, under AlpacaEval's names.

    The length-controlled win rate takes a response's length in characters (Dubois et al., 2024);
    `discrete_win_rate` rounds preferences to win, draw or loss. Where the length alone decides,
    there is no length-controlled win rate.
    """
    won = np.array([annotation.won for annotation in annotations])
    lengths = np.array([[len(a.output_1), len(a.output_2)] for a in annotations], dtype=float)
    equal = length_controlled(
        won, lengths[:, 1] - lengths[:, 0], [a.instruction for a in annotations]
    )
    n, wins, draws = len(won), int((won > 0.5).sum()), int((won == 0.5).sum())
    return {
        "win_rate": 100 * float(won.mean()),
        "standard_error": 100 * float(won.std(ddof=1)) / n**0.5 if n > 1 else None,
        "discrete_win_rate": 100 * (wins + draws / 2) / n,
        "length_controlled_winrate": None if math.isnan(equal) else 100 * equal,
        "n_wins": wins,
        "n_draws": draws,
        "n_wins_base": n - wins - draws,
        "n_total": n,
        "avg_length": float(lengths[:, 1].mean()),
    }


def rates_text(rates: Rates) -> str:
    """Return the win rates as lines of text, and the counts in the last line."""
    labels = {
        "win rate": "win_rate",
        "standard error": "standard_error",
        "discrete": "discrete_win_rate",
        "length-controlled": "length_controlled_winrate",
    }
    lines = [
        f"{label:<18} {'-' if rates[name] is None else f'{rates[name]:.2f}%':>8}"
        for label, name in labels.items()
    ]
    counts = [f"{rates['n_wins']} wins, {rates['n_draws']} draws, {rates['n_wins_base']} losses"]
    if left_out := rates.get("n_left_out"):
        counts.append(f"{left_out} row{'' if left_out == 1 else 's'} without a preference left out")
    return "\n".join([*lines, "; ".join(counts)])
