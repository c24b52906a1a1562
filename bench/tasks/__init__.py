"""Tasks: what methods are compared on. `TASKS` maps each name to its class.

Imports: bench.data, methods.core.
To add a task, write its module and add its class to `TASKS`.
"""

from __future__ import annotations

from bench.tasks.base import Task
from bench.tasks.exact import Exact
from bench.tasks.haiku import Haiku
from bench.tasks.polite import Polite
from bench.tasks.recorded import Recorded
from bench.tasks.sentiment import Sentiment

TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Polite, Haiku, Exact, Recorded, Sentiment)
}
