"""Pipelines of recorded preferences: data, base model and judge are the same for every seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self, cast

from bench.cache.store import Store
from bench.data.checks import TooManyBadRowsError
from bench.data.splits import subsample
from bench.data.wording import too_many_bad_rows_text
from bench.errors import UserError
from bench.pipeline.base import Pipeline, Stage, load_shared_reward
from bench.pipeline.sources import Sources, find_model, find_sources
from bench.pipeline.stages import agreement, base_model, judge, recorded_feedback, reward_model, sft
from bench.pipeline.stages.training.models import positions_of
from bench.pipeline.summary import judge_description, judge_warning, recorded_summary
from bench.tasks.base import Split
from bench.tasks.recorded import Recorded
from methods.core.feedback import FeedbackKind, Label, Pair, derive, prompts_of
from methods.core.models.loading import Loading
from methods.core.models.reward import TextReward
from methods.core.models.text import end_tokens


@dataclass(frozen=True)
class RecordedPipeline(Pipeline):
    """Recorded preferences at a seed, which varies the training alone.

    Attributes:
        sources: Where data and models were found.
    """

    task_class: ClassVar = Recorded
    stages: ClassVar = {
        "feedback": Stage(
            recorded_feedback.make_recorded,
            (),
            (
                *("split", "columns", "text", "rows", "bad_rows", "shares"),
                *("max_prompt_tokens", "response_tokens"),
            ),
            seeded=False,
            on_device=False,
        ),
        "base_model": Stage(
            base_model.make_recorded, ("feedback",), ("pretraining", "loading"), seeded=False
        ),
        # Before what differs from seed to seed: one seed makes it for all.
        "judge": Stage(
            judge.make_recorded,
            ("base_model",),
            ("judge", "judge_classifier", "loading"),
            seeded=False,
        ),
        "sft": Stage(sft.make_recorded, ("base_model",), ("base", "sft")),
        "reward_model": Stage(
            reward_model.make_recorded, ("sft",), ("reward_model", "reward_classifier")
        ),
        "agreement": Stage(agreement.make_recorded, ("judge", "reward_model")),
    }

    task: Recorded
    sources: Sources = field(default=Sources())

    @classmethod
    def open(cls, task: Recorded, seed: int, device: str, store: Store, alias: str = "") -> Self:
        return cls(task, seed, device, store, alias, find_sources(task))

    @classmethod
    def fit_options(cls, task: Recorded) -> dict[str, Any]:
        """Return a smaller `response_tokens` where prompts would get less than half of the context.

        Args:
            task: Recorded preferences.
        """
        source = find_model(task.model)
        if not source.folder:
            return {}
        half = positions_of(source.folder) // 2
        return {"response_tokens": half} if task.response_tokens > half else {}

    def inputs(self, stage: str) -> dict[str, Any]:
        """Return hashes of data and models, and the name of an embedded size."""
        task, sources = self.task, self.sources
        match stage:
            case "feedback":
                size = "" if sources.model.hash else task.model
                values = dict(task.loading.chat_template_kwargs)
                return {
                    "data": sources.data,
                    "model": sources.model.hash,
                    "size": size,
                    "chat_template_kwargs": values,
                }
            case "judge":
                size = "" if sources.judge_model.hash else task.judge_model
                classifier = sources.judge_classifier.hash
                return {"classifier": classifier, "model": sources.judge_model.hash, "size": size}
            case "reward_model":
                return {"classifier": sources.reward_classifier.hash}
        return {}

    def make(self, stage: str) -> None:
        """Make a stage's artifact, unless it exists.

        Raises:
            UserError: The data cannot be used.
        """
        try:
            super().make(stage)
        except TooManyBadRowsError as error:
            raise UserError(too_many_bad_rows_text(self.task.data, error)) from None

    def prompts(self, split: Split) -> list[str]:
        return self._prompts[split]

    @cached_property
    def _prompts(self) -> dict[Split, list[str]]:
        splits: tuple[Split, ...] = ("train", "validation", "test")
        prompts = {split: prompts_of(self.labels(split, self.feedback_kind)) for split in splits}
        most = self.task.eval_prompts
        return {
            split: every if split == "train" else subsample(every, most)
            for split, every in prompts.items()
        }

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        return self.judge()(prompts, responses)

    def judge(self) -> TextReward:
        """Return the judge. No method sees it."""
        return load_shared_reward(self.folder("judge"), self.device)

    @property
    def reward_key(self) -> str:
        return f"{self.key('judge')} {self.task.eval_prompts}"

    @property
    def feedback_kind(self) -> FeedbackKind:
        return cast(FeedbackKind, self.metrics("feedback")["kind"])

    def held_out_pairs(self, split: Split) -> list[Pair]:
        if self.feedback_kind == "unpaired":
            return []
        labels: list[Label] = self.labels(split, self.feedback_kind)
        return cast(list[Pair], derive(labels, "pairs"))

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
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.folder("feedback") / "tokenizer")

    def read_data(self) -> list[str]:
        self.make("feedback")
        self._check_models()
        warning = judge_warning(self.task, self.sources)
        summary = recorded_summary(self.task, self.metrics("feedback"))
        return [*summary, f"warning: {warning}"] if warning else summary

    def _check_models(self) -> None:
        """Load the models that the task names, before a training that they would make useless.

        Raises:
            UserError: A model cannot be loaded.
        """
        task, sources, missing = self.task, self.sources, self.missing()
        if sources.model.folder:
            self.make("base_model")
        if "judge" in missing and sources.judge_model.folder:
            judge.load_start(self)
        for stage, option, source in (
            ("judge", task.judge_classifier, sources.judge_classifier),
            ("reward_model", task.reward_classifier, sources.reward_classifier),
        ):
            if stage in missing and source.folder:
                plain = task.text == "plain"
                reward_model.load_classifier(option, source, "cpu", self.ends, plain=plain)

    def describe(self) -> dict[str, Any]:
        metrics = self.metrics("feedback")
        return {
            "judge": judge_description(self.task, metrics),
            "judge_warning": judge_warning(self.task, self.sources),
            "data": metrics | {"summary": recorded_summary(self.task, metrics)},
        }
