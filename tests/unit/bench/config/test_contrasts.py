"""Contrasts of the command line: those that it declares, and those of the methods that it names."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.experiments import changed, write

from bench.commands.experiments.run import contrasts_line
from bench.config.contrasts import declare
from bench.config.experiment import Experiment, validated
from bench.config.files import load_experiment
from bench.config.narrowing import narrow

Pairs = list[tuple[str, str]]


def contrasts_of(source: str, methods: str = "", contrast: tuple[str, ...] = ()) -> Pairs:
    """Return the contrasts of `bench SOURCE --methods METHODS --contrast CONTRAST ...`."""
    named = methods.split(",") if methods else []
    experiment = narrow(load_experiment(source), methods=named)
    return declare(experiment, contrast, named).contrasts


@pytest.mark.parametrize(
    ("methods", "contrast", "expected"),
    [
        ("", (), [("dpo", "ppo")]),
        ("", ("best_of_n,dpo",), [("best_of_n", "dpo"), ("dpo", "ppo")]),
        # Several, those of the command line first; spaces do no harm.
        (
            "",
            ("best_of_n,dpo", "ppo, best_of_n"),
            [("best_of_n", "dpo"), ("ppo", "best_of_n"), ("dpo", "ppo")],
        ),
        # What is declared twice counts once, whichever way round.
        ("", ("ppo,dpo", "dpo,ppo"), [("ppo", "dpo")]),
        ("sft,dpo,ipo", (), [("ipo", "dpo")]),
        ("ipo,ppo", (), [("ipo", "ppo")]),
        ("ipo,dpo,ppo", (), [("ipo", "dpo"), ("ipo", "ppo"), ("dpo", "ppo")]),
        ("ipo,slic,dpo", (), [("ipo", "dpo"), ("slic", "dpo")]),
        # Methods that others are measured by get none.
        ("sft,dpo,best_of_n,ppo_gold", (), []),
        ("ppo,dpo", (), [("dpo", "ppo")]),
        # Without a baseline there is nothing to compare with by default.
        ("ipo,slic", (), []),
        ("ipo,slic", ("ipo,slic",), [("ipo", "slic")]),
        # A contrast of the command line takes the place of the default ones.
        ("ipo,slic,dpo", ("ipo,slic",), [("ipo", "slic")]),
        ("ipo,slic,dpo", ("ipo,sft",), [("ipo", "sft"), ("slic", "dpo")]),
        ("all", (), [("dpo", "ppo")]),
        ("all,ipo", (), [("dpo", "ppo")]),
        ("all,dpo,ipo", (), [("ipo", "dpo"), ("dpo", "ppo")]),
    ],
)
def test_contrasts_of_the_command_line(
    methods: str, contrast: tuple[str, ...], expected: Pairs
) -> None:
    assert contrasts_of("default", methods, contrast) == expected


def test_a_method_with_a_contrast_in_the_file_gets_no_other(tmp_path: Path) -> None:
    content = changed("methods", value={"sft": {}, "dpo": {}, "ipo": {}, "slic": {}, "kto": {}})
    content["contrasts"] = [["ipo", "slic"]]
    source = write(tmp_path, content)
    assert contrasts_of(source, "dpo,ipo,slic") == [("ipo", "slic")]
    assert contrasts_of(source, "dpo,ipo,kto") == [("ipo", "dpo"), ("kto", "dpo")]


def test_the_results_folder_says_what_was_declared() -> None:
    experiment = declare(load_experiment("quick"), ["best_of_n,sft"], [])
    assert experiment.model_dump()["contrasts"] == [("best_of_n", "sft"), ("dpo", "ppo")]


def seeded(seeds: int, *contrasts: str, tasks: tuple[str, ...] = ("polite",)) -> Experiment:
    experiment = narrow(load_experiment("quick"), tasks=tasks, seeds=seeds)
    return declare(experiment, contrasts, [])


def test_the_plan_says_how_many_seeds_a_verdict_needs() -> None:
    one = "contrasts: dpo vs ppo"
    assert contrasts_line(seeded(6)) == one
    assert contrasts_line(seeded(5)) == f"{one}; a verdict needs 6 seeds, not 5"
    three = ("best_of_n,dpo", "best_of_n,ppo")
    said = "contrasts: best_of_n vs dpo, best_of_n vs ppo, dpo vs ppo"
    # 3 times 2 / 2^6 is 0.094, and 3 times 2 / 2^7 is 0.047.
    assert contrasts_line(seeded(6, *three)) == f"{said}; a verdict needs 7 seeds, not 6"
    assert contrasts_line(seeded(7, *three)) == said


def test_contrasts_on_several_tasks_need_more_seeds() -> None:
    two = ("polite", "exact")
    assert contrasts_line(seeded(6, tasks=two)).endswith("; a verdict needs 7 seeds, not 6")
    assert contrasts_line(seeded(7, tasks=two)) == "contrasts: dpo vs ppo"
    without = seeded(6, tasks=two).model_dump()
    without["tasks"]["exact"]["methods"] = {"ppo": None}
    assert contrasts_line(validated(without, "here")) == "contrasts: dpo vs ppo"
