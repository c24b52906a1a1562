"""Claim files: the built-in ones are valid, and a mistake is one line with what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.analysis.claims.checking import check_contrasts
from bench.config.claim import NamedClaim, claim_names, load_claim, parse_claim
from bench.errors import UserError

CONTRAST = {
    "name": "DPO less best-of-n",
    "quantity": "reward",
    "of": "dpo",
    "minus": "best_of_n",
    "task": "small",
    "predicted": "higher",
    "bound": 0.1,
}
GOOD: dict[str, Any] = {
    "title": "DPO is better",
    "paper": "Somebody (2024)",
    "url": "https://arxiv.org/abs/1",
    "place": "table 1",
    "statement": "DPO has more reward.",
    "refuted_by": "It has less.",
    "shared": {"task": "exact", "options": {"length": 3, "architecture": {"layers": 1}}},
    "experiment": {
        "tasks": {
            "small": {},
            "wide": {"options": {"architecture": {"hidden": 16}}},
            "without": {"methods": {"best_of_n": None}},
        },
        "methods": {"dpo": {}, "best_of_n": {}},
    },
    "contrasts": [CONTRAST],
}
LEVELS = {"small": 1.0, "wide": 2.0}
FOUR = {"small": 1.0, "wide": 2.0, "third": 3.0, "fourth": 4.0}


def with_contrast(**fields: object) -> dict[str, Any]:
    contrast = {key: value for key, value in (CONTRAST | fields).items() if value is not None}
    return GOOD | {"contrasts": [contrast]}


def with_factor(**better: str) -> dict[str, Any]:
    return GOOD | {
        "factors": {"it": {"better": better, "worse": {"method": "dpo", "task": "small"}}}
    }


@pytest.mark.parametrize("name", claim_names())
def test_every_built_in_claim_is_valid(name: str) -> None:
    claim = load_claim(name)
    check_contrasts(claim, name)
    # So that it does not disturb an experiment of the same name.
    assert claim.experiment(6).name == f"claim-{name}"


def test_tasks_share_options_and_keep_their_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(GOOD, sort_keys=False))
    claim = load_claim(str(file))
    experiment = claim.experiment(9)
    assert experiment.seeds == 9 and list(experiment.methods) == ["sft", "dpo", "best_of_n"]
    architectures = [task.architecture for task in experiment.task_objects.values()]  # type: ignore[attr-defined]
    assert [(a.layers, a.hidden) for a in architectures] == [(1, 32), (1, 16), (1, 32)]
    assert {task.length for task in experiment.task_objects.values()} == {3}  # type: ignore[attr-defined]


def test_a_method_that_all_tasks_leave_out_can_be_in_again_on_one() -> None:
    tasks = {"small": {"methods": {"best_of_n": {}}}, "wide": {}}
    content = GOOD | {
        "shared": GOOD["shared"] | {"methods": {"best_of_n": None}},
        "experiment": GOOD["experiment"] | {"tasks": tasks},
    }
    experiment = NamedClaim("mine", parse_claim(content, "mine.yaml")).experiment(6)
    assert not experiment.leaves_out("best_of_n", "small")
    assert experiment.leaves_out("best_of_n", "wide")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], ["must be a mapping", "title"]),
        (GOOD | {"colour": 1}, ["unknown key 'colour'", "contrasts"]),
        ({k: v for k, v in GOOD.items() if k != "paper"}, ["paper", "is missing"]),
        (GOOD | {"contrasts": []}, ["contrasts"]),
        (GOOD | {"seeds": [9, 6]}, ["seeds", "ascend"]),
        (GOOD | {"seeds": [1]}, ["seeds.0", "greater than or equal to 2"]),
        (GOOD | {"experiment": {}}, ["experiment.tasks", "is missing"]),
        (GOOD | {"experiment": {"tasks": 3, "methods": {}}}, ["tasks", "mapping"]),
        (GOOD | {"experiment": {"seeds": 3}}, ["experiment", "'seeds'", "tasks, methods"]),
        (GOOD | {"title": "two\nlines"}, ["title"]),
        (with_contrast(predicted="more"), ["predicted", "'higher', 'lower', 'equal'"]),
        (with_contrast(bound=0), ["bound", "greater than 0"]),
        (with_contrast(of="ppp"), ["contrasts.0", "unknown method 'ppp'", "dpo"]),
        (
            with_contrast(task="large"),
            ["contrasts.0", "unknown task 'large'", "small, wide, without"],
        ),
        (with_contrast(task=None), ["contrasts.0", "task, weights or levels"]),
        (with_contrast(weights={"small": 1.0}), ["contrasts.0", "task, weights or levels"]),
        (with_contrast(task=None, levels=LEVELS), ["contrasts.0.levels", "4 different levels"]),
        (with_contrast(of={"method": "dpo", "tasks": "small"}), ["of.tasks", "unknown key"]),
        (with_contrast(of={"method": "dpo", "params": {"beta": 9.5}}), ["contrasts.0", "beta"]),
        (
            GOOD | {"contrasts": 2 * with_contrast()["contrasts"]},
            ["contrasts.1.name", "another contrast has it"],
        ),
        (
            with_contrast(task=None, levels=FOUR, of={"method": "dpo", "task": "small"}),
            ["contrasts.0", "its own task", "levels"],
        ),
        (
            with_contrast(task="without"),
            ["contrasts.0", "leaves best_of_n out on 'without'"],
        ),
        (with_factor(method="ppp", task="small"), ["factors.it", "unknown method 'ppp'", "dpo"]),
        (with_factor(method="dpo"), ["factors.it", "unknown task ''", "small, wide"]),
    ],
)
def test_a_mistake_is_one_line(content: object, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        parse_claim(content, "mine.yaml")
    message = str(error.value)
    assert "\n" not in message and message.startswith("mine.yaml")
    assert all(word in message for word in words), message


def test_an_unknown_claim_is_said_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match=r"claim .none.: no such file; built-in claims: .*dpo"):
        load_claim("none")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"quantity": "rewart"},
            "contrasts.0.quantity: unknown quantity 'rewart'; allowed: reward",
        ),
        ({"quantity": "reward at equal KL", "minus": None}, "contrasts.0.minus: .* needs `minus`"),
        ({"quantity": "least KL at an optimum"}, "known of dpo and ipo on bandit alone"),
        (
            {"of": {"method": "dpo", "along": "training"}},
            "contrasts.0: `along: training` is for reward at equal KL and area .*, not for reward",
        ),
        (
            {"of": "best_of_n", "quantity": "reward lost at the weakest strength"},
            "contrasts.0: a larger strength of best_of_n does not reduce the KL",
        ),
    ],
)
def test_a_quantity_that_cannot_be_measured_is_said(fields: dict[str, Any], words: str) -> None:
    claim = NamedClaim("mine", parse_claim(with_contrast(**fields), "mine.yaml"))
    with pytest.raises(UserError, match=f"^here: .*{words}"):
        check_contrasts(claim, "here")


def test_params_of_several_settings_name_none() -> None:
    grid = {"beta": [0.1, 0.2], "learning_rate": [0.001, 0.002]}
    side = {"method": "dpo", "params": {"beta": 0.1}}
    experiment = GOOD["experiment"] | {"methods": {"dpo": {"grid": grid}, "best_of_n": {}}}
    content = with_contrast(of=side) | {"experiment": experiment}
    with pytest.raises(UserError, match=r"here: contrasts.0: 2 settings of dpo have .* reward is"):
        check_contrasts(NamedClaim("mine", parse_claim(content, "mine.yaml")), "here")
    # A frontier has several.
    content = with_contrast(of=side, quantity="reward at equal KL") | {"experiment": experiment}
    check_contrasts(NamedClaim("mine", parse_claim(content, "mine.yaml")), "here")
