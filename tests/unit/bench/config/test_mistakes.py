"""A mistake in an experiment or option is reported in one line with what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.experiments import changed, write

from bench.cli import main
from bench.config.files import load_experiment
from bench.errors import UserError


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
        (
            changed("tasks", "exact", "methods", value={"sft": None}),
            ["tasks.exact.methods.sft", "baseline"],
        ),
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
def test_mistakes_are_reported_in_one_line(
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
        (["--seeds", "0"], ["--seeds", "from 1 to 1,000"]),
        (["--jobs", "0"], ["--jobs", "from 1 to 1,024"]),
        (["--device", "tpu"], ["--device", "cuda"]),
        (["--contrast", "nope,dpo"], ["--contrast: unknown method 'nope'", "ppo_gold"]),
        (["--contrast", "dpo,dpo"], ["--contrast: must name two different", "'dpo' twice"]),
        (["--contrast", "dpo"], ["--contrast: must name two methods, as in mine,dpo", "'dpo'"]),
        (["--contrast", "dpo,ppo,sft"], ["must name two methods", "'dpo,ppo,sft'"]),
        (["--contrast", "dpo,"], ["must name two methods", "'dpo,'"]),
        (
            ["--contrast", "ipo,dpo"],
            ["--contrast: 'ipo' is not among the methods compared: sft, dpo, ppo"],
        ),
        (
            ["--methods", "dpo", "--contrast", "dpo,sft", "--contrast", "ppo,dpo"],
            ["'ppo' is not among the methods compared: sft, dpo"],
        ),
    ],
)
def test_wrong_options_are_refused(
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


def test_an_unknown_experiment_lists_the_built_in_ones() -> None:
    with pytest.raises(UserError, match=r"built-in experiments: .*default, .*quick"):
        load_experiment("nope")


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
def test_settings_that_a_trainer_would_refuse_are_refused_at_once(
    name: str, settings: dict[str, int], words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UserError) as wrong:
        load_experiment(write(tmp_path, changed("methods", name, value=settings)))
    assert all(word in str(wrong.value) for word in words)
