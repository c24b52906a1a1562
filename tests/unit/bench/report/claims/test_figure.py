"""The figure of claims: what is drawn where."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from helpers.claims import Effect, all_verdicts, hostile_claims, with_verdicts
from matplotlib import rc_context

from bench.report.charts.style import RC, save
from bench.report.claims.figure import (
    TITLE_LINES,
    WIDTH,
    claims_figure,
    figure_rows,
    in_bounds,
    title_lines,
)


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (Effect(0.5), 5.0),
        (Effect(-0.5), -5.0),
        (Effect(-0.5, predicted="lower"), 5.0),
        (Effect(-0.5, predicted="not higher"), 5.0),
        (Effect(0.5, predicted="not lower"), 5.0),
        (Effect(0.5, predicted="equal"), -5.0),
        (Effect(-0.5, predicted="equal"), -5.0),
    ],
)
def test_effects_are_in_bounds_and_to_the_right_where_the_paper_predicts_them(
    effect: Effect, expected: float
) -> None:
    [result] = with_verdicts({"one": [effect]})
    found = in_bounds(result.tested.claim.contrasts[0], result.decisions[0])
    assert found.mean == pytest.approx(expected)
    assert found.low < found.mean < found.high
    width = result.decisions[0].evidence.mean.half_width / effect.bound
    assert found.half_width == pytest.approx(width)


def test_rows_follow_the_verdicts_and_do_not_overlap() -> None:
    rows = figure_rows(all_verdicts())
    assert [row.result.tested.name for row in rows] == ["holds", "part", "refuted", "open"]
    for above, below in itertools.pairwise(rows):
        assert below.top == pytest.approx(above.top + above.height)
    assert rows[1].height > rows[0].height, "it has three contrasts"


def test_every_contrast_with_values_is_drawn_within_the_axis() -> None:
    claims = with_verdicts({"one": [Effect(50.0), Effect(None)], "two": [Effect(-0.01, 0.2)]})
    ax = claims_figure(claims).axes[0]
    marks = [line for line in ax.lines if line.get_marker() not in ("None", None, "")]
    assert sorted(float(line.get_xdata()[0]) for line in marks) == pytest.approx([-0.1, 500])
    left, right = ax.get_xlim()
    assert left < -500 and right > 500
    bottom, top = ax.get_ylim()
    assert all(top < float(line.get_ydata()[0]) < bottom for line in marks)


def test_twenty_claims_are_legible_in_the_width_of_a_readme() -> None:
    titles = {f"c{i}": {"title": "Some method is better than another " * 3} for i in range(20)}
    figure = claims_figure(with_verdicts(dict.fromkeys(titles, [Effect(0.5)] * 2), titles))
    width, height = figure.get_size_inches()
    assert width == WIDTH and height < 11
    scale = 880 / (72 * width)
    sizes = [text.get_fontsize() * scale for text in figure.axes[0].texts]
    assert min(sizes) >= 10, "pixels"


def test_titles_fit_left_of_the_axis_and_within_the_figure() -> None:
    title = "Reward-model over-optimization sets in later with more labels, and much later still"
    figure = claims_figure(with_verdicts({"one": [Effect(0.5)]}, {"one": {"title": title}}))
    with rc_context(RC):
        figure.draw_without_rendering()
    ax = figure.axes[0]
    axis = ax.get_window_extent()
    names = [text for text in ax.texts if text.get_text().startswith("Reward-model")]
    verdicts = [text for text in ax.texts if text.get_text() == "holds here"]
    assert len(names) == len(verdicts) == 1
    assert names[0].get_window_extent().x0 >= 0 and names[0].get_window_extent().x1 < axis.x0
    assert verdicts[0].get_window_extent().x0 > axis.x1
    assert verdicts[0].get_window_extent().x1 <= figure.bbox.x1


def test_hostile_titles_are_cut_and_shown_as_they_are(tmp_path: Path) -> None:
    assert len(title_lines("w" * 10_000)) <= TITLE_LINES
    assert max(map(len, title_lines("w" * 10_000))) < 50
    assert title_lines("\u202ea") == ["[U+202E]a"] and title_lines(" ")
    with rc_context(RC):
        claims = [
            *hostile_claims(),
            *with_verdicts({"m": [Effect(1)]}, {"m": {"title": "$\\x$"}}),
        ]
        save(claims_figure(claims), tmp_path, "claims")
        first = (tmp_path / "claims.svg").read_bytes()
        save(claims_figure(claims), tmp_path, "claims")
    assert (tmp_path / "claims.svg").read_bytes() == first
    assert b"<script" not in first
