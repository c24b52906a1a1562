"""The report from synthetic results: what it says, what it must not say, and that it is safe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic import GRID, fail, make_runs, write_folder

from bench.errors import UserError
from bench.report.answer import answer
from bench.report.build import build_report, fenced, markdown_text
from bench.report.effort import effort_table
from bench.commands.export import export
from bench.results.loading import (
    FRONTIER_COLUMNS,
    RUN_COLUMNS,
    Results,
    load_results,
    typed,
)
from bench.analysis.selection import contrast, ranking, select_settings, selected_rows
from bench.report.tables import frontier_table, main_table
from bench.analysis.statistics import paired_interval

SMALL_LIMIT = [
    ("polite", 0, 0.0, 1.0, 100.0),
    ("polite", 0, 4.0, 5.0, 30.0),
    ("polite", 1, 0.0, 1.0, 80.0),
    ("polite", 1, 6.0, 7.0, 50.0),
    ("polite", 1, 5.0, 6.0, 20.0),
    ("exact", 0, 0.0, 1.0, np.nan),
    ("exact", 0, 7.0, 3.0, np.nan),
]
FIGURES = (
    "ranking",
    "frontier",
    "regret",
    "win_rates",
    "cost",
    "effort",
    "curves",
    "overoptimization",
    "likelihood",
)
Build = Callable[..., Path]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Write a results folder; small unless more is asked for."""

    def write(
        tasks: tuple[str, ...] = ("polite",),
        methods: tuple[str, ...] = ("sft", "dpo", "ppo", "ppo_gold"),
        seeds: int = 2,
        change: Callable[[pd.DataFrame], pd.DataFrame] = lambda runs: runs,
    ) -> Path:
        return write_folder(tmp_path / "run", change(make_runs(list(tasks), list(methods), seeds)))

    return write


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two tasks, five methods, six seeds and one failed run."""
    runs = make_runs(["polite", "exact"], list(GRID), 6)
    lost = (runs["task"] == "polite") & (runs["method"] == "dpo") & (runs["seed"] == 3)
    lost &= runs["strength"] == 0.1
    runs = fail(runs, lost, "RuntimeError: <b>out of memory</b> | at step 3")
    folder = write_folder(tmp_path_factory.mktemp("full"), runs, [("dpo", "ppo")])
    build_report(folder)
    return folder


class Page(HTMLParser):
    """Every tag of a page, and every attribute by name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.values: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.values += [(name, value or "") for name, value in attrs]


def test_all_files_are_there(full: Path) -> None:
    files = {file.name for file in (full / "figures").iterdir()}
    assert files == {f"{name}.{suffix}" for name in FIGURES for suffix in ("png", "svg")}
    assert (full / "report.md").exists()
    assert not list(full.glob(".*")), "temporary files stay behind"


def test_the_page_needs_nothing_else(full: Path) -> None:
    text = (full / "report.html").read_text()
    page = Page(text)
    assert all(value.startswith("data:") for name, value in page.values if name == "src")
    links = [value for name, value in page.values if name == "href"]
    # Papers are led to, and not loaded.
    assert links and all(link.startswith(("#", "https://example.org/")) for link in links)
    assert not {"script", "link", "iframe", "object"} & set(page.found)
    assert not re.search(r"https?://|@import|url\(", re.sub(r'<a href="https?://[^"]*">', "", text))


def test_every_link_in_the_page_leads_somewhere(full: Path) -> None:
    page = Page((full / "report.html").read_text())
    places = {value for name, value in page.values if name == "id"}
    inside = {value[1:] for name, value in page.values if name == "href" and value[0] == "#"}
    assert inside and inside <= places


def test_what_a_model_writes_is_only_shown(full: Path) -> None:
    text = (full / "report.html").read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | `code`" in text
    assert "&lt;b&gt;why&lt;/b&gt;" in text and "<b>" not in text
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?\n\1$", "", (full / "report.md").read_text())
    assert "alert" not in outside, "a response closed its fence"
    assert "<b>" not in outside


@pytest.mark.parametrize("text", ["a | b", "`code`", "*bold*", "[x](y)", "~~gone~~"])
def test_markdown_cells_are_inert(text: str) -> None:
    assert not re.search(r"(?<!\\)[|`*\[\]~]", markdown_text(text))
    assert re.sub(r"\\(.)", r"\1", markdown_text(text)) == text


def test_markdown_cells_keep_names_readable() -> None:
    assert markdown_text("ppo_gold <b>\n_x_") == r"ppo_gold &lt;b&gt; \_x\_"


def test_no_response_closes_its_fence() -> None:
    assert fenced("a\n````\nb").startswith("`````text\n")


def test_failures_are_loud(full: Path) -> None:
    for name in ("report.html", "report.md"):
        text = (full / name).read_text()
        first = text.index("1 of 102 runs failed: 1 of dpo")
        assert first < text.index("Win rates</h2>" if name.endswith("html") else "## Win rates")
        assert "out of memory" in text
        assert "<b>out" not in text


def test_the_sections_are_there(full: Path) -> None:
    text = (full / "report.html").read_text()
    for words in (
        "Where the gap comes from",
        "reward accuracy",
        "seeds: 6",
        "A Processor",
        "dpo 4",
        "All tasks together",
        "A verdict is given on the contrasts that the experiment file declares",
        "exact: on one scale",
        "Ranking</h2>",
        "Methods</h2>",
        "labels saved",
    ):
        assert words in text
    assert "<title>prefrontier: synthetic</title>" in text


def test_the_same_files_give_the_same_report(build: Build) -> None:
    folder = build(methods=("sft", "dpo"))
    first = build_report(folder).read_bytes()
    assert build_report(folder).read_bytes() == first


def test_settings_are_chosen_on_validation() -> None:
    runs = make_runs(["polite"], ["sft", "dpo"], 2)
    own = (runs["method"] == "dpo") & (runs["strength"] == 0.4)
    runs.loc[own & (runs["split"] == "validation"), "reward"] = 9.0
    runs.loc[own & (runs["split"] == "test"), "reward"] = -9.0
    runs = typed(runs, RUN_COLUMNS)
    assert select_settings(runs, "polite")["dpo"] == '{"beta": 0.4}'
    assert set(selected_rows(runs, "polite").query("method == 'dpo'")["reward"]) == {-9.0}


def test_a_setting_does_not_win_by_losing_seeds() -> None:
    runs = make_runs(["polite"], ["sft", "dpo"], 3)
    own = (runs["method"] == "dpo") & (runs["strength"] == 0.4)
    runs.loc[own, "reward"] = 9.0
    # Lost on test alone: the run is lost all the same.
    lost = own & (runs["seed"] == 1) & (runs["split"] == "test")
    whole, broken = (typed(frame, RUN_COLUMNS) for frame in (runs, fail(runs, lost, "lost")))
    assert select_settings(whole, "polite")["dpo"] == '{"beta": 0.4}'
    assert select_settings(broken, "polite")["dpo"] != '{"beta": 0.4}'


def _results(runs: pd.DataFrame, tmp_path: Path) -> Results:
    return load_results(write_folder(tmp_path, runs))


def test_differences_are_paired_by_seed() -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 4)
    lost = (runs["method"] == "dpo") & (runs["seed"] == 2)
    shuffled = fail(runs, lost, "lost").sample(frac=1, random_state=0)
    rows = selected_rows(typed(shuffled, RUN_COLUMNS), "polite")
    found = contrast(rows, "ppo", "dpo").difference
    by_seed = {
        m: rows[rows["method"] == m].set_index("seed")["reward"] for m in ("ppo", "dpo")
    }
    a, b = ([float(by_seed[m][seed]) for seed in (0, 1, 3)] for m in ("ppo", "dpo"))
    assert found == pytest.approx(paired_interval(a, b))


@pytest.mark.parametrize("seeds", [1, 5, 6])
def test_a_verdict_needs_six_seeds(seeds: int, tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo", "ppo_gold"], seeds)
    runs.loc[runs["method"] == "ppo", "reward"] += 0.5
    said = answer(_results(runs, tmp_path), "polite")
    assert ("ppo is better than dpo" in said.verdict) == (seeds == 6)
    assert ("Too few seeds" in said.verdict) == (seeds < 6)
    assert not any("is better" in sentence for sentence in said.sentences)


def test_the_test_prompts_decide_which_way(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 6)
    chosen = (runs["method"] == "dpo") & (runs["split"] == "validation")
    runs.loc[chosen, "reward"] += 5
    said = answer(_results(runs, tmp_path), "polite")
    assert said.verdict.startswith("ppo is better than dpo")
    assert "below the runner-up ppo" in said.sentences[0]


def test_no_verdict_on_chance(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 6)
    runs["reward"] = np.random.default_rng(0).normal(size=len(runs))
    assert "No difference shown" in answer(_results(runs, tmp_path), "polite").verdict


def test_a_test_without_its_interval_shows_no_difference(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "dpo", "ppo"], 6)
    runs["reward"] = 1.0
    better = runs["method"] == "ppo"
    runs.loc[better, "reward"] += runs.loc[better, "seed"].map(lambda s: 3.0 if s else 0.01)
    runs.loc[better & (runs["seed"] > 1), "reward"] = 1.01
    verdict = answer(_results(runs, tmp_path), "polite").verdict
    assert verdict.startswith("No difference shown between ppo and")
    assert "p = 0.031" in verdict and "but the 95% interval holds 0" in verdict


def test_a_privileged_method_is_never_best(tmp_path: Path) -> None:
    results = _results(make_runs(["polite"], list(GRID), 6), tmp_path)
    assert ranking(results.runs, "polite", results.privileged)[0] == "ppo"
    assert ranking(results.runs, "polite")[0] == "ppo_gold"
    said = answer(results, "polite")
    assert "gold" not in said.verdict
    assert "ppo_gold" not in said.sentences[0]
    assert any("no contender" in sentence for sentence in said.sentences)
    table = main_table(results.runs, "polite", results.privileged)
    assert [m for m in table["method"] if "privileged" in m] == ["ppo_gold (privileged)"]


def test_the_gap_is_split(full: Path) -> None:
    results = load_results(full)
    said = " ".join(answer(results, "exact").sentences)
    expected = "ppo lost 0.30 to its optimizer and 0.90 to the learned reward, less 0.20 where"
    assert expected in said
    assert "ppo_gold lost 0.30 to its optimizer" in said
    assert "ppo_gold lost 0.30 to its optimizer and" not in said
    # Where nothing was split, nothing is said.
    assert "to its optimizer" not in " ".join(answer(results, "polite").sentences)


def test_beating_the_limit_is_an_alarm(tmp_path: Path) -> None:
    runs = make_runs(["polite"], ["sft", "ppo"], 2)
    runs.loc[runs["method"] == "ppo", "efficiency"] = 1.2
    assert "no triumph" in " ".join(answer(_results(runs, tmp_path), "polite").warnings)


def test_the_main_table_shows_intervals_and_dashes() -> None:
    runs = typed(make_runs(["polite"], ["sft", "best_of_n", "ppo"], 3), RUN_COLUMNS)
    table = main_table(runs, "polite").set_index("method")
    rows = selected_rows(runs, "polite")
    gain = contrast(rows, "ppo", "sft").difference
    expected = f"+{gain.mean:.2f} [{gain.low:.2f}, {gain.high:.2f}]"
    assert table.loc["ppo", "gain over SFT"] == expected
    assert table.loc["sft", "gain over SFT"] == "—"
    assert table.loc["sft", "efficiency"] == "—"
    assert " ± " in table.loc["ppo", "gold reward"]
    assert list(table["seeds"]) == ["3/3"] * 3


def test_results_that_are_barely_there(build: Build) -> None:
    folder = build(methods=("sft",), seeds=1)
    for file in folder.iterdir():
        if file.name != "runs.csv":
            file.unlink()
    assert "nothing to be compared with" in build_report(folder).read_text()
    assert {f.name for f in (folder / "figures").iterdir()} == {"frontier.png", "frontier.svg"}


def test_figures_of_earlier_results_go(build: Build) -> None:
    folder = build(methods=("sft",))
    (folder / "figures").mkdir()
    (folder / "figures" / "cost.png").write_bytes(b"old")
    build_report(folder)
    assert not (folder / "figures" / "cost.png").exists()


def test_one_seed(build: Build) -> None:
    text = build_report(build(seeds=1)).read_text()
    assert "so no interval" in text and "nan" not in re.sub(r"data:[^\"]*", "", text)


def test_a_limit_that_is_not_known(build: Build) -> None:
    folder = build(change=lambda runs: runs.assign(frontier_reward=np.nan, efficiency=np.nan))
    (folder / "frontier.csv").unlink()
    assert "at that KL is not known" in build_report(folder).read_text()


@pytest.mark.parametrize("method", ["dpo", "sft"])
def test_all_runs_of_a_method_failed(build: Build, method: str) -> None:
    def change(runs: pd.DataFrame) -> pd.DataFrame:
        failed = fail(runs, runs["method"] == method, "KeyError: 'NA'")
        return failed[~((failed["method"] == method) & (failed["split"] == "test"))]

    text = build_report(build(change=change)).read_text()
    assert "0/2" in text and "KeyError" in text


def test_everything_failed(build: Build) -> None:
    folder = build(change=lambda runs: fail(runs, runs["seed"] >= 0, "no disk"))
    assert "No verdict" in build_report(folder).read_text()


def test_samples_are_exported_as_model_outputs(full: Path) -> None:
    results = load_results(full)
    chosen = select_settings(results.runs, "exact")["ppo"]
    kept = results.samples[
        (results.samples["task"] == "exact")
        & (results.samples["method"] == "ppo")
        & (results.samples["params"] == chosen)
        & (results.samples["seed"] == 1)
        & (results.samples["split"] == "test")
    ]
    text = export(full, method="ppo", task="exact", seed=1, form="alpaca_eval")
    outputs = json.loads(text)
    assert [row["instruction"] for row in outputs] == kept["prompt"].tolist()
    expected = [response.removesuffix("</answer>").rstrip() for response in kept["response"]]
    assert [row["output"] for row in outputs] == expected
    assert {row["generator"] for row in outputs} == {"prefrontier-ppo"}


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"method": "pppo"}, "--method: 'pppo' has no samples here; allowed: sft, dpo"),
        ({"task": "poilte"}, "--task: 'poilte' .*allowed: polite, exact"),
        ({"seed": 77}, "--seed: '77'"),
        ({"form": "csv"}, "unknown format 'csv'; allowed: alpaca_eval"),
    ],
)
def test_what_cannot_be_exported_is_said(
    full: Path, changed: dict[str, Any], complaint: str
) -> None:
    asked: dict[str, Any] = {"method": "ppo", "task": "", "seed": None, "form": "alpaca_eval"}
    with pytest.raises(UserError, match=complaint):
        export(full, **(asked | changed))


def test_what_all_settings_together_give() -> None:
    # KL, gold on validation, gold on test, for two settings that the two seeds agree on.
    figures = {"weak": (0.5, 1.2, 1.0), "strong": (2.0, 1.8, 2.0)}
    rows = [
        ("polite", "sft", "{}", seed, split, "ok", 0.0, 0.0)
        for seed in (0, 1)
        for split in ("validation", "test")
    ]
    rows += [
        ("polite", "ppo", params, seed, split, "ok", kl, gold)
        for params, (kl, validation, test) in figures.items()
        for seed in (0, 1)
        for split, gold in (("validation", validation), ("test", test))
    ]
    names = ["task", "method", "params", "seed", "split", "status", "kl", "reward"]
    runs = typed(pd.DataFrame(rows, columns=names), RUN_COLUMNS)
    line = [("polite", seed, kl, kl) for seed in (0, 1) for kl in (0.0, 4.0)]
    frontier = pd.DataFrame(line, columns=["task", "seed", "kl", "reward"])
    [row] = effort_table(runs, frontier, "polite").to_dict("records")
    # Under the limit 8; under the steps 1.5 * 1 + 2 * 2.
    assert row["area under the frontier"] == "69%"
    assert [row[f"gold at KL ≤ {k}"] for k in (1, 2, 4)] == ["1.00", "2.00", "2.00"]
    assert (row["best of 1"], row["best of 2"]) == ("1.50", "2.00")
    assert row["collapsed"] == "0/4"
    runs.loc[(runs["params"] == "weak") & (runs["seed"] == 1), "reward"] = -1.0
    assert effort_table(runs, frontier, "polite").iloc[0]["collapsed"] == "1/4"


def test_the_limits_table_says_how_far_it_is_drawn_and_on_what() -> None:
    frontier = pd.DataFrame(SMALL_LIMIT, columns=FRONTIER_COLUMNS)
    polite, exact = frontier_table(frontier, {"exact": "all listed"}).to_dict("records")
    assert polite["drawn to KL (nats)"] == "5.00" and polite["reward there"] == "6.00"
    assert polite["effective samples there"] == "40" and polite["fewest anywhere"] == "20"
    assert exact["task"] == "all listed" and exact["fewest anywhere"] == "exact"


def test_the_report_shows_effective_samples(full: Path) -> None:
    for name in ("report.html", "report.md"):
        text = (full / name).read_text()
        assert "effective samples there" in text and "two standard errors" in text


def test_unequal_effort_is_said(build: Build) -> None:
    def fewer(runs: pd.DataFrame) -> pd.DataFrame:
        return runs[(runs["method"] != "dpo") | (runs["strength"] < 0.3)]

    methods = ("sft", "dpo", "best_of_n", "ppo_gold")
    told = answer(load_results(build(methods=methods, change=fewer)), "polite").warnings
    assert told == [
        "Not the same effort: the settings tried are 2 of dpo and 4 of best_of_n. "
        "More are more chances."
    ]
    assert not answer(load_results(build(methods=methods)), "polite").warnings
