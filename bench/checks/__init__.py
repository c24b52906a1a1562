"""Conformance checks of methods: small, named, on a tiny task with two good answers.

Imports: bench.config, bench.errors, bench.pipeline.stages, bench.tasks, methods.
To add a check, write a function with the decorator `check` in one of the modules imported here.
"""

from __future__ import annotations

# Importing these adds their checks.
from bench.checks import declaration, losses, policy, strength, training  # noqa: F401
from bench.checks.registry import CHECKS, Check, Outcome, run_check

__all__ = ["CHECKS", "Check", "Outcome", "run_check"]
