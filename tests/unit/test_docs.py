"""The README and the pages in docs/: examples run, links lead somewhere, lists are complete."""

from __future__ import annotations

import dataclasses
import json
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
import typer.main
import yaml

from bench.analysis.claims.quantities import QUANTITIES
from bench.calibration.contrasts import EFFECTS
from bench.cli import app
from bench.config.claim import Claim, ClaimContrast, Side, load_claim, parse_claim
from bench.config.experiment import Evaluation, Experiment, TaskEntry
from bench.config.files import BUILT_IN, load_experiment
from bench.config.llm_judge import LLMJudge
from bench.results.loading import load_results
from bench.tasks import TASKS
from bench.tasks.base import Embedded, Simulated
from bench.tasks.labeling import Annotator, FeedbackFormat, ResponseSource
from methods.core.models.loading import Loading

ROOT = Path(__file__).parents[2]
SELECTED = "difference, settings selected"
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = {
    str(file.relative_to(ROOT)): file
    for file in (README, *sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("examples/*/README.md")))
}
MOST_README_LINES = 140
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"\$\(([A-Z_]+)\)", MAKEFILE))
COMMANDS: Any = typer.main.get_command(app)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    language: str
    content: str


def text_of(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


BLOCKS = [Block(page, *found) for page in PAGES for found in FENCE.findall(text_of(page))]


def blocks(language: str) -> list[Any]:
    """Return the blocks of a language as test parameters, named by page and number."""
    found = [block for block in BLOCKS if block.language == language]
    return [pytest.param(block, id=f"{block.page}-{i}") for i, block in enumerate(found)]


def shell_commands() -> Iterator[tuple[str, list[str]]]:
    """Yield the words of each command in a shell block, comments left out."""
    for block in BLOCKS:
        if block.language == "sh":
            for line in block.content.splitlines():
                if words := shlex.split(line, comments=True):
                    yield block.page, words


def inline_commands() -> Iterator[tuple[str, list[str]]]:
    """Yield the words of each `make ...` and `prefrontier ...` in a page's text."""
    for page in PAGES:
        for code in re.findall(r"`((?:make|prefrontier) [^`\n]+)`", FENCE.sub("", text_of(page))):
            yield page, code.split()


def check_make(words: list[str]) -> None:
    for word in words[1:]:
        variable, assigned, _ = word.partition("=")
        if assigned:
            assert variable in VARIABLES, f"the Makefile has no variable {variable}"
        else:
            assert word in TARGETS, f"the Makefile has no target {word}"


def check_prefrontier(words: list[str]) -> None:
    """Check that the command can be parsed, with each option and argument; nothing is run."""
    name, *arguments = words
    assert name in COMMANDS.commands, f"there is no command {name}"
    COMMANDS.commands[name].make_context(name, arguments)


def headings(page: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def code_words(page: str) -> set[str]:
    """Return all names in code, blocks and spans alike."""
    fenced = [block.content for block in BLOCKS if block.page == page]
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", text_of(page)))
    return {word for code in [*fenced, *spans] for word in re.findall(r"[\w.-]+", code)}


def names_of(kind: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MOST_README_LINES


def test_the_readme_links_every_page() -> None:
    linked = set(re.findall(r"\]\((docs/\w+\.md)\)", text_of("README.md")))
    assert linked == {page for page in PAGES if page.startswith("docs/")}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text_of(page))):
        if link.startswith(("http://", "https://")):
            continue
        place, _, fragment = link.partition("#")
        file = (PAGES[page].parent / place).resolve() if place else PAGES[page]
        assert file.exists(), link
        if fragment:
            assert fragment in map(anchor, headings(str(file.relative_to(ROOT)))), link


@pytest.mark.parametrize("block", blocks("yaml"))
def test_experiments_and_claims_are_valid(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "example.yaml"
    file.write_text(block.content, encoding="utf-8")
    load = load_claim if block.page == "docs/claims.md" else load_experiment
    load(str(file))


def test_every_part_of_a_claim_is_described() -> None:
    described = text_of("docs/claims.md")
    for model in (Claim, ClaimContrast, Side):
        assert all(re.search(rf"\b{name}\b", described) for name in model.model_fields)
    assert all(f"`{name}`" in " ".join(described.split()) for name in QUANTITIES)
    # The example is the built-in claim.
    [example] = [b for b in BLOCKS if (b.page, b.language) == ("docs/claims.md", "yaml")]
    assert parse_claim(yaml.safe_load(example.content), "docs") == (
        load_claim("kto_no_worse_than_dpo").claim
    )


@pytest.mark.parametrize("block", blocks("python"))
def test_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "example.py"
    file.write_text(block.content, encoding="utf-8")
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(file))


def test_commands_exist() -> None:
    parsed = 0
    for page, words in [*shell_commands(), *inline_commands()]:
        name = Path(words[0]).name
        if name == "make":
            check_make(words)
        elif name == "prefrontier" and page in PAGES and len(words) > 1:
            if words[1].startswith("--"):
                continue
            # In running text a command is named without its arguments.
            if words[0] == "prefrontier":
                assert words[1] in COMMANDS.commands, f"{page}: {' '.join(words)}"
            else:
                check_prefrontier(words[1:])
        elif name == "accelerate":
            check_prefrontier(words[words.index("-m") + 2 :])
        else:
            assert name in ("export", "pip", "pytest", "hf"), f"{page}: {name}"
            continue
        parsed += 1
    assert parsed > 30


def test_commands_find_their_files() -> None:
    names = {
        f"results/{name}"
        for name in ("default", "quick", "preferences", "smollm", "before", "after")
    }
    for page, words in shell_commands():
        for word in words:
            if word.startswith(("examples/", "results/", "tests/")) and word not in names:
                assert (ROOT / re.sub(r"\[.*", "", word)).exists(), f"{page}: {word}"


def test_every_option_of_a_task_is_described() -> None:
    described = code_words("docs/tasks.md")
    for kind in (Embedded, Simulated, Annotator, FeedbackFormat, ResponseSource):
        assert names_of(kind) <= described, kind.__name__
    assert names_of(TASKS["recorded"]) <= code_words("docs/data.md")
    assert names_of(Loading) <= code_words("docs/models.md")
    for task in set(re.findall(r"^### (\w+)$", text_of("docs/tasks.md"), re.MULTILINE)):
        assert names_of(TASKS[task]) <= described, task


def test_every_option_that_is_described_exists() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (`\w+`(?:, `\w+`)*) \|", text_of("docs/tasks.md"), re.MULTILINE
    )
    assert len(rows) > 10
    for task, options in rows:
        assert set(re.findall(r"\w+", options)) <= names_of(TASKS[task]), task


def test_every_key_of_an_experiment_is_described() -> None:
    described = code_words("docs/experiments.md")
    for model in (Experiment, Evaluation, TaskEntry):
        assert set(model.model_fields) <= described, model.__name__
    assert {file.stem for file in BUILT_IN.glob("*.yaml")} <= described
    assert set(LLMJudge.model_fields) <= code_words("docs/data.md")


def test_every_command_and_option_is_described() -> None:
    pages = ("docs/experiments.md", "docs/data.md", "docs/use_a_policy.md", "docs/claims.md")
    described = {word for page in pages for word in code_words(page)}
    for name, command in COMMANDS.commands.items():
        options = {option for parameter in command.params for option in parameter.opts}
        flags = {option for option in options if option.startswith("--")}
        assert {name, *flags} <= described, name


def test_every_folder_has_a_line_in_the_layout() -> None:
    packages = [*(ROOT / "bench").rglob("__init__.py"), *(ROOT / "methods").rglob("__init__.py")]
    folders = {str(file.parent.relative_to(ROOT)) for file in packages} - {"bench"}
    listed = re.findall(r"^\| `((?:bench|methods)[\w/]*)` \|", text_of("docs/development.md"), re.M)
    assert set(listed) == folders


def test_every_table_of_a_run_is_listed() -> None:
    from bench.results.schema import TABLES

    described = code_words("docs/report.md")
    assert {table.file for table in TABLES} <= described


def test_the_quoted_calibration_is_the_committed_one() -> None:
    summary = json.loads((ROOT / "results" / "calibration" / "summary.json").read_text("utf-8"))
    false = summary["false_verdicts"]
    known = [kind for name, kind in summary["kinds"].items() if name != "itself"]
    total = sum(kind["comparisons"] for kind in known)
    right = sum(kind["right"] for kind in known) / total
    page = " ".join(text_of("docs/report.md").split())
    assert f"{false['count']} of {false['of']} comparisons of a method with itself" in page
    low, high = (f"{100 * false[end]:.1f}%" for end in ("low", "high"))
    assert f"({100 * false['share']:.1f}%, 95% interval {low} to {high}" in page
    assert f"Of {total} comparisons of known order, {right:.0%} got the right verdict" in page
    assert sum(kind["wrong"] for kind in known) == 0 and "none a wrong one" in page
    cells = summary["shared_prompts"]["cells"]
    false = [f"{100 * cell['false_verdicts']['share']:.1f}%" for cell in cells]
    alone = [f"{cell['seeds_alone']:.0%}" for cell in cells]
    assert f"in {false[0]}, {false[1]} and {false[2]} of cases at 64 prompts" in page
    assert f"in {false[3]}, {false[4]} and {false[5]} at 256" in page
    assert "been {}, {} and {}, and {}, {} and {}.".format(*alone) in page
    assert f"no harm ({false[6]})" in page and f"lognormal effects it is {false[7]}" in page


def test_the_quoted_contrasts_of_claims_are_the_committed_ones() -> None:
    summary = json.loads((ROOT / "results" / "calibration" / "summary.json").read_text("utf-8"))
    kinds = summary["claims"]["kinds"]
    page = " ".join(text_of("docs/report.md").split())

    def shares(effects: str, *starts: str, looks: int = 1, contrasts: int = 1) -> list[str]:
        found = [
            kind["false"]["share"]
            for kind in kinds
            if (kind["effects"], kind["contrasts"]) == (effects, contrasts)
            and looks in (0, kind["looks"])
            and kind["kind"].startswith(starts or "")
            and ("settings selected" in kind["kind"]) == (starts == (SELECTED,))
        ]
        return [f"{100 * share:.1f}%" for share in found]

    def ends(found: list[str]) -> tuple[str, str]:
        ordered = sorted(found, key=lambda share: float(share[:-1]))
        return ordered[0], ordered[-1]

    assert "{} to {} of findings are false".format(*ends(shares("normal"))) in page
    assert "and {} and {} with three".format(*shares("normal", looks=3)) in page
    assert "no harm ({} to {})".format(*ends(shares("heavy-tailed", looks=0))) in page
    alone = shares("skewed", "difference")[:2]
    assert "in {} of cases at 6 seeds and in {} at 12".format(*alone) in page
    one_sided = ends(shares("skewed", "equivalence", "not lower", looks=0))
    assert '"not lower" in {} to {}.'.format(*one_sided) in page
    cancel = ends(shares("skewed", "interaction", "difference at equal KL"))
    assert "cancel, are at {} to {}.".format(*cancel) in page
    selected = [share for effects in EFFECTS for share in shares(effects, SELECTED)]
    assert "settings alike, {} to {} of findings are false".format(*ends(selected[::2])) in page
    assert "only one, it is {} to {},".format(*ends(selected[1::2])) in page
    none, _, at_bound = shares("normal", looks=3, contrasts=80)
    assert f"in {none} of cases; if all lie at the bound of equivalence, in {at_bound}" in page
    none, _, at_bound = shares("skewed", looks=3, contrasts=80)
    assert f"make it {none} and {at_bound}" in page


def run_example(title: str, tmp_path: Path) -> dict[str, Any]:
    """Return what the Python example with this title (the start of its docstring) defines."""
    [source] = [b.content for b in BLOCKS if b.content.startswith(f'"""{title}')]
    file = tmp_path / "example.py"
    file.write_text(source, encoding="utf-8")
    return runpy.run_path(str(file))


def test_the_example_of_a_task_is_whole(tmp_path: Path) -> None:
    task = run_example("bench/tasks/echo.py", tmp_path)["Echo"]()
    splits = [set(task.prompts(split)) for split in ("train", "validation", "test")]
    assert all(splits) and not splits[0] & splits[1] and not (splits[0] | splits[1]) & splits[2]
    examples = task.corpus(Random(0), 100) + task.demonstrations(Random(0), 100)
    words = {word for e in examples for word in f"{e.prompt} {e.response}".split()}
    assert words - {"</answer>"} <= set(task.words())
    gold = task.gold([e.prompt for e in examples], [e.response for e in examples])
    assert 0 < sum(gold) < len(gold)


def test_the_example_of_a_section_is_whole(tmp_path: Path) -> None:
    make = run_example("bench/report/sections/failures.py", tmp_path)["failures_section"]
    results = load_results(ROOT / "results" / "reference")
    assert make(results) is None
    failed = results.runs.assign(status="failed")
    section = make(dataclasses.replace(results, runs=failed))
    assert [part.heading for part in section.parts if part] == results.tasks


def test_the_example_of_a_pairwise_loss_has_fifteen_lines() -> None:
    [source] = [
        block.content
        for block in BLOCKS
        if block.page == "docs/development.md" and "(PairLoss)" in block.content
    ]
    assert len([line for line in source.splitlines() if line]) <= 15
