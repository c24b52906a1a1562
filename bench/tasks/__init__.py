"""Tasks: what methods are compared on. `TASKS` maps each name to its class.

Imports: bench.data, methods.core.
To add a task, write its module and add a line to `PATHS`.
"""

from __future__ import annotations

from pkgutil import resolve_name

from bench.tasks.base import Task

PATHS = (
    "bench.tasks.polite:Polite",
    "bench.tasks.haiku:Haiku",
    "bench.tasks.exact:Exact",
    "bench.tasks.bandit:Bandit",
    "bench.tasks.recorded:Recorded",
    "bench.tasks.sentiment:Sentiment",
)
TASKS: dict[str, type[Task]] = {task.name: task for task in map(resolve_name, PATHS)}
