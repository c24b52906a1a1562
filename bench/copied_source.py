"""A method's source under another name, cleared of what is true of the original alone."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from importlib.util import resolve_name
from itertools import accumulate

from bench.catalog import own_methods
from bench.errors import UserError
from methods.base import Method

LINE = 100
# From byte, to byte, what stands there instead. As ast counts.
Edit = tuple[int, int, str]
Span = Callable[[ast.expr | ast.stmt], tuple[int, int]]


def copied_source(method: type[Method], original: str, name: str, kind: str) -> str:
    """Return the source of the method's file with its class renamed to `kind`.

    The first paragraphs of its docstrings say that it is a copy, and it is in no paper. What it
    imports from its own package it imports by absolute name. Raises UserError where the file
    defines several methods, or has a `kind` already.
    """
    module = sys.modules[method.__module__]
    if len(own_methods(module)) != 1:
        raise UserError(f"--like: the file of '{original}' defines several methods; give another")
    source = inspect.getsource(module)
    if re.search(rf"\b{kind}\b", source):
        raise UserError(f"'{name}': the file of '{original}' has a {kind}; choose another name")
    tree, span = ast.parse(source), spans(source)
    [own] = (
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == method.__name__
    )
    edits = [
        *_renamed(tree, own, kind, source, span),
        *_retold(tree, f"{name}: a copy of {original}, to be changed.", source, span),
        *_retold(own, f"A copy of {original}, to be changed.", source, span),
        *_unpublished(own, method, span),
        *_imports(tree, own, str(module.__package__), span),
    ]
    return edited(source, edits)


def spans(source: str) -> Span:
    """Return a function from a node to its first byte and the one past its last."""
    lines = source.encode().splitlines(keepends=True)
    starts = [0, *accumulate(map(len, lines))]

    def span(node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        start = starts[node.lineno - 1] + node.col_offset
        return start, starts[node.end_lineno - 1] + node.end_col_offset

    return span


def edited(source: str, edits: list[Edit]) -> str:
    """Return the source with the edits made; no two may overlap."""
    content = source.encode()
    for start, end, text in sorted(edits, reverse=True):
        content = content[:start] + text.encode() + content[end:]
    return content.decode()


def _renamed(
    tree: ast.Module, own: ast.ClassDef, kind: str, source: str, span: Span
) -> Iterator[Edit]:
    old = own.name.encode()
    start = source.encode().index(old, span(own)[0])
    yield start, start + len(old), kind
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == own.name:
            yield *span(node), kind


def _retold(
    node: ast.Module | ast.ClassDef, summary: str, source: str, span: Span
) -> Iterator[Edit]:
    """Put the summary in place of the docstring's first paragraph."""
    first = _docstring(node)
    if first is None:
        return
    start, end = span(first)
    match = re.fullmatch(
        r"""(?P<open>\w*(?P<quote>\"{3}|'{3}|"|'))(?P<told>.*?)(?P<rest>\s*(\n\s*\n.*)?(?P=quote))""",
        source.encode()[start:end].decode(),
        re.DOTALL,
    )
    if match is not None:
        yield start, end, match["open"] + summary + match["rest"]


def _docstring(node: ast.Module | ast.ClassDef) -> ast.stmt | None:
    return node.body[0] if ast.get_docstring(node) is not None else None


def _unpublished(own: ast.ClassDef, method: type[Method], span: Span) -> Iterator[Edit]:
    """Set `paper` to None, its own or an inherited one."""
    value = _paper(own)
    if value is not None:
        yield *span(value), "None"
    elif method.paper is not None:
        _, end = span(_docstring(own) or own.body[0])
        yield end, end, "\n\n    paper = None"


def _paper(own: ast.ClassDef) -> ast.expr | None:
    for node in own.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "paper" for target in targets):
            value: ast.expr | None = getattr(node, "value", None)
            return value
    return None


def _imports(tree: ast.Module, own: ast.ClassDef, package: str, span: Span) -> Iterator[Edit]:
    """Make relative imports absolute, and drop that of Paper where nothing else needs it."""
    paper = _paper(own)
    dropped = set(ast.walk(paper)) if paper is not None else set()
    needed = any(
        isinstance(node, ast.Name) and node.id == "Paper" and node not in dropped
        for node in ast.walk(tree)
    )
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        kept = [alias for alias in node.names if needed or alias.name != "Paper"]
        if node.level or len(kept) < len(node.names):
            relative = "." * node.level + (node.module or "")
            start, end = span(node)
            # Its line goes too.
            end += 0 if kept else 1
            yield start, end, _import_line(resolve_name(relative, package), kept)


def _import_line(module: str, names: list[ast.alias]) -> str:
    parts = [ast.unparse(name) for name in names]
    line = f"from {module} import {', '.join(parts)}" if parts else ""
    if len(line) <= LINE:
        return line
    return "\n".join([f"from {module} import (", *(f"    {part}," for part in parts), ")"])
