"""Pairwise annotations in AlpacaEval's format, and the win rates that they give."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.errors import UserError
from bench.evaluation.win_rate import length_controlled

TEXTS = ("instruction", "output_1", "output_2")


class Annotation(NamedTuple):
    """One comparison. won: 1 where output_2 won, 0 where output_1 did, 0.5 for a draw."""

    instruction: str
    output_1: str
    output_2: str
    won: float


def read_annotations(file: Path) -> tuple[list[Annotation], int]:
    """Return the annotations, and how many rows without a preference were left out.

    Raises UserError with the row (counted from 1) that is wrong.
    """
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{file}: is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{file}: line {error.lineno}: not JSON: {error.msg}") from None
    if not isinstance(rows, list):
        raise UserError(f"{file}: must be a JSON list of annotations")
    read = [_annotation(f"{file}: row {i}", row) for i, row in enumerate(rows, start=1)]
    kept = [annotation for annotation in read if annotation is not None]
    if not kept:
        raise UserError(f"{file}: no row has a preference")
    return kept, len(read) - len(kept)


def _annotation(where: str, row: object) -> Annotation | None:
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
    number = isinstance(preference, int | float) and not isinstance(preference, bool)
    if not number or not (preference == 0 or 1 <= preference <= 2):
        raise UserError(
            f"{where}: preference is {json.dumps(preference)}; allowed: 1 (output_1) to 2 "
            "(output_2), 1.5 or 0 for a draw, null for none"
        )
    won = 0.5 if preference == 0 else preference - 1
    return Annotation(row["instruction"], row["output_1"], row["output_2"], float(won))


Rates = dict[str, float | int | None]


def win_rates(annotations: Sequence[Annotation]) -> Rates:
    """Return output_2's win rates over output_1 in percent, under AlpacaEval's names.

    standard_error: of the win rate, 100 sd / sqrt(n). discrete_win_rate: preferences rounded to
    win, draw or loss. length_controlled_winrate: see `length_controlled`; it has a row's length in
    characters, as there.
    """
    won = np.array([annotation.won for annotation in annotations])
    lengths = np.array([[len(a.output_1), len(a.output_2)] for a in annotations], dtype=float)
    n, wins, draws = len(won), int((won > 0.5).sum()), int((won == 0.5).sum())
    return {
        "win_rate": 100 * float(won.mean()),
        "standard_error": 100 * float(won.std(ddof=1)) / n**0.5 if n > 1 else None,
        "discrete_win_rate": 100 * (wins + draws / 2) / n,
        "length_controlled_winrate": 100
        * length_controlled(
            won, lengths[:, 1] - lengths[:, 0], [a.instruction for a in annotations]
        ),
        "n_wins": wins,
        "n_draws": draws,
        "n_wins_base": n - wins - draws,
        "n_total": n,
        "avg_length": float(lengths[:, 1].mean()),
    }


def in_words(rates: Rates) -> str:
    """Return the rates as lines for people."""
    names = {
        "win rate": "win_rate",
        "standard error": "standard_error",
        "discrete": "discrete_win_rate",
        "length-controlled": "length_controlled_winrate",
    }
    lines = [
        f"{words:<18} {'-' if rates[name] is None else f'{rates[name]:.2f}%':>8}"
        for words, name in names.items()
    ]
    counts = [f"{rates['n_wins']} wins, {rates['n_draws']} draws, {rates['n_wins_base']} losses"]
    if left_out := rates.get("n_left_out"):
        counts.append(f"{left_out} row{'' if left_out == 1 else 's'} without a preference left out")
    return "\n".join([*lines, "; ".join(counts)])
