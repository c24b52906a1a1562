"""The stages of recorded preferences: feedback, base model, SFT policy, reward model, judge.

Data, base model and judge are the same for every seed; what seeds vary is the training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

from bench.pipeline.base_model import (
    PIECE_POSITIONS,
    SIZES,
    load_model,
    load_tokenizer,
    make_model,
    train_tokenizer,
)
from bench.pipeline.language_model import fine_tune, pretrain
from bench.pipeline.recorded_feedback import (
    drawn,
    make_feedback,
    prompts_of,
    responses_of,
    with_responses,
)
from bench.pipeline.reward_model import held_out_accuracy, train_reward_model
from bench.pipeline.sources import Sources
from bench.pipeline.base import ROOT, SOURCES, World, load_shared_reward
from bench.cache.store import digest, source_digest
from bench.tasks.base import Example, Split
from bench.tasks.recorded import Classifier as ClassifierDial
from bench.tasks.recorded import Recorded
from methods.core.models import distributed
from methods.core.feedback import Judgement, Kind, Pair, Thumb, derive
from methods.core.models.loading import Loading
from methods.core.models.policy import ModelPolicy
from methods.core.models.reward import Classifier, TextReward, with_end

CODE = [
    *SOURCES,
    *(ROOT / "bench" / "data").glob("*.py"),
    ROOT / "bench" / "tasks" / "recorded.py",
]
# What each stage depends on besides the stage that it starts from.
DIALS = {
    "feedback": (
        *("split", "columns", "text", "rows", "bad_rows", "shares", "max_prompt_tokens"),
        "response_tokens",
    ),
    "base_model": ("pretraining", "loading"),
    "sft": ("base", "sft"),
    "reward_model": ("reward", "reward_classifier"),
    "judge": ("judge", "judge_classifier", "loading"),
}


@dataclass(frozen=True)
class RecordedWorld(World):
    """Recorded preferences at a seed. sources: where data and models were found."""

    # The judge before what differs from seed to seed: only one of them makes it.
    stages: ClassVar = ("feedback", "base_model", "judge", "sft", "reward_model")

    task: Recorded
    sources: Sources = field(default=Sources())

    def key(self, stage: str) -> str:
        task, sources = self.task, self.sources
        before = {"base_model": "feedback", "sft": "base_model", "reward_model": "sft"}
        own: dict[str, Any] = {name: getattr(task, name) for name in DIALS[stage]}
        if stage == "feedback":
            size = "" if sources.model.hash else task.model
            own |= {"data": sources.data, "model": sources.model.hash, "size": size}
        else:
            own |= {"before": self.key(before.get(stage, "base_model")), "device": self.device}
        if stage in ("sft", "reward_model"):
            own["seed"] = self.seed
        if stage == "reward_model":
            own["classifier"] = sources.reward_classifier.hash
        if stage == "judge":
            own |= {"classifier": sources.judge_classifier.hash, "model": sources.judge_model.hash}
            own["size"] = "" if sources.judge_model.hash else task.judge_model
        return digest(stage=stage, task=task.name, **own, code=source_digest(CODE))

    @property
    def loading(self) -> Loading:
        return self.task.loading

    def makers(self) -> dict[str, Callable[[Path], dict[str, Any]]]:
        return {
            "feedback": self._make_feedback,
            "base_model": self._make_base_model,
            "judge": self._make_judge,
            "sft": self._make_sft,
            "reward_model": self._make_reward_model,
        }

    def read_data(self) -> list[str]:
        self.store.make("feedback", self.key("feedback"), self._make_feedback)
        return list(self.figures("feedback")["words"])

    @property
    def asked(self) -> Kind:
        kind: Kind = self.figures("feedback")["kind"]
        return kind

    def prompts(self, split: Split) -> list[str]:
        return self._prompts[split]

    @cached_property
    def _prompts(self) -> dict[Split, list[str]]:
        most = self.task.eval_prompts
        return {
            "train": prompts_of(self._recorded("train")),
            "validation": drawn(prompts_of(self._recorded("validation")), most),
            "test": drawn(prompts_of(self._recorded("test")), most),
        }

    def _recorded(self, split: str) -> list[Judgement]:
        return self.judgements_of(split, self.asked)

    def held_out_pairs(self, split: Split) -> list[Pair]:
        if self.asked == "thumbs":
            return []
        return derive(self._recorded(split), "pairs")  # type: ignore[return-value]

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        return self.judge()(prompts, responses)

    def judge(self) -> TextReward:
        """Return the judge. No method sees it."""
        return load_shared_reward(self.folder("judge"), self.device)

    @property
    def judge_in_words(self) -> str:
        """What the judge is."""
        if self.task.judge_classifier.model:
            return f"the classifier {self.task.judge_classifier.model}, as it is"
        rows = self.figures("feedback")["rows"]["judge"]
        start = self.task.judge_model or self.task.model
        return (
            f"a reward model that starts from {start} and learned from {rows:,} preferences that "
            "nothing else saw"
        )

    @property
    def scorer(self) -> str:
        return f"{self.key('judge')} {self.task.eval_prompts}"

    @property
    def end(self) -> str:
        return str(self._tokenizer.eos_token)

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.folder("feedback") / "tokenizer")

    def _make_feedback(self, folder: Path) -> dict[str, Any]:
        return make_feedback(self.task, self.sources.model.folder, folder)

    def _make_base_model(self, folder: Path) -> dict[str, Any]:
        if self.sources.model.folder:
            dtype = self.task.loading.dtype
            model = load_model(Path(self.sources.model.folder), self._tokenizer, dtype)
        else:
            model = self._pretrained("base_model", self.task.model, self._tokenizer)
        ModelPolicy(model, self._tokenizer).save(folder)
        return {"parameters": model.num_parameters()}

    def _pretrained(self, stage: str, size: str, tokenizer: Any) -> Any:
        """Return a model of an embedded size, trained on all text of the train split."""
        model = make_model(
            SIZES[size].architecture, tokenizer, 0, positions=PIECE_POSITIONS, tied=True
        )
        end = str(tokenizer.eos_token)
        texts = [
            Example(one.prompt, with_end(response, self.end, end))
            for one in self._recorded("train")
            for response in responses_of(one)
        ][: self.task.pretraining.examples]
        train = partial(pretrain, loading=self.task.loading)
        self.fit(stage, train, model, tokenizer, texts, self.task.pretraining, seed=0)
        return model

    def _make_sft(self, folder: Path) -> dict[str, Any]:
        start, loading = self.folder("base_model"), self.task.loading
        policy = ModelPolicy.load(start, self.device, loading)
        if self.task.base == "sft first":
            shown = liked(self._recorded("train"))[: self.task.sft.examples]
            train = partial(fine_tune, loading=loading)
            policy.model = self.fit(
                "sft", train, policy.model, policy.tokenizer, shown, self.task.sft
            )
        policy.save(folder)
        return {}

    def _make_reward_model(self, folder: Path) -> dict[str, Any]:
        reward: TextReward
        if self.task.reward_classifier.model:
            source = Path(self.sources.reward_classifier.folder)
            reward = self._classifier(self.task.reward_classifier, source)
        else:
            own = comparisons(self._recorded("train"))
            sft = self.folder("sft")
            train = partial(train_reward_model, loading=self.task.loading)
            reward = self.fit("reward_model", train, sft, own, self.task.reward)
        reward.save(folder)
        return self._accuracy(reward)

    def _make_judge(self, folder: Path) -> dict[str, Any]:
        task, sources = self.task, self.sources
        judge: TextReward
        if task.judge_classifier.model:
            judge = self._classifier(task.judge_classifier, Path(sources.judge_classifier.folder))
        else:
            start = self._judge_start()
            tokenizer = ModelPolicy.load(start, "cpu").tokenizer
            own = [
                in_other_words(one, self.end, str(tokenizer.eos_token))
                for one in self._recorded("judge")
            ]
            train = partial(train_reward_model, loading=task.loading)
            judge = self.fit("judge", train, start, comparisons(own), task.judge, seed=0)
            judge.end = self.end
            self.store.drop_workdir(f"start-{self.key('judge')}")
        judge.save(folder)
        return self._accuracy(judge)

    def _judge_start(self) -> Path:
        """Return the folder of the model that the judge starts from: the base model, or its own."""
        task, source = self.task, self.sources.judge_model.folder
        if not task.judge_model or (task.judge_model == task.model):
            return self.folder("base_model")
        plain = task.text == "plain"
        if source:
            tokenizer = load_tokenizer(Path(source), plain)
            model = load_model(Path(source), tokenizer, "float32")
        else:
            texts = (
                text for one in self._recorded("train") for text in (one.prompt, *responses_of(one))
            )
            tokenizer = train_tokenizer(texts, SIZES[task.judge_model].vocabulary, plain)
            model = self._pretrained("judge", task.judge_model, tokenizer)
        start = self.store.workdir(f"start-{self.key('judge')}")
        if distributed.is_main():
            ModelPolicy(model, tokenizer).save(start)
        distributed.gathered(None)
        return start

    def _classifier(self, dial: ClassifierDial, source: Path) -> Classifier:
        plain = self.task.text == "plain"
        return Classifier.load(
            source,
            self.device,
            end=self.end,
            label=dial.label,
            plain=plain,
            probability=dial.probability,
        )

    def _accuracy(self, reward: TextReward) -> dict[str, Any]:
        """Measure on what people said of prompts that nothing was trained on."""
        held_out = [*self._recorded("validation"), *self._recorded("test")]
        return held_out_accuracy(reward, held_out)._asdict()


def comparisons(judgements: Sequence[Judgement]) -> Any:
    """Return what a reward model learns from: thumbs as they are, all else as choices."""
    thumbs = bool(judgements) and isinstance(judgements[0], Thumb)
    return list(judgements) if thumbs else derive(judgements, "choices")


def liked(judgements: Sequence[Judgement]) -> list[Example]:
    """Return the responses that people liked, each once: what an SFT policy is shown."""
    good = [one for one in judgements if not isinstance(one, Thumb) or one.up]
    return list(dict.fromkeys(Example(one.prompt, responses_of(one)[0]) for one in good))


def in_other_words(judgement: Judgement, end: str, new: str) -> Judgement:
    """Return the judgement with another end token."""
    texts = [with_end(text, end, new) for text in responses_of(judgement)]
    return with_responses(judgement, iter(texts))
