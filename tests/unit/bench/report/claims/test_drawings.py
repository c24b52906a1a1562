"""Where the marks of the small charts are."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from helpers.claims import LEVELS, Effect, with_verdicts

from bench.analysis.statistics import Interval
from bench.report.claims import dose as doses
from bench.report.claims.dose import dose
from bench.report.claims.forest import HEIGHT, LIMIT, WIDTH, axis, forest, key
from bench.report.claims.rows import Condition, conditions_of

MIDDLE = WIDTH / 2


def drawn(effect: Effect) -> ElementTree.Element:
    [result] = with_verdicts({"one": [effect]})
    return ElementTree.fromstring(forest(result.tested.claim.contrasts[0], result.decisions[0]))


def number(element: ElementTree.Element, name: str) -> float:
    return float(element.attrib[name])


def find(chart: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [shape for shape in chart if shape.get("class") == kind]


def test_a_mean_lies_in_its_interval_and_on_its_side_of_zero() -> None:
    for mean in (-3.0, -0.05, 0.05, 3.0):
        chart = drawn(Effect(mean, 0.5 * abs(mean)))
        [dot], [interval] = find(chart, "dot"), find(chart, "range")
        x = number(dot, "cx")
        assert (x > MIDDLE) == (mean > 0)
        assert number(interval, "x1") < x < number(interval, "x2")


def test_one_axis_serves_effects_of_any_size() -> None:
    [band] = find(drawn(Effect(0.0)), "band")
    edge = number(band, "x") + number(band, "width")

    def place(bounds: float) -> float:
        return number(find(drawn(Effect(0.1 * bounds, 1e-6)), "dot")[0], "cx")

    assert place(1) == pytest.approx(edge, abs=0.1)
    assert place(0.5) == pytest.approx((MIDDLE + edge) / 2, abs=0.1), "linear in the band"
    steps = [place(bounds) for bounds in (1, 10, 100)]
    assert steps[1] - steps[0] == pytest.approx(steps[2] - steps[1], abs=0.2), "then logarithmic"
    labels = ElementTree.fromstring(axis())
    ticks = {text.text: number(text, "x") for text in labels if text.tag == "text"}
    assert ticks["10"] == pytest.approx(place(10), abs=0.1)
    assert ticks["-1"] == pytest.approx(number(band, "x"), abs=0.1)


def test_what_lies_beyond_the_axis_is_an_arrow_within_the_chart() -> None:
    far = 0.1 * LIMIT * 1000
    for mean in (far, -far):
        chart = drawn(Effect(mean, 1.0, "equal"))
        assert not find(chart, "dot")
        [arrow] = find(chart, "beyond")
        tip = float(arrow.attrib["d"][1:].split(",")[0])
        assert (tip > MIDDLE) == (mean > 0) and 0 <= tip <= WIDTH


@pytest.mark.parametrize(
    ("predicted", "left", "right", "arrows"),
    [
        ("higher", "zero", "end", 1),
        ("lower", "end", "zero", 1),
        ("equal", "bound", "bound", 0),
        ("not lower", "bound", "end", 1),
        ("not higher", "end", "bound", 1),
    ],
)
def test_a_line_is_where_the_paper_predicts_the_effect(
    predicted: str, left: str, right: str, arrows: int
) -> None:
    chart = drawn(Effect(0.0, predicted=predicted))
    [rail], [band] = find(chart, "rail"), find(chart, "band")
    start, width = number(band, "x"), number(band, "width")
    starts = {"zero": MIDDLE, "bound": start, "end": 7.0}
    ends = {"zero": MIDDLE, "bound": start + width, "end": WIDTH - 7.0}
    assert number(rail, "x1") == pytest.approx(starts[left], abs=0.1)
    assert number(rail, "x2") == pytest.approx(ends[right], abs=0.1)
    assert len(find(chart, "rail-end")) == arrows


def test_without_values_there_is_no_mark() -> None:
    chart = drawn(Effect(None))
    assert not find(chart, "dot") and not find(chart, "range")
    assert find(chart, "band") and find(chart, "rail")
    single = drawn(Effect(0.2, seeds=1))
    [dot], [interval] = find(single, "dot"), find(single, "range")
    assert number(interval, "x1") == number(interval, "x2") == number(dot, "cx")
    assert "nan" not in ElementTree.tostring(single, "unicode")


def test_the_color_is_that_of_the_outcome() -> None:
    kinds = [drawn(effect).attrib["class"] for effect in (Effect(0.5), Effect(-0.5), Effect(0, 9))]
    assert kinds == ["forest holds", "forest refuted", "forest not-decided"]
    assert all(ElementTree.fromstring(mark).tag == "svg" for mark in key().values())


def test_a_dose_response_rises_with_its_level() -> None:
    [result] = with_verdicts({"one": [Effect(2.0, levels=True)]})
    chart = ElementTree.fromstring(dose(conditions_of(result.tested.conditions[0])))
    dots = find(chart, "dot")
    places = [(number(dot, "cx"), number(dot, "cy")) for dot in dots]
    levels = list(LEVELS.values())
    span = doses.RIGHT - doses.LEFT
    assert [x for x, _ in places] == pytest.approx(
        [doses.LEFT + span * level / levels[-1] for level in levels], abs=0.1
    )
    # Twice the level is twice the difference, and up is less on a page.
    [zero] = find(chart, "zero")
    heights = [number(zero, "y1") - y for _, y in places]
    assert heights == pytest.approx([heights[1] / 0.1 * level for level in levels], abs=0.3)
    assert heights[-1] > 0
    labels = [text.text for text in chart if text.tag == "text"]
    assert {"0", "0.1", "0.2", "0.4"} <= set(labels)


def test_a_dose_response_needs_a_value() -> None:
    nothing = Condition("a", 0.0, 1.0, Interval(math.nan, math.nan, math.nan, 0))
    one = Condition("b", 1.0, 1.0, Interval(0.5, math.nan, math.nan, 1))
    assert dose([]) == dose([nothing]) == ""
    chart = dose([nothing, one])
    assert "nan" not in chart and len(find(ElementTree.fromstring(chart), "dot")) == 1
    assert number(ElementTree.fromstring(chart), "height") > HEIGHT
