"""How often verdicts are false where all seeds share the test prompts."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.sampled_prompts import TASK, recorded_results

from bench.analysis.contrasts import with_verdict
from bench.analysis.statistics import crossed_mean, verdict
from bench.calibration import shared_prompts
from bench.calibration.report import shared_prompts_table, shared_prompts_text
from bench.calibration.shared_prompts import (
    CELLS,
    COLUMNS,
    Cell,
    draw,
    seeds_alone,
    simulate,
    summarize_shared_prompts,
    verdicts,
)
from bench.report.sections.calibration import shared_prompts_sentence


@pytest.mark.parametrize("cell", CELLS[:6], ids=str)
def test_equal_methods_get_a_verdict_in_5_of_100_comparisons(cell: Cell) -> None:
    table = draw(cell, 2000, np.random.default_rng(1))
    noise = 3 * (0.05 * 0.95 / 2000) ** 0.5
    assert (verdicts(table.mean(-1), crossed_mean(table)) != 0).mean() < 0.05 + noise


@pytest.mark.parametrize("cell", [Cell(64, 0.02), Cell(64, 0.05)], ids=str)
def test_seeds_alone_give_them_a_verdict_in_more_than_40_of_100(cell: Cell) -> None:
    table = draw(cell, 2000, np.random.default_rng(1))
    assert 0.4 < (seeds_alone(table.mean(-1)) != 0).mean() < 0.6


def test_verdicts_are_those_of_reports() -> None:
    tables = draw(Cell(64, 0.2), 20, np.random.default_rng(2)) + 0.35
    found = verdicts(tables.mean(-1), crossed_mean(tables))
    names = {1: "better", -1: "worse", 0: "none"}
    for table, sign in zip(tables, found, strict=True):
        results = recorded_results({"ppo": np.zeros_like(table), "dpo": table}, [("dpo", "ppo")])
        [comparison] = with_verdict(results, TASK)
        assert comparison.verdict == names[int(sign)]
    assert 0 < (found != 0).sum() < 20


def test_verdicts_by_seeds_alone_are_those_of_embedded_tasks() -> None:
    by_seed = np.random.default_rng(3).normal(0.5, 0.5, size=(200, 6))
    names = {1: "better", -1: "worse", 0: "none"}
    expected = [verdict(list(row)) for row in by_seed]
    assert [names[int(sign)] for sign in seeds_alone(by_seed)] == expected
    assert len(set(expected)) > 1


def test_effects_have_the_stated_deviations() -> None:
    for effects in shared_prompts.EFFECTS.values():
        drawn = effects(np.random.default_rng(0), (400_000,))
        assert drawn.mean() == pytest.approx(0, abs=0.01) and drawn.var() == pytest.approx(
            1, abs=0.2
        )


def test_the_report_shows_every_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_prompts, "AT_ONCE", 30)
    cells = simulate(100)
    assert list(cells.columns) == COLUMNS and len(cells) == 4 * len(CELLS)
    assert (cells[["better", "worse", "none"]].sum(axis=1) == 100).all()
    summary = summarize_shared_prompts(cells)
    rows = shared_prompts_table(summary).rows
    assert [row["prompts"] for row in rows] == [str(cell.prompts) for cell in CELLS]
    first = cells[(cells["prompts"] == 64) & (cells["seed_deviation"] == 0.02)].iloc[0]
    false = int(first["better"] + first["worse"])
    assert rows[0]["false"].startswith(f"{false}.0% [")
    assert "100 simulated comparisons at 6 seeds" in shared_prompts_text(summary)
    assert "64 and 256 prompts got a verdict in" in shared_prompts_sentence(summary)
