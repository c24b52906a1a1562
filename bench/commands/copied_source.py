"""Copying a method's source under another name, without what applies only to the original."""

from __future__ import annotations

import inspect
import re
import sys
from io import StringIO
from token import NAME
from tokenize import generate_tokens

from bench.config.catalog import defined_methods
from bench.errors import UserError
from methods.base import Method

# A docstring's first paragraph.
SUMMARY = r'"""(?:.*?)(?="""|\n\s*\n)'
PAPER = re.compile(r"^    paper: ClassVar = Paper\(.*?\)\n", re.MULTILINE | re.DOTALL)


def copied_source(method: type[Method], original: str, name: str, class_name: str) -> str:
    """Return the source of a method's file with the class renamed.

    The summaries of its docstrings say that it is a copy. It names no paper.

    Args:
        method: The method to copy.
        original: Its name.
        name: The name of the copy.
        class_name: The name of the copy's class.

    Raises:
        UserError: The file defines several methods, or something of that class name.
    """
    module = sys.modules[method.__module__]
    if len(defined_methods(module)) != 1:
        raise UserError(
            f"--like: the file of '{original}' defines several methods; choose another method"
        )
    source = inspect.getsource(module)
    if re.search(rf"\b{class_name}\b", source):
        raise UserError(
            f"'{name}': the file of '{original}' has a {class_name}; choose another name"
        )
    source = renamed(source, method.__name__, class_name)
    copy = f"copy of {original}, to be changed."
    source = re.sub(rf"\A{SUMMARY}", f'"""{name}: a {copy}', source, flags=re.DOTALL)
    source = re.sub(
        rf"(?P<head>^class {class_name}\b[^\n]*\n    ){SUMMARY}",
        rf'\g<head>"""A {copy}',
        source,
        flags=re.DOTALL | re.MULTILINE,
    )
    return without_paper(source)


def renamed(source: str, old: str, new: str) -> str:
    """Return the source with a name replaced, but not in strings or comments."""
    lines = source.splitlines(keepends=True)
    names = [t for t in generate_tokens(StringIO(source).readline) if t[:2] == (NAME, old)]
    for token in reversed(names):
        (row, start), (_, end) = token.start, token.end
        line = lines[row - 1]
        lines[row - 1] = line[:start] + new + line[end:]
    return "".join(lines)


def without_paper(source: str) -> str:
    """Return the source without the paper that it names, and without the import of Paper."""
    source, papers = PAPER.subn("    paper: ClassVar = None\n", source)
    if papers and len(re.findall(r"\bPaper\b", source)) == 1:
        only_import = r"^from methods.base import Paper\n"
        source = re.sub(
            rf"{only_import}|\bPaper, |, Paper\b|^    Paper,\n", "", source, flags=re.MULTILINE
        )
    return source
