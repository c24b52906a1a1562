"""The rules of the layout, as each folder's `__init__` docstring states them."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("bench", "methods")
# Each file in these folders is one entry of a list: a method, a section.
ONE_FILE_EACH = {"methods", "bench.report.sections"}
MOST_LINES, MOST_MODULES = 300, 12
TOP_OF_BENCH = {"__init__", "__main__", "cli", "errors", "interrupt", "testing"}


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(file): file for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
FOLDERS = {name: file.parent for name, file in FILES.items() if file.name == "__init__.py"}


def folder_of(module: str) -> str:
    """Return a module's folder; the files at the top of a package each stand for themselves."""
    parent = module if module in FOLDERS else module.rpartition(".")[0]
    return module if parent in PACKAGES else parent


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(module: str) -> set[str]:
    """Return the project's modules that a module imports when it runs, lazily or not."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not is_type_checking(node)]
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= inner & FILES.keys() or {node.module}
    return {name for name in names if name in FILES}


IMPORTS = {module: imports(module) for module in FILES}


def docstring(folder: str) -> str:
    return ast.get_docstring(ast.parse(FILES[folder].read_text(encoding="utf-8"))) or ""


def declared_imports(folder: str) -> list[str]:
    """Return what a folder says that it may import, besides its own modules."""
    found = re.search(
        r"^Imports: (.+?)\.?\n(?=To add)", docstring(folder), re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"{folder}/__init__.py has no line `Imports: ...`"
    return [] if found[1] == "nothing" else re.split(r",\s*", found[1])


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_a_folder_says_what_it_is_for_and_how_to_add_to_it(folder: str) -> None:
    text = docstring(folder)
    assert len(text.splitlines()[0]) > 20, "no summary"
    assert "\n\n" in text and re.search(r"\badd", text, re.IGNORECASE), "not how to add to it"
    declared_imports(folder)


@pytest.mark.parametrize("folder", sorted(FOLDERS.keys() - PACKAGES))
def test_a_folder_imports_what_it_says_and_nothing_else(folder: str) -> None:
    allowed = [folder, *declared_imports(folder)]
    modules = [module for module in FILES if folder_of(module) == folder]
    broken = {
        f"{module} imports {name}"
        for module in modules
        for name in IMPORTS[module]
        if not any(within(name, package) for package in allowed)
    }
    assert not broken
    used = {name for module in modules for name in IMPORTS[module]}
    unused = [p for p in allowed[1:] if not any(within(name, p) for name in used)]
    assert not unused, "it may import what it does not"


def test_modules_do_not_import_in_a_circle() -> None:
    list(TopologicalSorter(IMPORTS).static_order())


def test_no_folder_imports_from_one_above_it() -> None:
    graph: dict[str, set[str]] = {}
    for module, names in IMPORTS.items():
        folder = folder_of(module)
        graph.setdefault(folder, set()).update({folder_of(name) for name in names} - {folder})
    list(TopologicalSorter(graph).static_order())


def test_the_harness_stands_above_the_methods() -> None:
    assert not [
        m
        for m, names in IMPORTS.items()
        if within(m, "methods")
        for name in names
        if within(name, "bench")
    ]


def test_the_run_layer_knows_nothing_of_the_report() -> None:
    below = ("bench.execution", "bench.analysis", "bench.results", "bench.evaluation")
    for module, names in IMPORTS.items():
        if any(within(module, package) for package in below):
            assert not [name for name in names if within(name, "bench.report")], module


def test_the_top_of_the_harness_has_the_command_line_and_folders() -> None:
    assert {file.stem for file in (ROOT / "bench").glob("*.py")} == TOP_OF_BENCH


@pytest.mark.parametrize("module", sorted(FILES))
def test_modules_are_small(module: str) -> None:
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("folder", sorted(FOLDERS.keys() - ONE_FILE_EACH))
def test_folders_are_small(folder: str) -> None:
    modules = [file for file in FOLDERS[folder].glob("*.py") if file.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES
