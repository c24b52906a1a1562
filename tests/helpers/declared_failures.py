"""Methods that declare failures of conformance checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from helpers.broken_policies import SeesBatch
from helpers.good_method import Good

from methods.sft import SFT


@dataclass(frozen=True)
class Declared(SeesBatch):
    """It declares a check that it fails."""

    expected_failures: ClassVar = {"independent_of_batch": "its logits are in 8 bits"}


@dataclass(frozen=True)
class DeclaredInVain(Good):
    """It declares a check that it passes."""

    expected_failures: ClassVar = {"leaves_itself": "it does not"}


@dataclass(frozen=True)
class DeclaredAside(SFT):
    """It declares a check that does not apply to it."""

    expected_failures: ClassVar = {"resumes": "it does not"}
