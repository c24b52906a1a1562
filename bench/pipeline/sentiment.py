"""Pipelines of the sentiment task: recorded texts, a pretrained model, a classifier as gold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

from bench.cache.store import Store
from bench.data.splits import split_of, subsample
from bench.pipeline.base import Stage
from bench.pipeline.simulated import SimulatedPipeline
from bench.pipeline.sources import Sources, find_texts
from bench.pipeline.stages import base_model, feedback, reward_model, sft, texts
from bench.pipeline.stages.texts import read_texts
from bench.pipeline.stages.training.language_model import some
from bench.pipeline.stages.training.tokenizers import load_tokenizer
from bench.pipeline.summary import sentiment_summary
from bench.tasks.base import Example, Split
from bench.tasks.sentiment import Sentiment
from methods.core.models.loading import Loading
from methods.core.models.reward import Classifier
from methods.core.models.text import end_tokens


@lru_cache(maxsize=1)
def load_gold(
    folder: str, device: str, ends: tuple[str, ...], label: str, probability: bool
) -> Classifier:
    """Return the gold reward. A process loads it once.

    Args:
        folder: The classifier's folder.
        device: "cpu" or "cuda".
        ends: The policies' end tokens, as text.
        label: Whose log-odds are the reward.
        probability: Whether its probability is the reward instead.
    """
    return Classifier.load(
        Path(folder), device, ends=ends, label=label, plain=True, probability=probability
    )


@dataclass(frozen=True)
class SentimentPipeline(SimulatedPipeline):
    """The sentiment task at a seed.

    Attributes:
        sources: Where texts and models were found.
    """

    task_class: ClassVar = Sentiment
    stages: ClassVar = {
        "texts": Stage(
            texts.make_sentiment,
            (),
            (
                *("split", "column", "rows", "shortest", "longest"),
                *("response_tokens", "shares", "eval_prompts"),
            ),
            seeded=False,
            on_device=False,
        ),
        "base_model": Stage(base_model.make_sentiment, ("texts",), ("loading",), seeded=False),
        "sft": Stage(sft.make_simulated, ("base_model",), ("sft",)),
        "feedback": Stage(
            feedback.make_simulated,
            ("sft",),
            ("classifier", "labels", "feedback_format", "annotator", "response_source"),
        ),
        "reward_model": Stage(reward_model.make_simulated, ("feedback",), ("reward_model",)),
    }

    task: Sentiment
    sources: Sources = field(default=Sources())

    @classmethod
    def open(cls, task: Sentiment, seed: int, device: str, store: Store, alias: str = "") -> Self:
        return cls(task, seed, device, store, alias, find_texts(task))

    def inputs(self, stage: str) -> dict[str, Any]:
        if stage == "texts":
            return {"data": self.sources.data, "model": self.sources.model.hash}
        return {"gold": self.sources.judge_classifier.hash} if stage == "feedback" else {}

    def prompts(self, split: Split) -> list[str]:
        prompts = [example.prompt for example in self._examples(split)]
        return prompts if split == "train" else subsample(prompts, self.task.eval_prompts)

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        classifier, folder = self.task.classifier, self.sources.judge_classifier.folder
        ends, probability = tuple(self.ends), classifier.probability
        gold = load_gold(folder, self.device, ends, classifier.label, probability)
        return gold(prompts, responses)

    def demonstrations(self) -> list[Example]:
        return list(some(self._examples("train"), self.task.sft.examples, "sft"))

    def _examples(self, split: Split) -> list[Example]:
        shares = self.task.shares
        return [example for example in self._texts if split_of(example.prompt, shares) == split]

    @cached_property
    def _texts(self) -> list[Example]:
        return read_texts(self.folder("texts"))

    @property
    def loading(self) -> Loading:
        return self.task.loading

    @property
    def end(self) -> str:
        return str(self.tokenizer.eos_token)

    @property
    def ends(self) -> list[str]:
        return end_tokens(self.tokenizer)

    @cached_property
    def tokenizer(self) -> Any:
        """The policies' tokenizer."""
        return load_tokenizer(Path(self.sources.model.folder), plain=True)

    def read_data(self) -> list[str]:
        self.make("texts")
        self.make("base_model")
        if "feedback" in self.missing():
            option, source = self.task.classifier, self.sources.judge_classifier
            reward_model.load_classifier(option, source, "cpu", self.ends, plain=True)
        return sentiment_summary(self.task, self.metrics("texts"))
