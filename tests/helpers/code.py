"""Digests of code as if the code had just been read, and as if a module were different."""

from __future__ import annotations

import pytest

from bench.cache import code

ABOUT_FILES = (code._imports, code._parsed, code._normalized, code._roots)
DIGESTS = (code.code_digest, code._digest)


def read_again() -> None:
    """Make the next digests read all code again, instead of what the process started with."""
    for function in (*ABOUT_FILES, *DIGESTS):
        function.cache_clear()


def change_module(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Let digests see a module with one more constant in it."""
    normalized = code._normalized

    def changed(name: str) -> str:
        return normalized(name) + ("\nADDED = 1" if name == module else "")

    monkeypatch.setattr(code, "_normalized", changed)
    forget_digests()


def forget_digests() -> None:
    """Make the next digests be computed again, from the same code."""
    for function in DIGESTS:
        function.cache_clear()
