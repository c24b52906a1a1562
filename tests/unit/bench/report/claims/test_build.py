"""From results folders of claims to their files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from helpers.claims import Effect, make_claim
from helpers.synthetic import make_runs, write_folder

from bench.analysis.claims.folder import FILE, claim_text
from bench.analysis.selection import select_settings
from bench.report.claims.build import build_claims_page
from bench.report.several.index import write_report
from bench.results.loading import load_results

SEEDS = 4
FILES = {"claims.csv", "conditions.csv", "claims.md", "claims.html", "claims.png", "claims.svg"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the results of one claim on the task "polite"."""
    run = write_folder(tmp_path / "one", make_runs(["polite"], ["sft", "dpo", "ppo"], SEEDS))
    (run / FILE).write_text(claim_text(make_claim([Effect(0.0)]), [SEEDS]))
    return tmp_path


def test_all_files_are_written_from_the_results(folder: Path) -> None:
    assert build_claims_page(folder) == folder / "claims.html"
    assert {file.name for file in folder.iterdir()} == FILES | {"one"}
    results = load_results(folder / "one")
    test = (
        results.runs[results.runs["split"] == "test"]
        .set_index(["method", "params", "seed"])
        .sort_index()
    )
    chosen = select_settings(results.runs, "polite")
    rewards = {method: test.loc[(method, chosen[method]), "reward"] for method in ("dpo", "ppo")}
    expected = float((rewards["dpo"] - rewards["ppo"]).mean())
    [row] = pd.read_csv(folder / "claims.csv").to_dict("records")
    assert row["mean"] == pytest.approx(expected, rel=1e-6) and row["seeds"] == SEEDS
    assert f"{row['mean']:.2f}" in (folder / "claims.html").read_text()


def test_a_report_of_tested_claims_is_their_page(folder: Path) -> None:
    assert write_report(folder) == folder / "claims.html"
    assert not (folder / "index.html").exists()
    link = './one/report.html"'
    assert link not in (folder / "claims.html").read_text()
    (folder / "one" / "report.html").write_text("the report of its experiment")
    assert link in write_report(folder).read_text()


def test_the_same_results_give_the_same_files(folder: Path) -> None:
    build_claims_page(folder)
    first = {name: (folder / name).read_bytes() for name in FILES}
    build_claims_page(folder)
    assert {name: (folder / name).read_bytes() for name in FILES} == first


def test_a_figure_of_earlier_claims_goes(folder: Path) -> None:
    build_claims_page(folder)
    (folder / "one" / FILE).unlink()
    assert "No claim was tested." in build_claims_page(folder).read_text()
    assert not (folder / "claims.svg").exists() and not (folder / "claims.png").exists()
    assert write_report(folder) == folder / "index.html"
