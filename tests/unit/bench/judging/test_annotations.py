"""Win rates of a file of annotations, against values worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import UserError
from bench.evaluation.win_rate import length_controlled
from bench.judging.annotations import read_annotations, win_rates

# 20 rows with a preference: 9 wins, of which one by 0.75, 3 draws and 8 losses, one of 0.25.
PREFERENCES = [2.0] * 8 + [1.75] + [1.5, 0, 1.5] + [1.0] * 7 + [1.25]


def row(preference: Any, prompt: str = "why ?", ours: str = "because", base: str = "so") -> Any:
    return {"instruction": prompt, "output_1": base, "output_2": ours, "preference": preference}


def write(folder: Path, content: Any) -> Path:
    file = folder / "annotations.json"
    file.write_text(json.dumps(content))
    return file


def twenty() -> list[Any]:
    rows = [
        row(preference, f"question {i}", "word " * (i * 7 % 11 + 1), "word " * (i % 5 + 1))
        for i, preference in enumerate(PREFERENCES)
    ]
    return [*rows[:10], row(None), *rows[10:]]


def swapped(rows: list[Any]) -> list[Any]:
    def turn(preference: float | None) -> float | None:
        return 3 - preference if preference else preference

    return [
        row(turn(r["preference"]), r["instruction"], r["output_1"], r["output_2"]) for r in rows
    ]


def test_win_rates_by_hand(tmp_path: Path) -> None:
    annotations, left_out = read_annotations(write(tmp_path, twenty()))
    assert left_out == 1
    rates = win_rates(annotations)
    # 8 + 0.75 + 3 * 0.5 + 0.25 = 10.5 of 20; squares 8 + 0.5625 + 0.75 + 0.0625 = 9.375.
    assert rates["win_rate"] == pytest.approx(52.5, abs=1e-9)
    error = 100 * math.sqrt((9.375 - 20 * 0.525**2) / 19 / 20)
    assert rates["standard_error"] == pytest.approx(error, abs=1e-9)
    assert rates["discrete_win_rate"] == pytest.approx(52.5, abs=1e-9)
    counts = [rates[name] for name in ("n_wins", "n_draws", "n_wins_base", "n_total")]
    assert counts == [9, 3, 8, 20]


@pytest.mark.parametrize("repeats", [1, 3])
def test_swapped_sides_give_100_minus(tmp_path: Path, repeats: int) -> None:
    rows = twenty() * repeats
    ours = win_rates(read_annotations(write(tmp_path, rows))[0])
    theirs = win_rates(read_annotations(write(tmp_path, swapped(rows)))[0])
    for name in ("win_rate", "discrete_win_rate", "length_controlled_winrate"):
        assert float(theirs[name] or 0) == pytest.approx(100 - float(ours[name] or 0), abs=1e-6)


def test_a_model_against_itself_is_50(tmp_path: Path) -> None:
    rows = [row(1.5, f"q {i}", "word " * i, "word " * i) for i in range(1, 9)]
    rates = win_rates(read_annotations(write(tmp_path, rows))[0])
    assert rates["length_controlled_winrate"] == pytest.approx(50, abs=1e-9)
    assert rates["win_rate"] == 50


def test_the_length_is_taken_out() -> None:
    # Preferences as the model has them, with twice the liking for length as for the response.
    random = np.random.default_rng(0)
    longer = random.normal(30, 20, size=4000)
    won = expit(0.4 + 1.5 * np.tanh(longer / longer.std(ddof=1)))
    rate = length_controlled(won, longer, [str(i) for i in range(4000)])
    assert rate == pytest.approx(expit(0.4), abs=1e-6)
    assert won.mean() > rate + 0.1


def test_a_side_that_always_wins_has_a_finite_fit() -> None:
    assert length_controlled(np.ones(10), np.arange(10.0), list("abcdefghij")) > 0.99


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"preference": 1}, "JSON list"),
        ([row(2), {"output_1": "a"}], "row 2: 'instruction' is missing"),
        ([row(3)], "row 1: preference is 3"),
        ([row("2")], 'preference is "2"'),
        ([row(True)], "preference is true"),
        ([row(1.0, ours=7)], "'output_2' must be text"),  # type: ignore[arg-type]
        ([row(None)], "no row has a preference"),
    ],
)
def test_mistakes_say_where_and_what(tmp_path: Path, content: Any, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        read_annotations(write(tmp_path, content))


def test_broken_json_says_which_line(tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_text('[\n{"preference": 1,}\n]')
    with pytest.raises(UserError, match="line 2: not JSON"):
        read_annotations(file)


def test_the_command_prints_a_table_and_json(tmp_path: Path) -> None:
    file = write(tmp_path, twenty())
    shown = CliRunner().invoke(app, ["winrate", str(file)])
    assert shown.exit_code == 0
    assert "52.50" in shown.output
    assert "1 row without a preference" in shown.output
    read = json.loads(CliRunner().invoke(app, ["winrate", str(file), "--json"]).output)
    assert read["win_rate"] == pytest.approx(52.5, abs=1e-9)
    assert read["n_left_out"] == 1
