"""docs/methods.md and docs/online_methods.md: examples train, and tables are complete."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from helpers.methods import sampled_share_of_a
from helpers.models import PROMPTS, load_module, same, weights

import methods
from bench.checks import CHECKS, run_check
from bench.config.catalog import GROUP, catalog, defined_methods, learns_from, title
from methods.base import Context, Method
from methods.core.feedback import KINDS, Label, Pair, Unpaired
from methods.core.models.engines.choice import Sampler
from methods.core.online import advantages, surrogates
from methods.core.online.rollout import Rollout
from methods.toolkit.online_pairs import ResponsePairs
from methods.toolkit.policy_gradient import OnlineRun, PolicyGradient

ROOT = Path(methods.__path__[0]).parent
DOCS = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
ONLINE = (ROOT / "docs" / "online_methods.md").read_text(encoding="utf-8")
EXAMPLES = {
    match[2]: match[1]
    for match in re.finditer(
        r'```python\n("""methods/(\w+)\.py""".*?)```', DOCS + ONLINE, re.DOTALL
    )
}
# Small, and fast learners.
SETTINGS: dict[str, dict[str, float]] = {
    "offset_dpo": {"examples": 640, "learning_rate": 2e-3, "beta": 0.5},
    "my_reinforce_pp": {"episodes": 1536, "batch_size": 64, "learning_rate": 5e-3, "kl_coef": 0.02},
    "liked_sft": {"examples": 640, "learning_rate": 5e-3},
}
MakeContext = Callable[..., Context]


def example(name: str, folder: Path) -> type[Method]:
    file = folder / f"{name}.py"
    file.write_text(EXAMPLES[name], encoding="utf-8")
    [kind] = defined_methods(load_module(file))
    return kind


def labels_for(method: Method) -> list[Label]:
    """Return labels that prefer the letter a."""
    if method.feedback == "unpaired":
        return [Unpaired(p, r, r == "a a a") for p in PROMPTS for r in ("a a a", "b b b")] * 50
    return [Pair(prompt, "a a a", "b b b") for prompt in PROMPTS] * 50


def test_every_python_example_is_run() -> None:
    assert (DOCS + ONLINE).count("```python") == len(EXAMPLES)
    assert set(EXAMPLES) == set(SETTINGS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_learns(name: str, make_context: MakeContext, tmp_path: Path) -> None:
    method = example(name, tmp_path)(**SETTINGS[name])
    context = make_context(labels=labels_for(method), checkpoints=2)
    policy = method.train(context)
    assert sampled_share_of_a(policy) > sampled_share_of_a(context.reference) + 0.3
    assert len(list((context.workdir / "checkpoints").iterdir())) == 2
    assert context.curves and context.usage.train_tokens > 0
    start = make_context(budget=0)
    assert same(weights(method.train(start)), weights(start.start()))


@pytest.mark.slow
def test_the_online_example_passes_every_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    kind = example("my_reinforce_pp", tmp_path)
    outcomes = [run_check(check, kind) for check in CHECKS.values()]
    assert [(o.check.name, o.why) for o in outcomes if o.status == "fails"] == []


def test_the_pair_example_has_fifteen_lines() -> None:
    written = [line for line in EXAMPLES["offset_dpo"].splitlines() if line]
    assert len(written) <= 15


def test_the_table_of_methods_is_complete() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\(\.\./methods/(\w+)\.py\) \| (.*) \|$", DOCS, re.MULTILINE)
    assert [name for name, _, _ in rows] == list(catalog())
    for name, stem, cells in rows:
        method = catalog()[name]
        assert stem == name and not isinstance(method, str)
        description, feedback, strength, source = cells.split(" | ")
        assert description == title(method).rstrip(".")
        assert (feedback, strength) == (learns_from(method), method.strength or "-")
        paper = method.paper
        assert source == (f"[{paper.authors}]({paper.url})" if paper else "-")


def test_the_tables_name_everything() -> None:
    rows = [line.split("|")[1] for line in DOCS.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    doors = {field.name for field in fields(Context)} | set(vars(Context))
    # The harness sets or reads these: methods do not need them.
    inner = {"labels", "reward_function", "checkpoints", "curves"}
    kinds = {*KINDS, "reward", "none"}
    assert named == (
        set(inspect.get_annotations(Method))
        | {door for door in doors - inner if not door.startswith("_")}
        | kinds
        | set(CHECKS)
    )
    for check in CHECKS.values():
        never = "" if check.excusable else " (never excused)"
        assert f"| `{check.name}` | {check.title}{never} |" in DOCS
    for made in KINDS.values():
        assert f"`{made.__name__}({', '.join(made._fields)})`" in DOCS


def test_the_tables_of_the_toolkit_name_what_there_is() -> None:
    # The first cell of a row: one name, or several, and functions with their arguments.
    cells = re.findall(r"^\| (`.*?`) \|", ONLINE, re.M)
    named = {name for cell in cells for name in re.findall(r"`(\w+)", cell)} - {"ResponsePairs"}
    members = {field.name for field in fields(Rollout)} | set(vars(Rollout)) | {"state"}
    members |= set(vars(OnlineRun)) | set(vars(ResponsePairs))
    settings = {field.name for field in fields(PolicyGradient)}
    assert settings < named, "a field of PolicyGradient is not explained"
    assert {field.name for field in fields(Rollout)} < named, "a field of Rollout is not explained"
    public = {name for name in vars(OnlineRun) if not name.startswith("_")}
    assert public < named, "a function of OnlineRun is not explained"
    samplers = set(get_args(Sampler)) - {"auto"}
    assert samplers < named, "a sampler is not explained"
    for name in named - members - settings - samplers:
        assert callable(getattr(advantages, name, None) or getattr(surrogates, name)), name


def test_the_entry_point_is_that_of_the_example() -> None:
    [block] = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    package = (ROOT / "examples" / "prefrontier-hinge" / "pyproject.toml").read_text()
    assert block in package
    assert GROUP in tomllib.loads(block)["project"]["entry-points"]
