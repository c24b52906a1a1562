"""The digest of code: what an artifact's key knows of the program that makes it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

# Packages of this project. A plug-in's own package counts besides, when one of its modules is asked
# for. Other libraries count by their versions (see `keys.py`).
PROJECT = frozenset({"bench", "methods"})


# Digests that are known, by their modules: of the modules with what they import, and alone.
_whole: dict[tuple[str, ...], str] = {}
_alone: dict[tuple[str, ...], str] = {}


class Code(NamedTuple):
    """The code of a process, for other processes on this machine that must have the same.

    Attributes:
        files: Time of the last change (ns) and size of each source file that was read.
        whole: Known results of `code_digest`.
        alone: Known results of `own_digest`.
    """

    files: dict[Path, tuple[int, int]]
    whole: dict[tuple[str, ...], str]
    alone: dict[tuple[str, ...], str]


def known_code(*modules: str) -> Code:
    """Return the code of modules with all that they import, and all digests that are known."""
    code_digest(*modules)
    return Code(_files(modules), dict(_whole), dict(_alone))


@cache
def _files(modules: tuple[str, ...]) -> dict[Path, tuple[int, int]]:
    """Return the source files of modules and of what they import, as they were when read."""
    return {file: _read[file] for name in _closure(modules) if (file := _required(name)) in _read}


def take_over(code: Code) -> Path | None:
    """Take over another process's digests, unless a file was changed since; return that file."""
    for file, before in code.files.items():
        if not file.exists() or _version(file) != before:
            return file
    _whole.update(code.whole)
    _alone.update(code.alone)
    return None


def code_digest(*modules: str) -> str:
    """Return a hash of modules and of all code of the project that they import, transitively.

    Only what can change a result counts: comments, docstrings, formatting, type-checking imports
    and the texts of exceptions do not. Package `__init__` files count where they are imported by
    name: to add a module to a package changes no digest.

    Args:
        modules: Dotted names, such as "bench.pipeline.stages.sft".

    Returns:
        20 hexadecimal digits. A process keeps the digest of the code that it started with.

    Raises:
        ModuleNotFoundError: A module has no Python source.
    """
    if modules not in _whole:
        _whole[modules] = _digest(_closure(modules))
    return _whole[modules]


def own_digest(*modules: str) -> str:
    """Return the same hash of the modules alone, without what they import."""
    if modules not in _alone:
        _alone[modules] = _digest(set(modules))
    return _alone[modules]


def _digest(modules: set[str]) -> str:
    total = hashlib.sha256()
    for module in sorted(modules):
        total.update(f"{module}\n{_normalized(module)}\n".encode())
    return total.hexdigest()[:20]


def _closure(modules: tuple[str, ...]) -> set[str]:
    """Return the modules and what they import, within the project and their own packages."""
    packages = PROJECT | {module.partition(".")[0] for module in modules}
    known: set[str] = set()
    new = set(modules)
    while new:
        known |= new
        imported = {name for module in new for name in _imports(module)}
        new = {name for name in imported if name.partition(".")[0] in packages} - known
    return known


@cache
def _imports(module: str) -> frozenset[str]:
    """Return the modules that a module imports, wherever in its code."""
    file = _required(module)
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(_without_type_checking(_parsed(module))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= set(_imported_from(node, package))
    return frozenset(name for name in names if source_file(name) is not None)


def _imported_from(node: ast.ImportFrom, package: str) -> Iterator[str]:
    """Yield what a from-import may load: the module itself, or modules in the package it names."""
    base = node.module or ""
    if node.level:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*parents, base] if base else parents)
    inner = [f"{base}.{alias.name}" for alias in node.names]
    modules = [name for name in inner if source_file(name) is not None]
    yield from modules
    # `from package import module` runs nothing of the package that the module depends on.
    if len(modules) < len(inner):
        yield base


def source_file(module: str) -> Path | None:
    """Return a module's source file, found without importing it; None where there is none."""
    top, *rest = module.split(".")
    for root in _roots(top):
        place = root.joinpath(*rest)
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                return file
    return None


@cache
def _roots(top: str) -> tuple[Path, ...]:
    """Return where a top-level module lies: its folders, or its file without the suffix."""
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return ()
    if spec is None:
        return ()
    if spec.submodule_search_locations is not None:
        return tuple(Path(folder) for folder in spec.submodule_search_locations)
    return (Path(spec.origin).with_suffix(""),) if spec.origin else ()


def _required(module: str) -> Path:
    file = source_file(module)
    if file is None:
        raise ModuleNotFoundError(f"{module}: no Python source to take a digest of")
    return file


@cache
def _parsed(module: str) -> ast.Module:
    # Read once: a process goes on with the code that it started with.
    file = _required(module)
    _read[file] = _version(file)
    return ast.parse(file.read_text(encoding="utf-8"))


# Each source file that was read, as it was then.
_read: dict[Path, tuple[int, int]] = {}


def _version(file: Path) -> tuple[int, int]:
    about = file.stat()
    return about.st_mtime_ns, about.st_size


def _without_type_checking(tree: ast.Module) -> ast.Module:
    """Return the module without what is imported for type checkers alone."""
    body = [node for node in tree.body if not _is_type_checking(node)]
    return ast.Module(body=body, type_ignores=[])


def _is_type_checking(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
        and not node.orelse
    )


@cache
def _normalized(module: str) -> str:
    tree = ast.parse(ast.unparse(_without_type_checking(_parsed(module))))
    return ast.unparse(ast.fix_missing_locations(_Wordless().visit(tree)))


class _Wordless(ast.NodeTransformer):
    """Takes out the text for people: docstrings, and what exceptions say."""

    def visit(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.Raise):
            _Unspoken().visit(node)
        return node


class _Unspoken(ast.NodeTransformer):
    """Replaces every text in an expression by an empty one."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return ast.Constant("")
