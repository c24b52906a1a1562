"""The reward model that methods learn from, and its accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, reason_of
from bench.pipeline.stages.accuracy import gold_order_accuracy, held_out_accuracy
from bench.pipeline.stages.feedback import HELD_OUT_PAIRS
from bench.pipeline.stages.training.reward_training import train_reward_model
from methods.core.feedback import Label, Unpaired, derive
from methods.core.models.pretrained import check_finite_weights, check_weights, read_config
from methods.core.models.reward import Classifier, RewardModel, TextReward
from methods.core.models.sampling import SamplingParams, derive_seed

if TYPE_CHECKING:
    from bench.pipeline.recorded import RecordedPipeline
    from bench.pipeline.simulated import SimulatedPipeline
    from bench.pipeline.sources import Source
    from bench.tasks.recorded import Classifier as ClassifierOption


def make_simulated(pipeline: SimulatedPipeline, folder: Path) -> dict[str, Any]:
    """Train a reward model on the feedback as choices.

    Returns:
        reward_accuracy: how often it orders two fresh responses to a test prompt as gold does.
        label_accuracy: how often it agrees with the annotator on held-out pairs of test prompts.
            A policy's implicit accuracy is about the same pairs.
    """
    train = partial(train_reward_model, loading=pipeline.loading)
    choices, training = pipeline.feedback("choices"), pipeline.task.reward_model
    reward = pipeline.fit("reward_model", train, pipeline.folder("sft"), choices, training)
    reward.save(folder)
    on_labels = held_out_accuracy(reward, pipeline.held_out_pairs("test"))
    return {
        "reward_accuracy": _agreement_with_gold(pipeline, reward),
        "label_accuracy": on_labels.reward_accuracy,
    }


def _agreement_with_gold(pipeline: SimulatedPipeline, reward: RewardModel) -> float:
    policy, prompts, seed = pipeline.sft(), pipeline.prompts("test"), pipeline.seed
    repeated = [prompts[i % len(prompts)] for i in range(4 * HELD_OUT_PAIRS)]
    sampling = SamplingParams(max_new_tokens=pipeline.task.max_new_tokens)
    first, second = (
        policy.generate(repeated, derive_seed("accuracy", place, seed), sampling)
        for place in ("first", "second")
    )
    gold = zip(pipeline.reward(repeated, first), pipeline.reward(repeated, second), strict=True)
    pairs = list(zip(first, second, strict=True))
    return gold_order_accuracy(reward, repeated, pairs, list(gold))


def make_recorded(pipeline: RecordedPipeline, folder: Path) -> dict[str, Any]:
    """Train a reward model on the labels of the train split, or take the task's classifier.

    Returns:
        How often it agrees with people, see `Accuracy`.
    """
    task = pipeline.task
    reward: TextReward
    if task.reward_classifier.model:
        source = pipeline.sources.reward_classifier
        option, plain = task.reward_classifier, task.text == "plain"
        reward = load_classifier(option, source, pipeline.device, pipeline.ends, plain=plain)
    else:
        labels = trainable(pipeline.labels("train", pipeline.feedback_kind))
        train = partial(train_reward_model, loading=task.loading)
        sft = pipeline.folder("sft")
        reward = pipeline.fit("reward_model", train, sft, labels, task.reward_model)
    reward.save(folder)
    return agreement_with_people(pipeline, reward)


def trainable(labels: Sequence[Label]) -> Any:
    """Return labels as a reward model learns from them: unpaired as they are, others as choices."""
    unpaired = bool(labels) and isinstance(labels[0], Unpaired)
    return list(labels) if unpaired else derive(labels, "choices")


def load_classifier(
    option: ClassifierOption, source: Source, device: str, ends: Sequence[str], *, plain: bool
) -> Classifier:
    """Return a sequence classifier that is used as a reward as it is.

    Args:
        option: The task's option: which label's logit or probability is the reward.
        source: Where the classifier lies.
        device: Where to put it.
        ends: The policies' end tokens, as text.
        plain: Whether prompts are plain text.

    Raises:
        UserError: The folder has no such classifier, or its rewards are not finite.
    """
    from transformers import AutoModelForSequenceClassification

    folder = Path(source.folder)
    try:
        check_weights(folder, read_config(folder), AutoModelForSequenceClassification)
        classifier = Classifier.load(
            folder,
            device,
            ends=ends,
            label=option.label,
            plain=plain,
            probability=option.probability,
        )
        check_finite_weights(classifier.model)
        classifier(["a question"], ["an answer"])
    except Exception as error:  # whatever a model raises whose files are not valid
        raise UserError(f"{option.model}: no sequence classifier: {reason_of(error)}") from None
    return classifier


def agreement_with_people(pipeline: RecordedPipeline, reward: TextReward) -> dict[str, Any]:
    """Return how often a reward agrees with people on validation and test prompts.

    Returns:
        The fields of `Accuracy`.
    """
    kind = pipeline.feedback_kind
    held_out = [*pipeline.labels("validation", kind), *pipeline.labels("test", kind)]
    return held_out_accuracy(reward, held_out)._asdict()
