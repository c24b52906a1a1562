"""Many methods in one figure, and how each looks."""

from __future__ import annotations

from dataclasses import replace

from helpers.synthetic import make_results, make_runs
from helpers.synthetic_design import LEARNS_FROM

from bench.report.charts.facets import FEW, facets
from bench.report.charts.style import looks


def test_many_methods_are_split_by_what_they_learn_from() -> None:
    methods = list(LEARNS_FROM)
    about = {method: {"feedback": kind} for method, kind in LEARNS_FROM.items()}
    results = make_results({"runs": make_runs(["polite"], methods, 1)})
    results = replace(results, manifest={"methods": about})
    split = facets(results, methods)
    assert sorted(m for facet in split for m in facet.methods) == sorted(methods)
    assert max(len(facet.methods) for facet in split) <= FEW
    assert split[0].title == "learns from pairs"
    assert {LEARNS_FROM[method] for method in split[0].methods} == {"pairs"}
    assert [facet.title for facet in facets(results, methods[:FEW])] == [""]
    # A kind that does not fit in one panel takes two of about the same size.
    sizes = [len(facet.methods) for facet in facets(results, [f"plugin_{i}" for i in range(11)])]
    assert sizes == [6, 5]


def test_many_methods_differ_in_their_looks() -> None:
    methods = [*LEARNS_FROM, *(f"plugin_{i}" for i in range(40))]
    assert len(set(looks(methods).values())) == len(methods)
    first = [look.color for look in looks(["sft", "dpo", "a", "b", "c", "d"]).values()]
    assert len(set(first)) == 6
