"""Digests of code: they change with what can change a result, and with nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from textwrap import dedent

import pytest
from helpers.code import change_module, read_again

from bench.cache.code import code_digest, own_digest

# `top` reaches every other module but `unused`, each in its own way.
PACKAGE = {
    "__init__": "",
    "top": '''
        """What the module is for."""

        from typing import TYPE_CHECKING

        from scratch.absolute import FIRST
        from scratch import submodule
        from .relative import SECOND

        if TYPE_CHECKING:
            from scratch.types_only import Kind


        def work(value: "Kind") -> int:
            """Return something."""
            from scratch.lazy import THIRD

            if value is None:
                raise ValueError(f"no value, but {THIRD} of them")
            return FIRST + SECOND + THIRD + submodule.FOURTH  # a sum
    ''',
    "absolute": "from scratch.deep import FIFTH\n\nFIRST = FIFTH",
    "deep": "FIFTH = 5",
    "relative": "SECOND = 2",
    "lazy": "THIRD = 3",
    "submodule": "FOURTH = 4",
    "types_only": "class Kind: ...",
    "unused": "NOTHING = 0",
}
Edit = Callable[[str, str, str], None]


@pytest.fixture(autouse=True)
def fresh_code() -> Iterator[None]:
    read_again()
    yield
    read_again()


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that is nobody's, on the module search path."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    for module, source in PACKAGE.items():
        (folder / f"{module}.py").write_text(dedent(source))
    monkeypatch.syspath_prepend(tmp_path)
    return folder


@pytest.fixture
def edit(scratch: Path) -> Edit:
    """Return a function that replaces text in a module of the package."""

    def replace(module: str, old: str, new: str) -> None:
        file = scratch / f"{module}.py"
        source = file.read_text()
        assert source.count(old) == 1
        file.write_text(source.replace(old, new))

    return replace


def digest() -> str:
    """Return the digest of the package's top module as it is now."""
    read_again()
    return code_digest("scratch.top")


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("top", "# a sum", "# a total"),
        ("top", "What the module is for.", "What the module is for, in other words."),
        ("top", "Return something.", "Return something else."),
        ("top", '    """Return something."""\n', ""),
        ("top", "no value, but {THIRD} of them", "a value is missing"),
        ("top", "FIRST + SECOND", "(FIRST +\n                SECOND)"),
        ("top", "\n\n\ndef", "\n\ndef"),
        ("deep", "FIFTH = 5", "# the fifth\nFIFTH  =  5\n"),
    ],
    ids=[
        "a comment",
        "a module's docstring",
        "a function's docstring",
        "no docstring",
        "a message",
        "a line break",
        "blank lines",
        "formatting of an imported module",
    ],
)
def test_text_for_people_and_formatting_change_nothing(
    edit: Edit, module: str, old: str, new: str
) -> None:
    before = digest()
    edit(module, old, new)
    assert digest() == before


def test_files_that_are_not_imported_change_nothing(scratch: Path, edit: Edit) -> None:
    before = digest()
    (scratch / "new.py").write_text("ADDED = 1")
    edit("unused", "0", "1")
    assert digest() == before


def test_what_only_type_checkers_import_changes_nothing(edit: Edit) -> None:
    before = digest()
    edit("types_only", "class Kind: ...", "class Kind:\n    size = 1")
    edit("top", "import Kind", "import Kind as Kind")
    assert digest() == before


def test_a_module_in_a_package_does_not_depend_on_the_rest_of_the_package(scratch: Path) -> None:
    before = digest()
    (scratch / "__init__.py").write_text("from scratch.unused import NOTHING")
    assert digest() == before


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("top", "if value is None", "if value is not None"),
        ("absolute", "FIRST = FIFTH", "FIRST = FIFTH + 1"),
        ("deep", "5", "6"),
        ("relative", "2", "3"),
        ("lazy", "3", "4"),
        ("submodule", "4", "5"),
    ],
    ids=[
        "itself",
        "an imported module",
        "a module that an imported one imports",
        "a relative import",
        "an import within a function",
        "a module imported from its package",
    ],
)
def test_a_change_of_what_is_imported_changes_the_digest(
    edit: Edit, module: str, old: str, new: str
) -> None:
    before = digest()
    edit(module, old, new)
    assert digest() != before


def test_a_name_imported_from_a_package_depends_on_the_package(scratch: Path, edit: Edit) -> None:
    edit("submodule", "FOURTH = 4", "from scratch import SIXTH\n\nFOURTH = SIXTH")
    (scratch / "__init__.py").write_text("SIXTH = 6")
    before = digest()
    (scratch / "__init__.py").write_text("SIXTH = 7")
    assert digest() != before


def test_the_digest_of_modules_alone_leaves_out_what_they_import(edit: Edit) -> None:
    before = own_digest("scratch.top")
    edit("absolute", "FIRST = FIFTH", "FIRST = FIFTH + 1")
    read_again()
    assert own_digest("scratch.top") == before
    edit("top", "if value is None", "if value is not None")
    read_again()
    assert own_digest("scratch.top") != before


def test_a_process_keeps_the_digest_of_the_code_that_it_started_with(edit: Edit) -> None:
    before = code_digest("scratch.top")
    edit("deep", "5", "6")
    assert code_digest("scratch.top") == before


def test_a_module_without_source_has_no_digest() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"scratch\.missing"):
        code_digest("scratch.missing")


def test_a_plugged_in_method_depends_on_the_method_that_it_builds_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "scratch_methods"
    package.mkdir()
    (package / "__init__.py").write_text("")
    parent = package / "parent.py"
    parent.write_text(
        "from methods.base import Method\n\nclass Parent(Method):\n    feedback = 'none'\n"
    )
    (package / "mine.py").write_text(
        "from scratch_methods.parent import Parent\n\nclass Mine(Parent): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    try:
        module = import_module("scratch_methods.mine").Mine.__module__
    finally:
        for name in [name for name in sys.modules if name.startswith("scratch_methods")]:
            del sys.modules[name]
    before = code_digest(module)
    parent.write_text(parent.read_text().replace("'none'", "'pairs'"))
    read_again()
    assert code_digest(module) != before


def test_a_method_of_the_project_depends_on_the_method_that_it_builds_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("methods.ppo_gold", "methods.dpo")
    before = {name: code_digest(name) for name in names}
    change_module(monkeypatch, "methods.ppo")
    assert [name for name in names if code_digest(name) != before[name]] == ["methods.ppo_gold"]
