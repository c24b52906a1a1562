"""The held-out error of Gao's forms, on gains made from a form and against its closed form."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic import make_results
from numpy import ndarray

from bench.analysis.claims.forms import excess_error, form_of, held_out_error, quadratic
from bench.analysis.claims.values import by_condition, by_seed
from bench.analysis.overoptimization import Form
from bench.config.claim import ClaimContrast

# Four settings, each with checkpoints at a growing KL.
D = np.array([0.4, 0.7, 0.9, 0.5, 0.9, 1.3, 0.6, 1.3, 1.9, 0.6, 1.6, 2.6])
PARAMS = np.repeat(["a", "b", "c", "d"], 3)
CURVES = {
    "best-of-n": lambda d: d * (1.5 - 0.4 * d),
    "RL": lambda d: d * (0.5 - 0.6 * np.log(d)),
    "quadratic": lambda d: 0.9 * d**2 - 0.1 * d**4,
}


def points(reward: ndarray, d: ndarray = D, params: ndarray = PARAMS) -> pd.DataFrame:
    return pd.DataFrame({"params": params, "d": d, "reward": reward})


@pytest.mark.parametrize("form", ["best-of-n", "RL"])
def test_the_form_that_made_the_gains_predicts_them(form: Form) -> None:
    """Its own error is 0, so the number is the other's error, with the right sign."""
    made = points(CURVES[form](D))
    assert excess_error(made, form) == pytest.approx(-held_out_error(made, quadratic), abs=1e-9)
    assert excess_error(made, form) < -0.1
    assert excess_error(points(CURVES["quadratic"](D)), form) > 0.1


@pytest.mark.parametrize("form", ["best-of-n", "RL"])
def test_noise_does_not_hide_which_form_made_the_gains(form: Form) -> None:
    noise = np.random.default_rng(0).normal(scale=0.03, size=len(D))
    assert excess_error(points(CURVES[form](D) + noise), form) < -0.05
    assert excess_error(points(CURVES["quadratic"](D) + noise), form) > 0.05


def test_the_held_out_error_is_that_of_the_hat_matrix() -> None:
    """The residuals of a group that is left out are (I - H)^-1 times those of the whole fit."""
    gain = np.random.default_rng(1).normal(size=len(D))
    features = np.stack([D**2, D**4], axis=1)
    hat = features @ np.linalg.inv(features.T @ features) @ features.T
    residuals = gain - hat @ gain
    left_out = []
    for group in np.unique(PARAMS):
        own = np.flatnonzero(group == PARAMS)
        left_out += np.linalg.solve(
            np.eye(len(own)) - hat[np.ix_(own, own)], residuals[own]
        ).tolist()
    expected = math.sqrt(np.mean(np.square(left_out)))
    assert held_out_error(points(gain), quadratic) == pytest.approx(expected)


def test_points_near_the_reference_do_not_count() -> None:
    """The RL form is not valid there, so neither form is result by them."""
    reward = CURVES["RL"](D)
    near = points(np.append(reward, 5.0), np.append(D, 0.05), np.append(PARAMS, "a"))
    assert excess_error(near, "RL") == excess_error(points(reward), "RL")


def test_with_too_few_points_to_fit_there_is_no_number() -> None:
    assert math.isnan(excess_error(points(D[:3], D[:3], PARAMS[:3]), "RL"))
    # Without the second setting three points are left.
    assert math.isnan(excess_error(points(D[:6], D[:6], PARAMS[:6]), "RL"))
    assert math.isnan(excess_error(points(D[:0], D[:0], PARAMS[:0]), "RL"))


def test_a_claim_takes_the_form_of_its_method_and_all_settings_with_checkpoints() -> None:
    """Seed by seed; rewards are gains over the seed's SFT policy, at 10 for each seed."""
    shapes = {"ppo": "RL", "best_of_n": "best-of-n"}
    rows = [
        {
            "task": "t",
            "method": method,
            "params": json.dumps({"n": group}),
            "strength": 1.0,
            "seed": seed,
            "status": "ok",
            "split": "test",
            "step": step,
            "kl": d**2,
            "reward": 10 * seed + CURVES[shape](d),
        }
        for method, shape in shapes.items()
        for seed in range(2)
        for step, (group, d) in enumerate(zip(PARAMS, D, strict=True))
    ]
    frame = pd.DataFrame(rows)
    # Of every setting, the last point is the final policy.
    ended = frame.groupby(["method", "seed", "params"]).tail(1)
    sft = ended[ended["method"] == "ppo"].groupby("seed").head(1)
    sft = sft.assign(method="sft", params="{}", kl=0.0, reward=10.0 * sft["seed"])
    runs = pd.concat([ended, sft]).drop(columns="step")
    results = make_results({"runs": runs, "checkpoints": frame.drop(columns=["split", "status"])})
    for method, shape in shapes.items():
        contrast = ClaimContrast(
            name="it",
            quantity="held-out error of Gao's form minus a quadratic's",
            of=method,
            task="t",
            predicted="lower",
            bound=0.02,
        )
        expected = -held_out_error(points(CURVES[shape](D)), quadratic)
        found = by_seed(contrast, by_condition(results, contrast))
        assert found.to_dict() == pytest.approx({0: expected, 1: expected})
        assert form_of(method) == shape
