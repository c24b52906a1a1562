"""The stages of the sentiment task: texts of people, a pretrained model, a classifier as gold."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from bench.data.reading import read_rows
from bench.data.splits import split_of
from bench.errors import UserError
from bench.pipeline.base_model import load_model, load_tokenizer
from bench.pipeline.recorded_feedback import drawn
from bench.pipeline.simulated import SimulatedWorld
from bench.pipeline.sources import Sources
from bench.pipeline.base import ROOT, SOURCES
from bench.cache.store import digest, source_digest, write_json
from bench.tasks.base import Example, Split
from bench.tasks.sentiment import Sentiment
from methods.core.models.loading import Loading
from methods.core.models.policy import ModelPolicy
from methods.core.models.reward import Classifier
from methods.core.models.sampling import stream

CODE = [
    *SOURCES,
    *(ROOT / "bench" / "data").glob("*.py"),
    ROOT / "bench" / "tasks" / "sentiment.py",
]
TEXTS = (
    *("split", "column", "rows", "shortest", "longest", "response_tokens", "shares"),
    "eval_prompts",
)
FEEDBACK = ("classifier", "judgements", "question", "annotator", "coverage")


@lru_cache(maxsize=1)
def load_classifier(
    folder: str, device: str, end: str, label: str, probability: bool
) -> Classifier:
    """Return the gold reward, once in each process."""
    return Classifier.load(
        Path(folder), device, end=end, label=label, plain=True, probability=probability
    )


@dataclass(frozen=True)
class SentimentWorld(SimulatedWorld):
    """The sentiment task at a seed. sources: where texts and models were found."""

    stages: ClassVar = ("texts", "base_model", "sft", "feedback", "reward_model")

    task: Sentiment
    sources: Sources = field(default=Sources())

    def key(self, stage: str) -> str:
        dials = {
            "texts": TEXTS,
            "base_model": ("loading",),
            "sft": ("sft",),
            "feedback": FEEDBACK,
            "reward_model": ("reward",),
        }[stage]
        own: dict[str, Any] = {name: getattr(self.task, name) for name in dials}
        if stage == "texts":
            own |= {"data": self.sources.data, "model": self.sources.model.hash}
        else:
            before = self.stages[self.stages.index(stage) - 1]
            own |= {"before": self.key(before), "device": self.device}
        if stage in ("sft", "feedback", "reward_model"):
            own["seed"] = self.seed
        if stage == "feedback":
            own["gold"] = self.sources.judge_classifier.hash
        return digest(stage=stage, task=self.task.name, **own, code=source_digest(CODE))

    def makers(self) -> dict[str, Callable[[Path], dict[str, Any]]]:
        return {"texts": self._make_texts, **super().makers()}

    def read_data(self) -> list[str]:
        self.store.make("texts", self.key("texts"), self._make_texts)
        counts = self.figures("texts")
        splits = ("train", "validation", "test")
        parts = [f"{counts[split]:,} to {split}" for split in splits]
        return [f"{self.task.data}: beginnings of texts: {', '.join(parts)}"]

    @property
    def loading(self) -> Loading:
        return self.task.loading

    @property
    def end(self) -> str:
        return str(self._tokenizer.eos_token)

    def prompts(self, split: Split) -> list[str]:
        own = [example.prompt for example in self._texts if self._split(example) == split]
        return own if split == "train" else drawn(own, self.task.eval_prompts)

    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        dial = self.task.classifier
        folder = self.sources.judge_classifier.folder
        gold = load_classifier(folder, self.device, self.end, dial.label, dial.probability)
        return gold(prompts, responses)

    def demonstrations(self) -> list[Example]:
        train = [example for example in self._texts if self._split(example) == "train"]
        return train[: self.task.sft.examples]

    def make_base_model(self, folder: Path) -> dict[str, Any]:
        source = Path(self.sources.model.folder)
        model = load_model(source, self._tokenizer, self.task.loading.dtype)
        ModelPolicy(model, self._tokenizer).save(folder)
        return {}

    def _split(self, example: Example) -> str:
        return split_of(example.prompt, self.task.shares)

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(Path(self.sources.model.folder), plain=True)

    @cached_property
    def _texts(self) -> list[Example]:
        content = json.loads((self.folder("texts") / "texts.json").read_text(encoding="utf-8"))
        return [Example(*row) for row in content]

    def _make_texts(self, folder: Path) -> dict[str, Any]:
        """Cut each text into its beginning and what comes next; each beginning once."""
        task, tokenizer = self.task, self._tokenizer
        found: dict[str, Example] = {}
        for row in islice(read_rows(task.data, task.split), task.rows or None):
            text = (row.fields or {}).get(task.column)
            if not isinstance(text, str):
                raise UserError(f"{task.data}: line {row.line}: no text in column '{task.column}'")
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            lengths = range(task.shortest, task.longest + 1)
            at = lengths[stream("beginning", sha256(text.encode()).hexdigest()) % len(lengths)]
            rest = ids[at : at + task.response_tokens]
            if len(rest) == 0:
                continue
            ended = len(ids) - at < task.response_tokens
            beginning, continued = tokenizer.decode(ids[:at]), tokenizer.decode(rest)
            response = continued + (self.end if ended else "")
            found.setdefault(beginning, Example(beginning, response))
        splits = [self._split(example) for example in found.values()]
        if missing := {"train", "validation", "test"} - set(splits):
            raise UserError(f"{task.data}: too few texts: none for {', '.join(sorted(missing))}")
        write_json(folder / "texts.json", list(found.values()))
        return {split: splits.count(split) for split in ("train", "validation", "test")}
