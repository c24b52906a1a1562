"""Simulated feedback: responses from the task's response source, labeled by its annotator."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from bench.pipeline.stages.annotator import annotate, annotate_unpaired, sample_requests
from bench.pipeline.stages.labels import write_labels
from bench.tasks.base import Split
from bench.tasks.labeling import FeedbackFormat
from methods.core.models.sampling import derive_seed

if TYPE_CHECKING:
    from bench.pipeline.simulated import SimulatedPipeline

# Pairs on validation prompts, and as many on test prompts.
HELD_OUT_PAIRS = 256


def make_simulated(pipeline: SimulatedPipeline, folder: Path) -> dict[str, Any]:
    """Write labels on train prompts, and pairs on validation and test prompts.

    Returns:
        labels: how many the annotator gave; unpaired: how many of these a method that learns from
        unpaired labels gets instead.
    """
    task, seed, feedback_format = pipeline.task, pipeline.seed, pipeline.task.feedback_format
    from_base = task.response_source.policy == "base_model"
    policy = pipeline.load_policy("base_model" if from_base else "sft")
    count = task.labels // feedback_format.labels
    sample = partial(sample_requests, task, pipeline.reward, policy)
    train_seed = derive_seed("pairs", "train", seed)
    requests = sample(pipeline.prompts("train"), count, feedback_format.responses, train_seed)
    random = Random(f"annotator {seed}")
    labels = annotate(requests, feedback_format, task.annotator, random)
    write_labels(folder, "train", feedback_format.kind, labels)
    # As many unpaired labels as the other kind counts for.
    singles = [
        request._replace(responses=request.responses[i:], gold=request.gold[i:])
        for request in requests
        for i in range(feedback_format.labels)
    ]
    unpaired = annotate_unpaired(singles, task.annotator, Random(f"unpaired {seed}"))
    write_labels(folder, "train", "unpaired", unpaired)
    splits: tuple[Split, ...] = ("validation", "test")
    for split in splits:
        prompts, split_seed = pipeline.prompts(split), derive_seed("pairs", split, seed)
        held_out = sample(prompts, HELD_OUT_PAIRS, 2, split_seed)
        pairs = annotate(held_out, FeedbackFormat(), task.annotator, random)
        write_labels(folder, split, "pairs", pairs)
    return {"labels": count * feedback_format.labels, "unpaired": len(unpaired)}
