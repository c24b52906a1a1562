"""Experiment files and options: what is wrong is said in one line, with what is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from bench.cache.store import Store
from bench.cli import main
from bench.config.catalog import catalog
from bench.config.files import BUILT_IN, load_experiment
from bench.config.narrowing import narrow
from bench.config.settings import check_feedback
from bench.errors import UserError
from bench.execution.plan import Plan
from bench.tasks.base import Training
from bench.tasks.exact import Exact
from methods.base import Method
from methods.core.feedback import DERIVABLE
from methods.dpo import DPO
from methods.sft import SFT
from methods.toolkit.offline import PairLoss

GOOD = {
    "name": "mine",
    "seeds": 2,
    "tasks": {"exact": {"methods": {"dpo": {"grid": {"beta": [0.3]}}}}, "polite": {}},
    "methods": {"sft": {}, "dpo": {"learning_rate": 1e-3}},
}


def write(folder: Path, content: object) -> str:
    file = folder / "experiment.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(file)


def changed(*path: str, value: object) -> dict[str, object]:
    content = yaml.safe_load(yaml.safe_dump(GOOD))
    place = content
    for key in path[:-1]:
        place = place.setdefault(key, {})
    place[path[-1]] = value
    return content


def test_built_in_experiments_are_valid() -> None:
    names = [file.stem for file in BUILT_IN.glob("*.yaml")]
    assert {"default", "quick"} <= set(names)
    for name in names:
        # These are for data that users bring.
        data = f"{name}.jsonl" if name in ("recorded", "recorded_gpu", "pretrained") else ""
        assert load_experiment(name, data=data).name == name


def test_default_compares_five_methods_at_four_strengths_and_six_seeds() -> None:
    experiment = load_experiment("default")
    assert experiment.seeds == 6
    counts: dict[str, int] = {}
    for name, _, _ in experiment.settings("polite"):
        counts[name] = counts.get(name, 0) + 1
    assert counts == {"sft": 1, "dpo": 4, "ppo": 4, "ppo_gold": 4, "best_of_n": 4}


def test_settings_come_from_method_then_task_then_grid(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path, GOOD))
    on_exact = [(n, m, p) for n, m, p in experiment.settings("exact") if n == "dpo"]
    assert on_exact == [("dpo", DPO(beta=0.3, learning_rate=1e-3), {"beta": 0.3})]
    assert len([1 for n, _, _ in experiment.settings("polite") if n == "dpo"]) == 4


def test_one_task_may_be_there_under_several_names(tmp_path: Path) -> None:
    content = changed(
        "tasks", value={"few": {"task": "exact", "options": {"labels": 64}}, "exact": {}}
    )
    plan = Plan.of(load_experiment(write(tmp_path, content)), Store(tmp_path), "cpu")
    assert {
        (pipeline.name, type(pipeline.task), pipeline.task.labels) for pipeline in plan.pipelines
    } == {
        ("few", Exact, 64),
        ("exact", Exact, Exact().labels),
    }
    few, exact = (pipeline for pipeline in plan.pipelines if pipeline.seed == 0)
    # Stages that do not depend on the option are shared.
    assert few.key("sft") == exact.key("sft") and few.key("feedback") != exact.key("feedback")


def test_a_field_that_is_set_is_not_varied(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path, changed("methods", "dpo", value={"beta": 0.3})))
    assert [m.beta for n, m, _ in experiment.settings("polite") if n == "dpo"] == [0.3]
    near = changed("methods", "dpo", value={"grid": {"beta": [1.0, 1, 2]}})
    near["tasks"]["polite"] = {"methods": {"dpo": {"beta": 0.4}}}  # type: ignore[index]
    experiment = load_experiment(write(tmp_path, near))
    assert [m.beta for n, m, _ in experiment.settings("polite") if n == "dpo"] == [0.4]
    near["tasks"]["polite"] = {}  # type: ignore[index]
    experiment = load_experiment(write(tmp_path, near))
    assert [m.beta for n, m, _ in experiment.settings("polite") if n == "dpo"] == [1.0, 2]


def test_a_nested_option_keeps_the_defaults_of_its_neighbors(tmp_path: Path) -> None:
    content = changed("tasks", "polite", value={"options": {"sft": {"examples": 7}}})
    task = load_experiment(write(tmp_path, content)).task_objects["polite"]
    assert task.sft == Training(7, 1, 64, 2e-3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed("color", value=1), ["unknown key 'color'", "seeds"]),
        (changed("seeds", value=0), ["seeds", "greater than or equal to 1"]),
        (changed("seeds", value="many"), ["seeds", "integer", "many"]),
        (changed("name", value="../up"), ["name", "pattern"]),
        (changed("methods", "ppp", value={}), ["unknown method 'ppp'", "ppo", "dpo"]),
        (changed("methods", "dpo", value={"bete": 1}), ["methods.dpo", "'bete'", "beta"]),
        (changed("methods", "dpo", value={"grid": {"bete": [1]}}), ["'bete'", "beta"]),
        (changed("methods", "dpo", value={"grid": {"beta": 1}}), ["methods.dpo.grid", "list"]),
        (changed("methods", "dpo", value={"grid": {"beta": [-1]}}), ["beta", "greater than 0"]),
        (changed("methods", "dpo", value={"beta": "x"}), ["methods.dpo.beta", "number", "'x'"]),
        (changed("tasks", "polit", value={}), ["unknown task 'polit'", "polite, haiku, exact"]),
        (
            changed("tasks", "polite", value={"options": {"x": 1}}),
            ["polite.options", "'x'", "labels"],
        ),
        (
            changed("tasks", "polite", value={"options": {"sft": {"examples": 0}}}),
            ["polite.options.sft.examples", "greater than 0"],
        ),
        (changed("tasks", "exact", "methods", value={"ppo": {}}), ["unknown method 'ppo'"]),
        (changed("tasks", "mine", value={"task": "no"}), ["tasks.mine", "unknown task 'no'"]),
        (changed("tasks", "a b", value={"task": "exact"}), ["tasks.a b", "pattern"]),
        (
            changed("tasks", "exact", value={"options": {"reward_model": {"layers": 3}}}),
            ["tasks.exact.options", "reward_model.layers must be at most architecture.layers, 2"],
        ),
        (
            changed("tasks", "exact", value={"options": {"response_source": {"policy": "ppo"}}}),
            ["tasks.exact.options.response_source.policy", "'sft' or 'base_model'"],
        ),
        (
            changed("tasks", "polite", value={"options": {"sft": {"example": 1}}}),
            ["polite.options.sft", "'example'", "examples"],
        ),
        (changed("methods", "dpo", value={"grid": {"beta": []}}), ["dpo.grid", "one value"]),
        (changed("evaluation", value={"temperature": -1}), ["evaluation.temperature"]),
        (changed("contrasts", value=[["dpo", "ppo"]]), ["contrasts.0", "'ppo'", "sft, dpo"]),
        (changed("contrasts", value=[["dpo", "dpo"]]), ["contrasts.0", "two different"]),
        (
            changed("contrasts", value=[["dpo", "sft"], ["sft", "dpo"]]),
            ["contrasts.1", "sft and dpo are declared already"],
        ),
        (changed("contrasts", value=["dpo"]), ["contrasts.0", "'dpo'"]),
        (changed("contrasts", value=[["dpo"]]), ["contrasts.0"]),
        ("a: [", ["not readable as YAML"]),
        ("- 1", ["must be a mapping"]),
        ("tasks: !!python/object/apply:os.system ['true']", ["not readable as YAML"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: object, words: list[str]
) -> None:
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stopped:
        main(["bench", write(tmp_path, content), "--out", str(out)])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and message.startswith("prefrontier: ")
    assert all(word in message for word in words), message
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--methods", "nope"], ["unknown method 'nope'", "ppo_gold"]),
        (["--tasks", "nope"], ["unknown task 'nope'", "polite"]),
        (["--seeds", "0"], ["--seeds", "1 or more"]),
        (["--jobs", "0"], ["--jobs", "1 or more"]),
        (["--device", "tpu"], ["--device", "cuda"]),
    ],
)
def test_wrong_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: list[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "quick", "--out", str(tmp_path / "out"), *options])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert all(word in message for word in words), message


def test_results_folder_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "quick", "--out", str(tmp_path / "file" / "out")])
    assert stopped.value.code == 2
    assert "cannot be written to" in capsys.readouterr().err


def test_missing_experiment_lists_what_there_is() -> None:
    with pytest.raises(UserError, match=r"built-in experiments: .*default, .*quick"):
        load_experiment("nope")


def test_narrowing_keeps_sft_to_measure_against() -> None:
    experiment = narrow(load_experiment("default"), methods=["ppo"], tasks=["exact"], seeds=1)
    assert list(experiment.methods) == ["sft", "ppo"]
    assert list(experiment.tasks) == ["exact"]
    assert [p for n, _, p in experiment.settings("exact") if n == "ppo"] == [
        {"kl_coef": 0.25},
        {"kl_coef": 0.5},
    ]


def test_feedback_that_the_annotator_does_not_give_is_said() -> None:
    @dataclass(frozen=True)
    class Ranker(SFT):
        feedback: ClassVar = "rankings"

    check_feedback("tasks.exact", DERIVABLE["rankings"], "ranker", Ranker())
    with pytest.raises(UserError, match=r"'ranker' learns from rankings.*it must be rankings"):
        check_feedback("tasks.exact", DERIVABLE["pairs"], "ranker", Ranker())


@dataclass(frozen=True)
class NoSuchField(SFT):
    strength: ClassVar = "bta"


@dataclass(frozen=True)
class NoStrength(SFT):
    strength_is_kl: ClassVar = True


@dataclass(frozen=True)
class NoLoss(PairLoss):
    """It is not finished."""


@dataclass(frozen=True)
class NoType(SFT):
    margin: "Unheard" = 1.0  # type: ignore[name-defined]  # noqa: F821, UP037


@dataclass(frozen=True)
class NoKind(SFT):
    feedback: ClassVar = "pair"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (NoSuchField, ["methods.mine: its strength 'bta' is none of its fields"]),
        (NoStrength, ["methods.mine", "strength names no field"]),
        (NoLoss, ["methods.mine: NoLoss cannot be made", "loss"]),
        (NoType, ["methods.mine: NoType cannot be made", "Unheard"]),
        (NoKind, ["methods.mine: unknown feedback 'pair'", "pairs, choices, rankings, unpaired"]),
    ],
)
def test_a_plug_in_that_is_not_finished_is_said_before_anything_is_trained(
    kind: type[Method], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalog(), "mine", kind)
    with pytest.raises(UserError) as wrong:
        load_experiment(write(tmp_path, changed("methods", "mine", value={})))
    assert all(word in str(wrong.value) for word in words)
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("rloo", {"group": 1}, ["methods.rloo.group", "greater than or equal to 2"]),
        ("rloo", {"group": 3}, ["methods.rloo", "batch_size must be a multiple of group, 3"]),
        ("grpo", {"minibatches": 3}, ["batch_size must be a multiple of minibatches, 3"]),
        ("kto", {"batch_size": 1}, ["methods.kto.batch_size", "greater than or equal to 2"]),
        ("online_dpo", {"batch_size": 33}, ["methods.online_dpo.batch_size", "multiple of 2"]),
    ],
)
def test_settings_that_a_trainer_would_refuse(
    name: str, settings: dict[str, int], words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UserError) as wrong:
        load_experiment(write(tmp_path, changed("methods", name, value=settings)))
    assert all(word in str(wrong.value) for word in words)


def test_all_stands_for_every_method() -> None:
    chosen = narrow(load_experiment("default"), methods=["all"]).methods
    assert set(chosen) == set(catalog())
    assert next(iter(chosen)) == "sft"


def test_of_a_method_that_is_added_no_more_settings_are_tried_than_of_the_others(
    tmp_path: Path,
) -> None:
    def added(*path: str, value: object) -> list[dict[str, object]]:
        experiment = load_experiment(write(tmp_path, changed(*path, value=value)))
        narrowed = narrow(experiment, methods=["dpo", "best_of_n"])
        return [p for n, _, p in narrowed.settings("polite") if n == "best_of_n"]

    assert added("methods", "dpo", value={"beta": 0.3}) == [{"n": 4}]
    assert added("methods", "dpo", value={}) == [{"n": n} for n in (2, 4, 8, 16)]


def test_narrowing_drops_the_contrasts_of_methods_that_are_gone() -> None:
    content = load_experiment("default")
    assert content.contrasts == [("dpo", "ppo")]
    assert narrow(content, methods=["ppo", "dpo"]).contrasts == [("dpo", "ppo")]
    assert narrow(content, methods=["ppo", "best_of_n"]).contrasts == []
    assert narrow(content, seeds=1).contrasts == [("dpo", "ppo")]
