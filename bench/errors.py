"""The user's mistakes."""

from __future__ import annotations

from textwrap import shorten


class UserError(Exception):
    """Bad input: one line that says where, what, and what is allowed. Exit status 2."""


def reason_of(error: BaseException) -> str:
    """Return a library's message in one line, cut where it is long."""
    return shorten(str(error), 300, placeholder=" ...")
