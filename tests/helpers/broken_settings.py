"""Plug-ins whose settings or declarations are broken."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from helpers.good_method import Good

from methods.base import Context, Method, Policy


@dataclass(frozen=True)
class NeedsArgument(Method):
    """A setting has no default."""

    size: int

    def train(self, context: Context) -> Policy:
        return context.start()


@dataclass(frozen=True)
class NotHashable(Good):
    """A setting that can be changed in place."""

    layers: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class NotPlain(Good):
    """A setting that JSON cannot hold."""

    where: Path = Path()


@dataclass(frozen=True)
class GridOfNothing(Good):
    """Its grid varies a field that it does not have."""

    grid: ClassVar = {"gamma": [1.0]}


@dataclass(frozen=True)
class ExcusesItself(Good):
    """It declares that it fails a check that no method may fail."""

    expected_failures: ClassVar = {"learns": "it is hard"}
