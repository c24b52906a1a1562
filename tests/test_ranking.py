"""The ranking over all tasks against figures by hand, and the page of methods."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from synthetic import LEARNS_FROM, fail, make_runs, write_folder

from bench.report.build import build_report, markdown_cell
from bench.report.display import Link, linked
from bench.report.charts.facets import FEW, facets
from bench.report.methods import methods_table
from bench.report.ranking import mean_ranks, ranking_table, seed_ranks
from bench.results.loading import Results, load_results
from bench.analysis.selection import selected_rows
from bench.report.charts.style import looks

HOSTILE = 'x"><img src=y onerror=z>|[a](b)'


def loaded(folder: Path, runs: pd.DataFrame) -> Results:
    return load_results(write_folder(folder, runs))


def test_ranks_are_those_of_gold_in_each_world(tmp_path: Path) -> None:
    results = loaded(tmp_path, make_runs(["polite", "exact"], ["sft", "dpo", "ppo", "ppo_gold"], 4))
    ranks = seed_ranks(results)
    for task in ("polite", "exact"):
        rows = selected_rows(results.runs, task)
        gold = rows.pivot(index="seed", columns="method", values="reward")
        gold = gold[["sft", "dpo", "ppo"]]
        assert ranks[task].to_numpy().tolist() == rankdata(-gold.to_numpy(), axis=1).tolist()


def test_who_failed_comes_last_and_who_was_not_run_takes_no_rank(tmp_path: Path) -> None:
    runs = make_runs(["polite", "exact"], ["sft", "dpo", "ppo", "best_of_n"], 3)
    lost = (runs["method"] == "ppo") & (runs["task"] == "polite") & (runs["seed"] == 1)
    absent = (runs["method"] == "best_of_n") & (runs["task"] == "exact")
    results = loaded(tmp_path, fail(runs, lost, "lost")[~absent])
    ranks = seed_ranks(results)
    assert list(ranks["polite"].columns) == ["sft", "dpo", "ppo"]
    assert ranks["polite"].loc[1].to_dict() == {"dpo": 1.0, "sft": 2.0, "ppo": 3.0}
    assert ranks["polite"].loc[0, "ppo"] < 3.0
    last = ranking_table(results).iloc[-1]
    assert (last["method"], last["rank"], last["mean rank"]) == ("best_of_n", "—", "—")
    assert ranking_table(results).set_index("method").loc["ppo", "pipelines"] == "5/6"


def test_methods_that_failed_together_share_the_last_rank(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 2)
    lost = runs["method"].isin(["dpo", "ppo"]) & (runs["seed"] == 0)
    ranks = seed_ranks(loaded(tmp_path, fail(runs, lost, "lost")))["polite"]
    assert ranks.loc[0].to_dict() == {"sft": 1.0, "dpo": 2.5, "ppo": 2.5}


RANKS = {
    "few": pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 1.0], "c": [3.0, 3.0]}),
    "more": pd.DataFrame({"a": [1.0, 1.0, 3.0], "b": [2.0, 3.0, 1.0], "c": [3.0, 2.0, 2.0]}),
}


def enumerated() -> np.ndarray:
    """Mean ranks of every way to draw the seeds of both tasks: 2^2 times 3^3, all as likely."""
    means = []
    for own in RANKS.values():
        draws = product(range(len(own)), repeat=len(own))
        means.append([own.to_numpy()[list(draw)].mean(axis=0) for draw in draws])
    return np.array([(few + more) / 2 for few, more in product(*means)])


def test_mean_ranks_count_every_task_alike() -> None:
    found = {own.method: own for own in mean_ranks(RANKS)}
    assert found["a"].mean_rank.mean == pytest.approx((3 / 2 + 5 / 3) / 2)
    assert found["b"].mean_rank.mean == pytest.approx((3 / 2 + 6 / 3) / 2)
    assert found["c"].by_task == {"few": 3.0, "more": pytest.approx(7 / 3)}
    assert [own.method for own in mean_ranks(RANKS)] == ["a", "b", "c"]
    assert {own.mean_rank.n for own in found.values()} == {5}


def test_intervals_and_the_probability_of_being_best_are_those_of_all_draws() -> None:
    every = enumerated()
    first = np.isclose(every, every.min(axis=1, keepdims=True))
    best = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    low, high = np.quantile(every, [0.025, 0.975], axis=0, method="inverted_cdf")
    found = sorted(mean_ranks(RANKS, resamples=40_000))
    assert [own.best for own in found] == pytest.approx(best.tolist(), abs=0.01)
    assert sum(own.best for own in found) == pytest.approx(1.0)
    assert [own.mean_rank.low for own in found] == pytest.approx(low.tolist(), abs=1e-9)
    assert [own.mean_rank.high for own in found] == pytest.approx(high.tolist(), abs=1e-9)


def test_one_seed_on_any_task_gives_no_interval(tmp_path: Path) -> None:
    one = {"few": RANKS["few"].iloc[:1], "more": RANKS["more"]}
    for own in mean_ranks(one):
        assert np.isnan([own.mean_rank.low, own.mean_rank.high, own.best]).all()
        assert np.isfinite(own.mean_rank.mean)
    table = ranking_table(loaded(tmp_path, make_runs(["polite"], ["sft", "dpo", "ppo"], 1)))
    assert table["mean rank"].tolist() == ["1.0", "2.0", "3.0"]
    assert table["probability of being best"].tolist() == ["—"] * 3


def test_a_privileged_method_takes_no_rank(tmp_path: Path) -> None:
    results = loaded(tmp_path, make_runs(["polite"], ["sft", "dpo", "ppo", "ppo_gold"], 3))
    table = ranking_table(results)
    assert table["method"].tolist() == ["ppo", "dpo", "sft", "ppo_gold (privileged)"]
    assert table["rank"].tolist() == ["1", "2", "3", "—"]
    # It has a gain all the same.
    assert table["normalized gain (IQM)"].tolist()[3] != "—"


def test_a_task_without_a_limit_is_ranked_like_the_others(tmp_path: Path) -> None:
    results = loaded(tmp_path, make_runs(["polite", "exact"], ["sft", "dpo", "ppo"], 2))
    known = results.frontier[results.frontier["task"] == "polite"]
    table = ranking_table(replace(results, frontier=known))
    assert "mean rank on exact" in table.columns
    gains = table.set_index("method")["normalized gain (IQM)"]
    assert gains["ppo"] != "—" and gains["sft"] == "—"


def test_settings_say_what_differs_between_tasks(tmp_path: Path) -> None:
    results = loaded(tmp_path, make_runs(["polite", "exact", "haiku"], ["sft", "dpo"], 1))
    row = methods_table(results).set_index("method").loc["dpo"]
    assert row["settings tried"] == "beta 0.1 / 0.2 / 0.4 / 0.8"
    assert row["other settings"] == "examples 4096, masked yes, epochs 1; on exact: epochs 2"
    assert row["paper"] == Link("Author of dpo, 2023", "https://example.org/dpo")
    assert (row["learns from"], row["dial"]) == ("pairs", "beta")
    tried = results.descriptions["tried"].where(results.descriptions["task"] != "haiku", "{}")
    fewer = replace(results, descriptions=results.descriptions.assign(tried=tried))
    shown = methods_table(fewer).set_index("method").loc["dpo", "settings tried"]
    assert shown == "beta 0.1 / 0.2 / 0.4 / 0.8; on haiku: beta not set"


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
def test_only_addresses_of_the_web_are_links(url: str) -> None:
    assert linked("a paper", url) == "a paper"


def test_a_link_in_markdown_cannot_end_early() -> None:
    shown = markdown_cell(Link("a] | b", "https://example.org/a)b|c>d"))
    assert shown == r"[a\] \| b](https://example.org/a%29b%7Cc%3Ed)"


class Links(HTMLParser):
    """The addresses of a page's links, and its images that are not inline."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.images: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a":
            self.links.append(found["href"] or "")
        if tag == "img" and not (found["src"] or "").startswith("data:"):
            self.images.append(found["src"] or "")


def test_hostile_names_and_addresses_are_only_shown(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, make_runs(["polite"], ["sft", "dpo", "ppo"], 2))
    about = pd.read_csv(folder / "methods.csv", dtype=str, keep_default_na=False)
    own = about["method"] == "dpo"
    address = f"https://example.org/{HOSTILE}".replace(" ", "")
    about.loc[own, ["title", "authors", "paper"]] = [HOSTILE, HOSTILE, address]
    about.loc[own, "fixed"] = json.dumps({HOSTILE: HOSTILE})
    about.loc[about["method"] == "ppo", "paper"] = "javascript:alert(1)"
    about.to_csv(folder / "methods.csv", index=False)
    runs = pd.read_csv(folder / "runs.csv", dtype=str, keep_default_na=False)
    for name in ("runs.csv", "methods.csv"):
        frame = runs if name == "runs.csv" else about
        frame["method"] = frame["method"].replace("dpo", HOSTILE)
        frame.to_csv(folder / name, index=False)
    page = Links(build_report(folder).read_text())
    assert address in page.links
    assert not page.images
    assert not [link for link in page.links if link.startswith("javascript")]
    text = (folder / "report.md").read_text()
    assert "<img" not in text and "[a](b)" not in re.sub(r"(?ms)^```.*?^```", "", text)


def test_results_without_descriptions_have_a_page_all_the_same(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, make_runs(["polite"], ["sft", "dpo", "ppo"], 2))
    (folder / "methods.csv").unlink()
    assert "Methods</h2>" in build_report(folder).read_text()
    table = methods_table(load_results(folder))
    assert table["method"].tolist() == ["sft", "dpo", "ppo"]
    assert table["learns from"].tolist() == ["nothing further", "pairs", "reward"]
    assert set(table["paper"]) == {"—"}


def test_many_methods_are_split_by_what_they_learn_from(tmp_path: Path) -> None:
    methods = list(LEARNS_FROM)
    results = loaded(tmp_path, make_runs(["polite"], methods, 1))
    split = facets(results, methods)
    assert sorted(m for facet in split for m in facet.methods) == sorted(methods)
    assert max(len(facet.methods) for facet in split) <= FEW
    assert split[0].title == "learns from pairs"
    assert {LEARNS_FROM[method] for method in split[0].methods} == {"pairs"}
    assert [facet.title for facet in facets(results, methods[:FEW])] == [""]
    # A kind that does not fit in one panel takes two that are as full.
    sizes = [len(own.methods) for own in facets(results, [f"plugin_{i}" for i in range(11)])]
    assert sizes == [6, 5]


def test_many_methods_have_looks_of_their_own() -> None:
    methods = [*LEARNS_FROM, *(f"plugin_{i}" for i in range(40))]
    assert len(set(looks(methods).values())) == len(methods)
    first = [look.color for look in list(looks(["sft", "dpo", "a", "b", "c", "d"]).values())]
    assert len(set(first)) == 6
