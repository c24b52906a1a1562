"""`prefrontier new-method` writes files that run as they are, and overwrites nothing."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.models import load_module, same, weights

import methods
from bench.checks import CHECKS, run_check
from bench.cli import main
from bench.commands.copied_source import copied_source, without_paper
from bench.commands.new_method import draft_method, write_method
from bench.config.catalog import catalog, defined_methods, title
from bench.errors import UserError
from methods.base import Context, Method
from methods.core.models.policy import ModelPolicy
from methods.dpo import DPO

ROOT = Path(__file__).parents[4]
NAMES = [name for name, kind in catalog().items() if not isinstance(kind, str)]


def written(name: str, like: str, folder: Path) -> type[Method]:
    """Write a new method's file and return its class, as the catalog would find it."""
    module = load_module(write_method(draft_method(name, like), folder))
    [kind] = defined_methods(module)
    return kind


def original(name: str) -> type[Method]:
    kind = catalog()[name]
    assert not isinstance(kind, str)
    return kind


def test_the_file_has_the_name_of_the_method(tmp_path: Path) -> None:
    file = write_method(draft_method("margin_dpo", "dpo"), tmp_path)
    assert file == tmp_path / "margin_dpo.py"
    assert [path.name for path in tmp_path.iterdir()] == ["margin_dpo.py"]


@pytest.mark.parametrize("like", NAMES)
def test_every_method_can_be_started_from(like: str, tmp_path: Path) -> None:
    kind, known = written(f"{like}_anew", like, tmp_path), original(like)
    assert kind.__name__ != known.__name__ and title(kind) != title(known)
    assert vars(kind).get("paper") is None and title(kind).endswith("to be changed.")
    assert dataclasses.asdict(kind()) == dataclasses.asdict(known())
    for name in ("feedback", "strength", "strength_is_kl", "grid", "privileged"):
        assert getattr(kind(), name) == getattr(known(), name), name


@pytest.mark.parametrize("like", NAMES)
def test_a_copy_keeps_the_texts_of_the_original(like: str) -> None:
    """A class may have the name that something else goes by, as TRL's trainer of ORPO has."""

    def texts(source: str) -> list[str]:
        nodes = list(ast.walk(ast.parse(source)))
        documented = [n for n in nodes if isinstance(n, ast.Module | ast.ClassDef)]
        left_out = [n.body[0].value for n in documented if isinstance(n.body[0], ast.Expr)]
        strings = [n for n in nodes if isinstance(n, ast.Constant) and n not in left_out]
        return [n.value for n in strings if isinstance(n.value, str)]

    source = inspect.getsource(sys.modules[original(like).__module__])
    assert texts(draft_method(f"{like}_anew", like).source) == texts(without_paper(source))


@pytest.mark.parametrize(
    ("like", "settings"),
    [
        ("dpo", {"examples": 320}),
        ("ppo", {"episodes": 192, "batch_size": 64, "value_init": "zero"}),
    ],
)
def test_a_copy_trains_as_the_original_does(
    like: str, settings: dict[str, Any], make_context: Callable[..., Context], tmp_path: Path
) -> None:
    copy = written(f"{like}_anew", like, tmp_path)(**settings).train(make_context())
    known = original(like)(**settings).train(make_context())
    assert isinstance(copy, ModelPolicy) and isinstance(known, ModelPolicy)
    assert same(weights(copy), weights(known))


@pytest.mark.slow
def test_like_dpo_passes_every_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    kind = written("margin_dpo", "dpo", tmp_path)
    outcomes = [run_check(check, kind) for check in CHECKS.values()]
    assert [(o.check.name, o.reason) for o in outcomes if o.status == "fails"] == []


def test_what_is_written_is_clean(tmp_path: Path) -> None:
    """With names as long as the originals': what fits into a line depends on it."""
    for like in NAMES:
        write_method(draft_method(f"{like[:-1]}2", like), tmp_path)
    config = ["--config", str(ROOT / "pyproject.toml")]
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *config, "--no-cache", str(tmp_path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_a_class_name_that_the_file_has_is_refused() -> None:
    with pytest.raises(UserError, match="has a Paper"):
        copied_source(DPO, "dpo", "paper", "Paper")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Margin"], "'Margin': not a valid method name"),
        (["2fast"], "'2fast': not a valid method name"),
        (["a-b"], "'a-b': not a valid method name"),
        (["class"], "'class': not a valid method name"),
        (["all"], "'all': not a valid method name"),
        (["../up"], "'../up': not a valid method name"),
        (["dpo"], "'dpo': the name is taken"),
        (["base"], "base.py: exists"),
        (["core"], "core: exists"),
        (["mine", "--like", "nope"], "--like: unknown method 'nope'; there are apo, bco"),
        (["mine", "--folder", "{file}"], "cannot be written to"),
        (["mine", "--folder", "{file}/below"], "cannot be written to"),
    ],
)
def test_mistakes_are_reported_in_one_line(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("as it was")
    folder = Path(methods.__path__[0])
    before = sorted(folder.iterdir())
    with pytest.raises(SystemExit) as stopped:
        main(["new-method", *(argument.format(file=taken) for argument in arguments)])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and words in error
    assert sorted(folder.iterdir()) == before and taken.read_text() == "as it was"


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("mine")
    with pytest.raises(UserError, match=r"mine.py: exists"):
        write_method(draft_method("mine", "dpo"), tmp_path)
    assert (tmp_path / "mine.py").read_text() == "mine"


def test_the_author_is_told_what_to_do_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["new-method", "margin_dpo", "--folder", str(tmp_path)])
    assert stopped.value.code == 0
    output = capsys.readouterr().out
    assert output.splitlines()[0] == str(tmp_path / "margin_dpo.py")
    assert "prefrontier check margin_dpo" in output
    assert "make quick METHODS=sft,dpo,margin_dpo" in output
    # Elsewhere than among the methods it is not found by itself.
    assert 'margin_dpo = "margin_dpo:MarginDpo"' in output
