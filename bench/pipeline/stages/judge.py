"""The judge: a reward model that policies are measured by where there is no gold reward."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.pipeline.stages.reward_model import (
    agreement_with_people,
    load_classifier,
    trainable,
)
from bench.pipeline.stages.training.language_model import pretrain_on_labels
from bench.pipeline.stages.training.models import load_model
from bench.pipeline.stages.training.reward_training import train_reward_model
from bench.pipeline.stages.training.tokenizers import load_tokenizer, train_tokenizer
from bench.tasks.sizes import SIZES
from methods.core.feedback import Label, responses_of, with_responses
from methods.core.models import distributed
from methods.core.models.policy import ModelPolicy
from methods.core.models.reward import TextReward
from methods.core.models.text import with_end

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from bench.pipeline.recorded import RecordedPipeline


def make_recorded(pipeline: RecordedPipeline, folder: Path) -> dict[str, Any]:
    """Train a judge on the labels of the judge split, or take the task's classifier.

    Returns:
        How often it agrees with people, see `Accuracy`.
    """
    task = pipeline.task
    judge: TextReward
    if task.judge_classifier.model:
        source = pipeline.sources.judge_classifier
        option, plain = task.judge_classifier, task.text == "plain"
        judge = load_classifier(option, source, pipeline.device, pipeline.ends, plain=plain)
    else:
        judge = _trained(pipeline)
    judge.save(folder)
    return agreement_with_people(pipeline, judge)


def _trained(pipeline: RecordedPipeline) -> TextReward:
    from transformers import AutoTokenizer

    start = _start(pipeline)
    end = str(AutoTokenizer.from_pretrained(start).eos_token)
    labels = [
        _with_end(label, pipeline.end, end)
        for label in pipeline.labels("judge", pipeline.feedback_kind)
    ]
    train = partial(train_reward_model, loading=pipeline.task.loading)
    training = pipeline.task.judge
    judge = pipeline.fit("judge", train, start, trainable(labels), training, seed=0)
    judge.ends = pipeline.ends
    return judge


def _start(pipeline: RecordedPipeline) -> Path:
    """Return the folder of the model that the judge starts from: the base model, or another."""
    task, source = pipeline.task, pipeline.sources.judge_model.folder
    if not task.judge_model or task.judge_model == task.model:
        return pipeline.folder("base_model")
    if source:
        model, tokenizer = load_start(pipeline)
    else:
        texts = (
            text
            for label in pipeline.labels("train", pipeline.feedback_kind)
            for text in (label.prompt, *responses_of(label))
        )
        tokenizer = train_tokenizer(texts, SIZES[task.judge_model].vocabulary, task.text == "plain")
        model = pretrain_on_labels(pipeline, "judge", task.judge_model, tokenizer)
    start = pipeline.store.workdir("judge", pipeline.key("judge")) / "start"
    if distributed.is_main():
        ModelPolicy(model, tokenizer).save(start)
    distributed.all_gather(None)
    return start


def load_start(pipeline: RecordedPipeline) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the model that the task names for its judge to start from, and its tokenizer.

    Raises:
        UserError: The model cannot be loaded.
    """
    task, source = pipeline.task, Path(pipeline.sources.judge_model.folder)
    tokenizer = load_tokenizer(source, task.text == "plain", task.loading.chat_template_kwargs)
    return load_model(source, tokenizer, "float32"), tokenizer


def _with_end(label: Label, end: str, new_end: str) -> Label:
    """Return a label with the end token `end` of its responses replaced."""
    texts = [with_end(text, [end], new_end) for text in responses_of(label)]
    return with_responses(label, iter(texts))
