"""A method's source under another name, cleared of what is true of the original alone."""

from __future__ import annotations

import inspect
import re
import sys
from io import StringIO
from token import NAME
from tokenize import generate_tokens

from bench.config.catalog import own_methods
from bench.errors import UserError
from methods.base import Method

# A docstring's first paragraph.
TOLD = r'"""(?P<told>.*?)(?="""|\n\s*\n)'
PAPER = re.compile(r"^    paper: ClassVar = Paper\(.*?\)\n", re.MULTILINE | re.DOTALL)


def copied_source(method: type[Method], original: str, name: str, kind: str) -> str:
    """Return the source of the method's file with its class renamed to `kind`.

    Its docstrings say that it is a copy, and it is in no paper. Raises UserError where the file
    defines several methods, or has a `kind` already.
    """
    module = sys.modules[method.__module__]
    if len(own_methods(module)) != 1:
        raise UserError(f"--like: the file of '{original}' defines several methods; give another")
    source = inspect.getsource(module)
    if re.search(rf"\b{kind}\b", source):
        raise UserError(f"'{name}': the file of '{original}' has a {kind}; choose another name")
    source = renamed(source, method.__name__, kind)
    copy = f"copy of {original}, to be changed."
    source = re.sub(rf"\A{TOLD}", f'"""{name}: a {copy}', source, flags=re.DOTALL)
    source = re.sub(
        rf"(?P<head>^class {kind}\b[^\n]*\n    ){TOLD}",
        rf'\g<head>"""A {copy}',
        source,
        flags=re.DOTALL | re.MULTILINE,
    )
    return without_paper(source)


def renamed(source: str, old: str, new: str) -> str:
    """Return the source with a name replaced where it is one, and not in strings or comments."""
    lines = source.splitlines(keepends=True)
    names = [t for t in generate_tokens(StringIO(source).readline) if t[:2] == (NAME, old)]
    for token in reversed(names):
        (row, start), (_, end) = token.start, token.end
        line = lines[row - 1]
        lines[row - 1] = line[:start] + new + line[end:]
    return "".join(lines)


def without_paper(source: str) -> str:
    """Return the source without the paper that it names, and without the name's import."""
    source, found = PAPER.subn("    paper: ClassVar = None\n", source)
    if found and len(re.findall(r"\bPaper\b", source)) == 1:
        alone = r"^from methods.base import Paper\n"
        source = re.sub(
            rf"{alone}|\bPaper, |, Paper\b|^    Paper,\n", "", source, flags=re.MULTILINE
        )
    return source
