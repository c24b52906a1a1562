"""Is a method what the trainer interface says? Small named checks on a tiny pipeline."""

from __future__ import annotations

from bench.checks import declaration, policy, training  # noqa: F401 (they add their checks)
from bench.checks.registry import CHECKS, Check, Outcome, run_check

__all__ = ["CHECKS", "Check", "Outcome", "run_check"]
