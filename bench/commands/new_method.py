"""`prefrontier new-method`: the file of a new method, made from an existing one."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import NamedTuple

import methods
from bench.cache.files import check_writable, write_text
from bench.commands.copied_source import copied_source
from bench.config.catalog import ALL, GROUP, catalog, find_method
from bench.errors import UserError


class Draft(NamedTuple):
    """The source of a new method.

    Attributes:
        name: The method's name.
        class_name: The name of its class.
        source: The content of its file.
        like: The method that it was made from.
    """

    name: str
    class_name: str
    source: str
    like: str


def draft_method(name: str, like: str) -> Draft:
    """Return the draft of a new method that does what an existing one does.

    Args:
        name: The new method's name.
        like: The existing method's name.

    Raises:
        UserError: The name is not valid or taken, or the existing method cannot be copied.
    """
    if not re.fullmatch("[a-z][a-z0-9_]{0,99}", name) or keyword.iskeyword(name) or name == ALL:
        raise UserError(
            f"'{name}': not a valid method name; allowed: a-z, 0-9 and _, as in margin_dpo, up to "
            f"100 characters, but neither a keyword nor '{ALL}'"
        )
    if name in catalog():
        raise UserError(f"'{name}': the name is taken; taken names: {', '.join(catalog())}")
    method = find_method(like, "--like")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    return Draft(name, class_name, copied_source(method, like, name, class_name), like)


def write_method(draft: Draft, folder: Path | None = None) -> Path:
    """Write the method's file and return its path.

    Args:
        draft: The new method.
        folder: Where to write it; by default the folder in which methods are found.

    Raises:
        UserError: The folder has a file of that name, or cannot be written to.
    """
    folder = folder or methods_folder()
    file = folder / f"{draft.name}.py"
    try:
        for taken in (file, folder / draft.name):
            if taken.exists():
                raise UserError(f"{taken}: exists; choose another name, or another --folder")
        check_writable(folder)
        write_text(file, draft.source)
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}") from None
    return file


def methods_folder() -> Path:
    """Return the folder whose files are methods."""
    return Path(methods.__path__[0])


def next_steps(draft: Draft, file: Path) -> str:
    """Return the file and the commands to try next, for the author.

    Args:
        draft: The new method.
        file: The file that was written.
    """
    lines = [str(file)]
    if file.parent.resolve() != methods_folder().resolve():
        lines += [
            "To make it available, install its package with this in pyproject.toml:",
            f'  [project.entry-points."{GROUP}"]',
            f'  {draft.name} = "{draft.name}:{draft.class_name}"',
        ]
    compared = ",".join(dict.fromkeys(["sft", draft.like, draft.name]))
    return "\n".join(
        [
            *lines,
            "Next:",
            f"  .venv/bin/prefrontier check {draft.name}",
            f"  make quick METHODS={compared}",
            "Guides:",
            "  docs/methods.md: the trainer interface, losses on pairs and on unpaired labels",
            "  docs/online_methods.md: the toolkit of online methods, with reinforce_pp explained",
        ]
    )
