"""How often findings on claims are false, by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.statistics import (
    above_p,
    difference_p,
    equivalence_p,
    finding,
    nominal_levels,
)
from bench.calibration.claims import (
    BOUND,
    COLUMNS,
    FAMILIES,
    FAMILY_BOUND,
    KINDS,
    LOOKS,
    Kind,
    Question,
    detectable,
    family_findings,
    found,
    simulate,
    summarize_claims,
)
from bench.calibration.claims_report import claims_table, claims_text
from bench.calibration.contrasts import EFFECTS, frontier, interaction, selected, trend
from bench.report.sections.calibration import claims_sentence
from bench.results.manifest import Claims


# With 24 seeds each sign-flip test draws 100,000 patterns of signs.
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow) if kind.looks == LOOKS else kind for kind in KINDS],
    ids=[f"{kind.name}, {kind.looks[-1]} seeds" for kind in KINDS],
)
def test_normal_contrasts_have_a_false_finding_in_5_of_100_cases(kind: Kind) -> None:
    comparisons = 500 if "KL" in kind.name else 4000
    shape = (comparisons, kind.looks[-1])
    values = kind.values(np.random.default_rng(1), EFFECTS["normal"], shape)
    values = values / values.std() - (0.0 if kind.question == "difference" else BOUND)
    noise = 3 * (0.05 * 0.95 / comparisons) ** 0.5
    false = (found(kind.question, values, kind.looks) != 0).mean()
    assert false == pytest.approx(0.05, abs=noise + 0.004)


@pytest.mark.parametrize("question", ["difference", "equivalence", "not lower"])
def test_looks_are_tested_at_their_levels(question: Question) -> None:
    values = np.random.default_rng(2).normal(-0.4, 1, size=(60, 24))
    one_sided = question != "difference"
    significance = 0.05 / 1.1
    levels = nominal_levels([0.5, 0.75, 1.0], 2 * significance if one_sided else significance)
    rejected = []
    for row in values:
        p_values = []
        for seeds in LOOKS:
            seen = row[:seeds].tolist()
            p_values.append(
                difference_p(seen)
                if question == "difference"
                else equivalence_p(seen, BOUND)
                if question == "equivalence"
                else above_p(seen, -BOUND)
            )
        sides = 2 if one_sided else 1
        rejected.append(any(sides * p <= level for p, level in zip(p_values, levels, strict=True)))
    assert ((found(question, values, LOOKS) != 0) == rejected).all()
    assert 0 < sum(rejected) < 60


def test_the_detectable_mean_is_that_of_power_tables() -> None:
    # Cohen's d of the one-sample t-test, two-sided level 0.05, power 0.8 (G*Power).
    assert detectable(12) == pytest.approx(0.889, abs=0.001)
    assert detectable(6) == pytest.approx(1.435, abs=0.001)


def test_effects_have_the_stated_moments() -> None:
    for name, effects in EFFECTS.items():
        drawn = effects(np.random.default_rng(0), (400_000,))
        assert drawn.mean() == pytest.approx(0, abs=0.01)
        assert drawn.var() == pytest.approx(1, abs=0.02)
        skewness = (drawn**3).mean()
        assert skewness == pytest.approx(-(2**0.5) if name == "skewed" else 0, abs=0.15)


def test_what_seeds_share_cancels() -> None:
    def none(random: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
        return np.zeros(size)

    for draw in (interaction, trend):
        assert draw(np.random.default_rng(0), none, (5, 12)) == pytest.approx(0)


def test_the_best_of_more_equal_settings_is_above_that_of_one_by_the_expected_maximum() -> None:
    random = np.random.default_rng(5)
    of_equals, of_one = (0.0, 0.0, 0.0, 0.0), (-9.0, -9.0, -9.0, 0.0)
    gaps = selected((of_equals, of_one))(random, EFFECTS["normal"], (20_000, 12))
    # The mean of the largest of four standard normal numbers, of which each is a mean of 12.
    assert gaps.mean() == pytest.approx(1.0294 / 12**0.5, abs=0.01)
    same = selected((of_equals, of_equals))(random, EFFECTS["normal"], (20_000, 12))
    assert same.mean() == pytest.approx(0, abs=0.01)
    assert same.var() == pytest.approx(4, abs=0.1)


def test_the_frontier_is_concave_and_rises() -> None:
    steps = np.diff(frontier(np.linspace(0.01, 15, 200)))
    assert (steps > 0).all() and (np.diff(steps) < 0).all()


def test_a_family_of_one_contrast_is_tested_at_the_whole_significance() -> None:
    values = np.random.default_rng(4).normal(0.6, 1, size=(40, 1, 24))
    found_alone = found("difference", values[:, 0], LOOKS)
    assert (family_findings(values, None)[:, 0] == "higher").tolist() == (found_alone > 0).tolist()
    bounded = family_findings(np.full((1, 3, 24), 0.3), FAMILY_BOUND)
    assert set(bounded.ravel()) == {finding(0.3, 0.0, 0.0)} == {"equal"}


def test_the_report_shows_every_kind() -> None:
    rows = simulate(4)
    assert list(rows.columns) == COLUMNS
    assert len(rows) == len(EFFECTS) * (len(KINDS) + len(FAMILIES))
    summary = summarize_claims(rows)
    table = claims_table(summary).rows
    assert [row["kind"] for row in table[::3]] == [kind.name for kind in (*KINDS, *FAMILIES)]
    first, without_right = rows.iloc[0], rows.index[rows["of"] == 0][0]
    assert table[0]["false"].startswith(f"{25 * first['false']}.0% [")
    assert table[0]["right"] == f"{25 * first['right']}.0%"
    assert table[without_right]["right"] == "—"
    assert "12, 18 and 24 seeds" in claims_text(summary)
    # A manifest may quote it.
    Claims.model_validate(summary)
    sentence = claims_sentence(summary)
    assert "of 12 kinds" in sentence and "families of 80 contrasts" in sentence
