"""report.json: what it holds of tables, and what a number that is missing becomes."""

from __future__ import annotations

import json
import math

from bench.analysis.statistics import Interval
from bench.report.content.display import Link, number, plus_minus
from bench.report.content.section import Column, Part, Section, Tab, Table
from bench.report.numbers import report_json

COLUMNS = [Column("method", "method", "text"), Column("reward", "reward"), Column("kl", "KL")]


def test_numbers_are_whole_and_named() -> None:
    third = 1 / 3
    row = {
        "method": Link("a", "https://example.org"),
        "reward": plus_minus(Interval(third, 0.25, 0.5, 3)),
        "kl": number(math.nan),
    }
    part = Part("a task", task="a", warnings=("careful",), tables=(Table.of(COLUMNS, [row]),))
    tab = Tab("results", "Results", (Section("main", "Main", parts=(part, Part())),))
    drawn = [{"task": "a", "specs": {}, "data": {"points": [{"kl": 1.5}]}}]
    data = {
        "tasks": [{"name": "a"}],
        "methods": [{"name": "dpo"}],
        "head_to_head": {"specs": {}, "tasks": {"a": {"pairs": []}}},
        "plots": {"frontier": drawn},
        "samples": {"a": {}},
    }
    content = json.loads(report_json("run", "now", [tab], data))
    [shown] = content["sections"]["main"]["parts"]
    assert shown["task"] == "a" and shown["warnings"] == ["careful"]
    assert shown["tables"][0]["columns"] == {"method": "method", "reward": "reward", "kl": "KL"}
    assert shown["tables"][0]["rows"] == [
        {
            "method": {"text": "a", "url": "https://example.org"},
            "reward": {"value": third, "low": 0.25, "high": 0.5},
            "kl": None,
        }
    ]
    assert content["plots"] == {"frontier": {"a": {"points": [{"kl": 1.5}]}}}
    assert content["head_to_head"] == {"a": {"pairs": []}}
    assert "samples" not in content
