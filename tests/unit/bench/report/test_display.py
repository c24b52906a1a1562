"""Numbers and links as people read them."""

from __future__ import annotations

import math
import re
from pathlib import PurePosixPath
from urllib.parse import unquote

import pytest

from bench.analysis.statistics import Interval
from bench.report.content.display import (
    MISSING,
    count,
    file_link,
    linked,
    listed,
    metric_label,
    metric_value,
    number,
    p_value,
    parameter,
    percent,
    plus_minus,
    seconds,
    setting,
    signed,
)
from bench.results.columns import Metric
from bench.results.metrics import METRICS


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//example.org",
        "https://",
        "https://a b",
        "",
        "[",
    ],
)
def test_only_web_addresses_are_links(url: str) -> None:
    assert linked("a paper", url) == "a paper"


def test_what_is_missing_is_a_dash_and_never_0() -> None:
    for show in (number, count, percent, seconds):
        assert show(math.nan) == show(math.inf) == MISSING
    assert signed(Interval(math.nan, math.nan, math.nan, 0)) == MISSING


def test_small_numbers_are_not_shown_as_0() -> None:
    assert number(0.001) == "0.001" and number(0.0) == "0.00"
    assert number(1234.5) == "1,234.50" and number(-0.0123) == "-0.01"
    assert number(-0.0022) == "-0.002"
    assert seconds(0.02) == "0.02" and seconds(5.25) == "5.2" and seconds(61.4) == "61"


def test_what_is_0_for_all_purposes_is_shown_as_0_and_keeps_its_value() -> None:
    for value in (-1.5e-6, 1.5e-6, -0.0):
        assert number(value) == "0.00" and number(value).value == value
    assert percent(-0.001) == "0%" and count(-0.2) == "0"
    tiny = Interval(1e-7, -1e-7, 3e-7, 3)
    assert signed(tiny) == "0.00 [0.00, 0.00]" and signed(tiny).value == 1e-7
    # Nothing has an exponent.
    for exponent in range(-12, 7):
        assert "e" not in number(3.0 * 10.0**exponent)


def test_a_small_p_is_a_bound() -> None:
    assert p_value(0.0004) == "<0.001" and p_value(0.0004).value == 0.0004
    assert p_value(0.03125) == "0.031" and p_value(1.0) == "1.000" and p_value(math.nan) == MISSING


def test_hyper_parameters_are_as_short_as_they_are() -> None:
    assert [parameter(value) for value in (0.0001, 1.0, 16)] == ["0.0001", "1", "16"]
    assert parameter(0.25).value == 0.25


def test_shares_are_percentages() -> None:
    assert percent(0.125) == "12%" and percent(0.125, 1) == "12.5%"


def test_intervals_are_shown_where_there_are_any() -> None:
    known = Interval(1.0, 0.5, 1.5, 3)
    assert plus_minus(known) == "1.00 ± 0.50" and signed(known) == "+1.00 [0.50, 1.50]"
    one = Interval(-1.0, math.nan, math.nan, 1)
    assert plus_minus(one) == "-1.00" and signed(one) == "-1.00"


@pytest.mark.parametrize(
    ("params", "shown"),
    [
        ('{"beta": 0.1, "n": 4}', "beta 0.1, n 4"),
        ("{}", MISSING),
        ("weak", "weak"),
        ("[1]", "[1]"),
    ],
)
def test_settings_are_names_and_values(params: str, shown: str) -> None:
    assert setting(params) == shown


def test_names_are_joined_as_in_a_sentence() -> None:
    assert [listed(list("abc")[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_a_heading_names_the_unit_once() -> None:
    by_name = {metric.name: metric for metric in METRICS}
    assert metric_label(by_name["kl"]) == "KL (nats)"
    assert metric_label(by_name["response_tokens"]) == "response tokens"
    assert metric_label(by_name["reward"], "judge") == "judge reward"


def test_a_metric_is_shown_in_its_format() -> None:
    formats = {"number": "0.50", "tokens": "0.5", "percent": "50%", "count": "0", "seconds": "0.5"}
    for style, shown in formats.items():
        assert metric_value(Metric("x", "x", "", format=style), 0.5) == shown  # type: ignore[arg-type]
    assert {metric.format for metric in METRICS} <= formats.keys()


@pytest.mark.parametrize(
    "path", ["a/b.html", "javascript:alert(1)", "//host/x", 'a"b<c>', "a?b#c%d", "../ü", "a\nb"]
)
def test_a_link_to_a_file_is_never_another_address(path: str) -> None:
    url = file_link("x", PurePosixPath(path)).url
    assert re.fullmatch(r"\./[A-Za-z0-9_./%~-]*", url)
    assert unquote(url) == f"./{PurePosixPath(path)}"
