"""The user's mistakes."""

from __future__ import annotations


class UserError(Exception):
    """Bad input: one line that says where, what, and what is allowed. Exit status 2."""
