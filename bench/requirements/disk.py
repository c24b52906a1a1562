"""The disk that the models of an experiment take."""

from __future__ import annotations

from typing import NamedTuple

from bench.requirements.work import Work

# Bytes of a saved weight, and of a trained one with its optimizer in the saves for resuming.
SAVED, RESUMED = 4, 12


class Models(NamedTuple):
    """How many models are to be saved.

    Attributes:
        stages: Base models, judges, SFT policies and reward models.
        policies: Trained policies.
    """

    stages: int
    policies: int


def all_models(work: Work) -> Models:
    """Return how many models a task has in all."""
    # The base model and the judge once; the SFT policy and the reward model for each seed.
    return Models(2 + 2 * work.seeds, len(work.settings) * work.seeds)


def disk_of(work: Work, models: Models, jobs: int) -> float:
    """Return how far the cache grows at most while models are made (bytes).

    With `keep: selected` no policy goes before the results are written, because the selected
    settings are not known earlier. With `none` a policy goes when it is measured, unless the
    optimal frontier may sample it.

    Args:
        work: The work on a task.
        models: Those that are made.
        jobs: How many are made at once.
    """
    model, (stages, policies) = work.policy, models
    jobs = min(jobs, stages + policies)
    if work.keep == "none" and not work.evaluation.frontier_policies:
        policies = min(policies, jobs)
    whole = SAVED * model.shape.parameters
    policy = SAVED * model.trained if model.loading.adapters else whole
    resuming = 2 * RESUMED * model.trained * jobs
    return stages * whole + policies * (1 + work.evaluation.checkpoints) * policy + resuming
