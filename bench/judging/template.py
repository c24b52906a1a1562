"""The question for the judge: its template, and how it is filled."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from bench.cache.files import read_named
from bench.errors import UserError

BUILT_IN = Path(__file__).with_name("template.txt")
# Of a template (bytes).
LARGEST = 1024 * 1024
PLACEHOLDERS = ("{prompt}", "{first}", "{second}")
EMPTY = "(empty)"
# {mark} is part of the tags around the judged texts. It is a hash of them, so that no text can
# contain its own closing tag. A template may leave it out.
_PLACES = re.compile(r"\{(prompt|first|second|mark)\}")


def load_template(file: str | None) -> str:
    """Return the template in a file, or the built-in one.

    Raises:
        UserError: The file cannot be read, or lacks a placeholder.
    """
    path = Path(file) if file else BUILT_IN
    template = read_named(path, LARGEST)
    if missing := [place for place in PLACEHOLDERS if place not in template]:
        raise UserError(
            f"{path}: the template has no {missing[0]}; it needs {', '.join(PLACEHOLDERS)}"
        )
    return template


def fill(template: str, prompt: str, first: str, second: str) -> str:
    """Return the question about two responses in this order."""
    texts = {"prompt": prompt, "first": first or EMPTY, "second": second or EMPTY}
    # Sorted, so that the questions in both orders differ in nothing but the order.
    mark = sha256(_encoded("\0".join(sorted(texts.values())))).hexdigest()[:8]
    values = texts | {"mark": mark}
    # In one pass: a text may contain something that looks like a placeholder.
    return _encoded(_PLACES.sub(lambda place: values[place[1]], template)).decode()


def _encoded(text: str) -> bytes:
    # JSON may contain lone surrogates, which UTF-8 cannot encode.
    return text.encode(errors="replace")
