"""Training a method on a pipeline, and what an artifact of a trained policy holds."""

from __future__ import annotations

import dataclasses
import importlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from bench.cache.files import write_json
from bench.execution.memory import PeakMemory, release_memory
from bench.execution.scheduling.sharing import jobs_on_device
from bench.pipeline.base import Pipeline
from methods.base import Context, Method
from methods.core.feedback import Label
from methods.core.models import distributed
from methods.core.models.policy import ModelPolicy, Policy
from methods.core.models.sampling import SamplingParams
from methods.core.training.context import CHECKPOINTS
from methods.core.training.trainer import check_finite
from methods.core.training.usage import Usage

USAGE_FILE, CURVES_FILE = "usage.json", "curves.json"


class Trained(NamedTuple):
    """The result of a training.

    Attributes:
        policy: The trained policy.
        usage: What training used, by column of runs.csv.
        curves: Training curves that the method logged.
        checkpoints: Folder of the intermediate policies that were kept, if any.
    """

    policy: Policy
    usage: dict[str, Any]
    curves: list[dict[str, float]]
    checkpoints: Path

    def write(self, folder: Path) -> None:
        """Write all of it to a folder; checkpoints stay where they are too.

        A training that is killed before its artifact is whole needs them to resume.
        """
        self.policy.save(folder)
        write_json(folder / USAGE_FILE, self.usage)
        write_json(folder / CURVES_FILE, self.curves)
        if distributed.is_main() and self.checkpoints.exists():
            shutil.copytree(self.checkpoints, folder / CHECKPOINTS, copy_function=_link)


def _link(source: str, target: str) -> None:
    """Let a file have a second name; copy it where there are no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def train_policy(
    method: Method,
    pipeline: Pipeline,
    *,
    sampling: SamplingParams,
    budget: int,
    checkpoints: int,
    workdir: Path,
) -> Trained:
    """Train a method.

    Args:
        method: With all its hyper-parameters.
        pipeline: With all its stages made.
        sampling: Of the evaluation.
        budget: The most training examples or episodes.
        checkpoints: How many intermediate policies are kept.
        workdir: Where it may write, and where a training that was stopped left its progress.

    Raises:
        Diverged: A loss or a weight is not finite.
        ValueError: The method does not train in several processes, and there are several.
    """
    if distributed.is_distributed() and not method.distributed:
        raise ValueError(
            "this method trains in one process, not in a distributed run: leave it out, or run it "
            "without accelerate"
        )
    # Freed memory that this process keeps would hide what the training takes.
    release_memory()
    importlib.import_module("transformers").set_seed(pipeline.seed)
    with PeakMemory(pipeline.device) as memory:
        context = Context(
            sft=pipeline.folder("sft"),
            prompts=pipeline.prompts("train"),
            labels=_labels(method, pipeline),
            sampling=training_sampling(sampling),
            budget=budget,
            seed=pipeline.seed,
            workdir=workdir,
            device=pipeline.device,
            reward_function=_reward(method, pipeline),
            reward_folder=None if method.privileged else pipeline.folder("reward_model"),
            checkpoints=checkpoints,
            loading=pipeline.loading,
        )
        policy = method.train(context)
        if isinstance(policy, ModelPolicy):
            check_finite(policy.model)
    usage = total_usage(context.usage)
    usage |= {
        "train_seconds": round(context.seconds(), 2),
        "peak_memory_mb": round(memory.megabytes, 1),
        "labels": label_count(method, pipeline, usage["reward_calls"]),
        "jobs_on_device": jobs_on_device(),
    }
    return Trained(policy, usage, context.curves, workdir / CHECKPOINTS)


def _reward(method: Method, pipeline: Pipeline) -> Any:
    if method.feedback != "reward":
        return None
    return pipeline.reward if method.privileged else pipeline.reward_model()


def _labels(method: Method, pipeline: Pipeline) -> list[Label]:
    kind = method.feedback
    return [] if kind == "none" or kind == "reward" else pipeline.feedback(kind)


def label_count(method: Method, pipeline: Pipeline, reward_calls: int) -> int:
    """Return how many labels a training used; for a privileged method, each gold reward is one."""
    kind = method.feedback
    if method.privileged:
        return reward_calls
    if kind == "none":
        return 0
    # A reward model learned from the comparisons.
    return pipeline.label_count("pairs" if kind == "reward" else kind)


def total_usage(usage: Usage) -> dict[str, Any]:
    """Return what all processes used, summed."""
    usages = [dataclasses.asdict(one) for one in distributed.all_gather(usage)]
    return {name: sum(one[name] for one in usages) for name in usages[0]}


def training_sampling(sampling: SamplingParams) -> SamplingParams:
    """Return the sampling parameters that online methods sample by.

    Those of the evaluation, unless they rule tokens out and so leave no gradient or no finite
    log-probability: then without top_k and top_p, and at temperature 1 instead of 0.
    """
    if sampling.is_softmax:
        return sampling
    return replace(sampling, temperature=sampling.temperature or 1.0, top_k=0, top_p=1.0)
