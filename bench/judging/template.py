"""The question that is put to the judge."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from bench.errors import UserError

BUILT_IN = Path(__file__).with_name("template.txt")
PLACEHOLDERS = ("{prompt}", "{first}", "{second}")
EMPTY = "(empty)"
# {mark} is for the fences around what is judged: text that was written before it was known cannot
# close them. A template may do without.
_PLACES = re.compile(r"\{(prompt|first|second|mark)\}")


def load_template(file: str | None) -> str:
    """Return the template in a file, or the built-in one. Raises UserError."""
    path = Path(file) if file else BUILT_IN
    try:
        template = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text") from None
    if missing := [place for place in PLACEHOLDERS if place not in template]:
        raise UserError(
            f"{path}: the template has no {missing[0]}; it needs {', '.join(PLACEHOLDERS)}"
        )
    return template


def fill(template: str, prompt: str, first: str, second: str) -> str:
    """Return the question about two responses in this order.

    In one pass, so that what looks like a placeholder within a text stays what it is.
    """
    texts = {"prompt": prompt, "first": first or EMPTY, "second": second or EMPTY}
    # Sorted: the same for both orders, so that nothing but the order differs.
    mark = sha256(_encoded("\0".join(sorted(texts.values())))).hexdigest()[:8]
    filled = texts | {"mark": mark}
    return _encoded(_PLACES.sub(lambda place: filled[place[1]], template)).decode()


def _encoded(text: str) -> bytes:
    # Half a surrogate pair, which JSON can have in it, cannot be sent.
    return text.encode(errors="replace")
