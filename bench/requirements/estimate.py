"""What an experiment takes."""

from __future__ import annotations

from bench.config.experiment import Experiment
from bench.requirements.shape import parameters_of

# Smaller models need so little that nothing is estimated (parameters).
LARGE = 50_000_000


def has_large_model(experiment: Experiment) -> bool:
    """Return whether a task trains a model so large that its needs matter."""
    models = {getattr(task, "model", "") for task in experiment.task_objects.values()} - {""}
    return any((parameters_of(name) or 0) >= LARGE for name in models)
