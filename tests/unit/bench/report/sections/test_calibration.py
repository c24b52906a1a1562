"""How far to trust the verdicts, as every report says it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from helpers.synthetic import small_results

from bench.report.content.section import Tab
from bench.report.markdown import render_markdown
from bench.report.page.html import render_page
from bench.report.sections import SECTIONS
from bench.report.sections.calibration import calibration_section, calibration_sentences

SUMMARY = {
    "instances": 120,
    "instances_per_comparison": 6,
    "false_verdicts": {"count": 7, "of": 200, "share": 0.035, "low": 0.0142, "high": 0.0708},
    "kinds": {
        "itself": {"comparisons": 200, "right": 0, "none": 193, "wrong": 7},
        "crippled": {"comparisons": 120, "right": 90, "none": 30, "wrong": 0},
        "known order": {"comparisons": 80, "right": 30, "none": 48, "wrong": 2},
    },
}


def report_texts(manifest: dict[str, Any]) -> list[str]:
    """Return the section of a run with this manifest in Markdown and in HTML."""
    section = calibration_section(replace(small_results(), manifest=manifest))
    tab = Tab("statistics", "Statistics", (section,))
    return [render_markdown("run", "", [section]), render_page("run", "", [tab], {})]


def test_every_report_quotes_the_calibration() -> None:
    assert calibration_section in SECTIONS["Statistics"]
    for text in report_texts({}):
        assert "make calibrate" in text
    for text in report_texts({"calibration": SUMMARY}):
        assert "make calibrate" not in text
        assert "200 times" in text and "3.5%, 95% interval 1.4% to 7.1%" in text
        # 90 + 30 of 200, and 2 of 200.
        assert "better side in 60.0%" in text and "wrong in 1.0%" in text
        assert "a copy that was trained less" in text


def test_too_many_false_verdicts_are_warned_of() -> None:
    assert "trust none" not in " ".join(calibration_sentences(SUMMARY))
    false = {"count": 30, "of": 200, "share": 0.15, "low": 0.1035, "high": 0.207}
    assert "trust none" in calibration_sentences(SUMMARY | {"false_verdicts": false})[-1]
