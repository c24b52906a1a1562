"""The built-in experiment that suits data and a model: hyper-parameters by the model's size."""

from __future__ import annotations

from collections.abc import Callable

from bench.config.experiment import Experiment
from bench.requirements.shape import parameters_of
from bench.requirements.texts import rows_of
from bench.tasks.recorded import Recorded
from bench.tasks.sizes import SIZES

# Embedded models that are trained on a GPU, with smaller learning rates.
GPU_SIZES = ("10M", "50M", "150M")
# Models with fewer parameters get the learning rates of embedded models.
SMALL = 5_000_000
# Up to how many parameters each preset is for: about the geometric mean of its size and the next.
PRESETS = {
    "pretrained_100M": 220_000_000,
    "pretrained_500M": 750_000_000,
    "pretrained_1B": 2_000_000_000,
    "pretrained_3B": 5_000_000_000,
}
LARGEST = "pretrained_8B"
# A model whose config cannot be read: it may be missing, which is said later.
UNKNOWN = "pretrained_1B"
# On a CPU, models that are feasible at all get short texts and few steps.
ON_CPU, FEASIBLE_ON_CPU = "pretrained_cpu", 750_000_000

# How often a preset goes through few pairs at most, and how few examples and episodes that may be.
PASSES, LEAST = 3, 1024


def built_in(data: str, model: str, device: Callable[[], str]) -> str:
    """Return the built-in experiment that suits data and model.

    Args:
        data: As the user named it; empty for none.
        model: As the user named it: an embedded size, a folder or a hub id; empty for the default.
        device: Returns "cpu" or "cuda". It is asked only where that matters.
    """
    if not data:
        return "default"
    if not model or model in SIZES:
        return "recorded_gpu" if model in GPU_SIZES else "recorded"
    parameters = parameters_of(model)
    if parameters is None:
        return UNKNOWN
    if parameters < SMALL:
        return "recorded"
    if parameters <= FEASIBLE_ON_CPU and device() == "cpu":
        return ON_CPU
    return next((name for name, most in PRESETS.items() if parameters <= most), LARGEST)


def limited_to_data(experiment: Experiment) -> Experiment:
    """Return a preset with a budget that suits its data: three passes at most.

    The presets' examples and episodes are for tens of thousands of pairs. Data on the hub is not
    counted.
    """
    [task] = experiment.task_objects.values()
    if not isinstance(task, Recorded) or not (rows := rows_of(task)):
        return experiment
    passes = round(PASSES * rows * task.shares.train)
    return experiment.model_copy(update={"budget": min(experiment.budget, max(LEAST, passes))})
