"""The suite measured on itself: verdicts on known numbers, and one small calibration for real."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.models import same, weights
from scipy import stats
from synthetic import make_runs, write_folder

from bench.calibration.design import FULL, ITSELF, Design, pairs_of
from bench.calibration.replicas import DPOReplica, PPOReplica
from bench.calibration.summary import share, summarize
from bench.calibration.verdicts import (
    CALIBRATION_COLUMNS,
    DIFFERENCE_COLUMNS,
    PAIR_COLUMNS,
    judge,
    pairs,
    power,
    verdict,
)
from bench.cli import main
from bench.execution.manifest import calibration
from bench.report.build import build_report
from bench.report.trust import trust
from bench.execution.run import method_files
from bench.cache.store import Store
from methods.core.training.context import Context
from methods.core.models.policy import ModelPolicy
from methods.dpo import DPO
from methods.ppo import PPO


def by_scipy(differences: np.ndarray) -> np.ndarray:
    """Return 1, -1 or 0 for each row of six: all signs agree, and scipy's t-test rejects too."""
    p = stats.ttest_1samp(differences, 0, axis=1).pvalue
    agree = np.abs(np.sign(differences).sum(1)) == differences.shape[1]
    return np.where(agree & (p < 0.05), np.sign(differences[:, 0]), 0)


@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_verdicts_on_simulated_numbers_are_scipys(effect: float) -> None:
    data = np.random.default_rng(1).normal(effect, 1, size=(400, 6))
    found = [{"better": 1, "worse": -1, "none": 0}[verdict(list(row))] for row in data]
    assert found == by_scipy(data).tolist()


def test_false_verdicts_are_as_rare_as_the_signs_of_a_coin() -> None:
    data = np.random.default_rng(2).normal(size=(100_000, 6))
    # All six signs agree in 2 of 64 patterns; the interval can only take verdicts away.
    rate = float(np.mean(by_scipy(data) != 0))
    assert 0.02 < rate < 2 / 64 + 0.002
    # One side of it, by the function that draws the figure's curve.
    assert power(0.0) == pytest.approx(rate / 2, abs=3 * (0.016 / 500) ** 0.5)


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0])
def test_power_lies_within_the_closed_forms(effect: float) -> None:
    signs = stats.norm.cdf(effect) ** 6
    t = stats.nct.sf(stats.t.ppf(0.975, 5), 5, effect * 6**0.5)
    noise = 3 * (0.25 / 500) ** 0.5
    # Both must agree: no more than the smaller, no less than what they cannot help but share.
    assert signs + t - 1 - noise <= power(effect) <= min(signs, t) + noise


def test_too_few_worlds_give_no_verdict() -> None:
    assert verdict([1.0, 1.1, 1.2, 0.9, 1.3]) == "too few seeds"


def test_a_share_has_clopper_and_pearsons_interval() -> None:
    found = share(6, 200)
    assert found["share"] == 0.03
    expected = stats.beta.ppf(0.025, 6, 195), stats.beta.ppf(0.975, 7, 194)
    assert (found["low"], found["high"]) == pytest.approx(expected)
    assert share(0, 50)["low"] == 0.0


STEADY = [1.0, 1.1, 1.2, 0.9, 1.3, 0.8]
MIXED = [1.0, -1.1, 1.2, -0.9, 0.3, -0.2]


def frame(**by_pair: list[tuple[str, list[float]]]) -> pd.DataFrame:
    """Return differences as a design gives them: for each pair, (kind, six numbers) by group."""
    rows = [
        [kind, name, number, group, value]
        for number, (name, groups) in enumerate(by_pair.items())
        for group, (kind, values) in enumerate(groups)
        for value in values
    ]
    return pd.DataFrame(rows, columns=DIFFERENCE_COLUMNS)


def test_right_missing_and_wrong_verdicts_are_counted() -> None:
    negative = [-value for value in STEADY]
    known, lost = "known order", [*STEADY[:5], float("nan")]
    pipelines = frame(
        same=[(ITSELF, MIXED), (ITSELF, STEADY), (ITSELF, MIXED)],
        # Better on the whole: right twice, wrong once, nothing to say once, one pipeline lost.
        known=[(known, [9 * x for x in STEADY])] * 2
        + [(known, negative), (known, MIXED), (known, lost)],
        unknown=[("crippled", STEADY), ("crippled", negative)],
    )
    judged = judge(pipelines)
    assert list(judged.columns) == CALIBRATION_COLUMNS
    assert judged[judged["pair"] == "known"]["verdict"].tolist() == [
        *("better", "better", "worse", "none", "too few seeds")
    ]
    assert judged.groupby("pair")["truth"].first().to_dict() == {
        **{"known": "better", "same": "equal", "unknown": "unknown"}
    }
    found = pairs(pipelines, judged)
    assert list(found.columns) == PAIR_COLUMNS
    row = found[found["pair"] == "known"].iloc[0]
    data = pipelines[pipelines["pair"] == "known"]["difference"].dropna()
    assert row["effect"] == pytest.approx(data.mean() / data.std())
    assert row["low"] == pytest.approx(stats.ttest_1samp(data, 0).confidence_interval().low)
    summary = summarize(found, pipelines=30)
    assert summary["false_verdicts"]["count"] == 1
    assert summary["kinds"] == {
        "itself": {"comparisons": 3, "right": 0, "none": 2, "wrong": 1},
        "known order": {"comparisons": 5, "right": 2, "none": 2, "wrong": 1},
        "crippled": {"comparisons": 0, "right": 0, "none": 0, "wrong": 0},
    }
    assert summary["unknown"] == {"pairs": 1, "comparisons": 2}


def test_intervals_hold_the_truth_as_often_as_they_claim() -> None:
    random = np.random.default_rng(4)
    pipelines = frame(
        same=[(ITSELF, random.normal(size=6).tolist()) for _ in range(300)],
        known=[("known order", random.normal(1, 1, size=6).tolist()) for _ in range(300)],
    )
    response_source = summarize(pairs(pipelines, judge(pipelines)), pipelines=1800)["response_source"]
    assert response_source["of"] == 600
    assert 0.93 < response_source["count"] / response_source["of"] < 0.98


def test_no_policy_serves_twice_where_a_method_meets_itself() -> None:
    twins = [pair for pair in pairs_of(FULL) if pair.kind == ITSELF]
    arms = [arm for pair in twins for arm in (pair.ours, pair.theirs)]
    assert len(set(arms)) == len(arms)
    assert len(twins) * FULL.groups == 200


def test_replicas_are_cached_apart_and_with_their_methods_code(tmp_path: Path) -> None:
    runs = Design.of(FULL, Store(tmp_path)).runs
    assert len({run.key for run in runs[:70]}) == 70
    files = {file.name for kind in (DPOReplica, PPOReplica) for file in method_files(kind)}
    assert {"replicas.py", "dpo.py", "ppo.py"} <= files


@pytest.mark.parametrize(
    "method",
    [
        DPOReplica(examples=128, learning_rate=1e-2),
        PPOReplica(episodes=64, batch_size=32, minibatches=2, value_init="zero"),
    ],
)
def test_a_replica_is_the_same_method_with_other_random_numbers(
    method: DPOReplica | PPOReplica, make_context: Callable[..., Context]
) -> None:
    def train(replica: int) -> list[object]:
        policy = replace(method, replica=replica).train(make_context())
        assert isinstance(policy, ModelPolicy)
        return list(weights(policy))

    first = train(0)
    assert same(first, train(0))  # type: ignore[arg-type]
    assert not same(first, train(1))  # type: ignore[arg-type]
    original = DPO if isinstance(method, DPOReplica) else PPO
    assert (method.feedback, method.strength) == (original.feedback, original.strength)


SUMMARY = {
    "pipelines": 120,
    "worlds_per_comparison": 6,
    "false_verdicts": {"count": 7, "of": 200, "share": 0.035, "low": 0.0142, "high": 0.0708},
    "kinds": {
        "itself": {"comparisons": 200, "right": 0, "none": 193, "wrong": 7},
        "crippled": {"comparisons": 120, "right": 90, "none": 30, "wrong": 0},
        "known order": {"comparisons": 80, "right": 30, "none": 48, "wrong": 2},
    },
}


def test_every_report_says_how_far_to_trust_it(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "run", make_runs(["polite"], ["sft", "dpo"], 2))
    build_report(folder)
    assert "run `make calibrate`" in (folder / "report.html").read_text()
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"calibration": SUMMARY}))
    build_report(folder)
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text()
        assert "make calibrate" not in text
        assert "200 times" in text and "3.5%, 95% interval 1.4% to 7.1%" in text
        # 90 + 30 of 200, and 2 of 200.
        assert "better side in 60.0%" in text and "wrong in 1.0%" in text
        assert "a copy of less training" in text


def test_too_many_false_verdicts_are_said_aloud() -> None:
    assert "trust none" not in " ".join(trust(SUMMARY).sentences)
    false = {"count": 30, "of": 200, "share": 0.15, "low": 0.1035, "high": 0.207}
    assert "trust none" in trust(SUMMARY | {"false_verdicts": false}).sentences[-1]


def test_a_calibration_beside_the_results_is_the_one_quoted(tmp_path: Path) -> None:
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "summary.json").write_text(json.dumps(SUMMARY))
    assert calibration(tmp_path / "mine") == SUMMARY


def test_a_small_calibration_for_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "calibration"

    def calibrate() -> str:
        with pytest.raises(SystemExit) as ended:
            main(["calibrate", "--quick", "--jobs", "2", "--out", str(out)])
        output = capsys.readouterr().out
        assert not ended.value.code, output
        return output

    assert "12 pipelines, 12 to make; 72 runs, 72 to do" in calibrate()
    judged = pd.read_csv(out / "calibration.csv", keep_default_na=False)
    assert list(judged.columns) == CALIBRATION_COLUMNS
    # Three pairs, two groups of six pipelines that share none.
    assert judged.groupby("kind", sort=False)["group"].apply(list).tolist() == [[0, 1]] * 3
    assert set(judged["verdict"]) <= {"better", "worse", "none"}
    found = pd.read_csv(out / "pairs.csv", keep_default_na=False).set_index("kind")
    # Four samples to choose from beat two, and all training a quarter of it.
    assert found.loc["known order", "difference"] > 0
    assert found.loc["crippled", "difference"] > 0
    assert found.loc[ITSELF, "truth"] == "equal"
    summary = json.loads((out / "summary.json").read_text())
    assert summary["false_verdicts"]["of"] == 2
    report = (out / "report.md").read_text()
    assert "ppo vs ppo episodes 128" in report and "calibration.svg" in report
    assert (out / "calibration.png").stat().st_size > 0
    assert (out / "calibration.svg").stat().st_size > 0
    assert json.loads((out / "manifest.json").read_text())["failed_runs"] == 0
    names = ("calibration.csv", "pairs.csv", "summary.json", "report.md", "calibration.svg")
    before = {name: (out / name).read_bytes() for name in names}
    trained = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.safetensors")}
    assert "12 pipelines, 0 to make; 72 runs, 0 to do" in calibrate()
    assert trained == {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.safetensors")}
    assert before == {name: (out / name).read_bytes() for name in names}
