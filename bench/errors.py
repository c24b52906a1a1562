"""The user's mistakes, and files that cannot be written."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from reprlib import Repr
from textwrap import shorten
from typing import ClassVar

# The longest message, and the longest word in one (characters).
LONGEST_MESSAGE, LONGEST_WORD = 2000, 200
# What a terminal would act on, or what hides or turns text around: control characters, and the
# marks of writing direction.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class UserError(Exception):
    """Bad input: one line that says where, what, and what is allowed.

    Attributes:
        status: The exit status.
    """

    status: ClassVar[int] = 2


class WriteError(UserError):
    """A file or folder cannot be written, such as on a full disk: no mistake in the input."""

    status = 1


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def write_error(place: Path, error: OSError) -> WriteError:
    """Return the error of a place that cannot be written, with what the user can do about it."""
    reason = os.strerror(error.errno) if error.errno else reason_of(error)
    advice = ""
    if error.errno in FULL:
        advice = "; free some space, then the same command resumes the run"
    elif error.errno in FORBIDDEN:
        advice = "; make it writable, then the same command resumes the run"
    return WriteError(f"{place}: cannot be written: {reason}{advice}")


class Unusable(UserError):
    """The cache cannot be read or written, or no longer: nothing can go on until that is mended."""


class Missing(Exception):
    """An artifact that was there when the work was planned is gone or damaged.

    Attributes:
        artifact: Its kind and key, as in "policy/3f2a".
    """

    def __init__(self, artifact: str) -> None:
        super().__init__(f"{artifact} is missing from the cache; the same command makes it again")
        self.artifact = artifact

    def __reduce__(self) -> tuple[type[Missing], tuple[str]]:
        return Missing, (self.artifact,)


def reason_of(error: BaseException) -> str:
    """Return a library's message in one line, cut where it is long."""
    return shorten(str(error), 300, placeholder=" ...")


def one_line(message: str) -> str:
    """Return a message as a terminal may show it: in one line, and no longer than can be read.

    Control characters are escaped. A word too long to read, such as a path of thousands of
    characters, is shortened in its middle.
    """
    words = (UNSAFE.sub(_escaped, word) for word in message.split())
    text = " ".join(_abbreviated(word) for word in words)
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]} ..."


def shown(value: object) -> str:
    """Return a value of the user's as a message shows it, cut where it is long or deep."""
    return _SHORT.repr(value)


def _escaped(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode("ascii")


def _abbreviated(word: str) -> str:
    if len(word) <= LONGEST_WORD:
        return word
    return f"{word[: LONGEST_WORD // 2]}...{word[-LONGEST_WORD // 4 :]}"


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
