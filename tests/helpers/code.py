"""Digests of code as if the code had just been read, and as if a module were different."""

from __future__ import annotations

import pytest

from bench.cache import code

ABOUT_FILES = (code._imports, code._parsed, code._normalized, code._roots, code._files)
DIGESTS = (code._whole, code._alone)


def read_again() -> None:
    """Make the next digests read all code again, instead of what the process started with."""
    for function in ABOUT_FILES:
        function.cache_clear()
    forget_digests()


def change_module(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Let digests see a module with one more constant in it."""
    normalized = code._normalized

    def changed(name: str) -> str:
        return normalized(name) + ("\nADDED = 1" if name == module else "")

    monkeypatch.setattr(code, "_normalized", changed)
    forget_digests()


def forget_digests() -> None:
    """Make the next digests be computed again, from the same code."""
    for known in DIGESTS:
        known.clear()
