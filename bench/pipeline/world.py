"""The shared stages of one task and seed: made once, in order, kept by content hash."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from bench.pipeline.base_model import make_model, make_tokenizer
from bench.pipeline.feedback import ask, compare, thumbs
from bench.pipeline.language_model import fine_tune, pretrain
from bench.pipeline.reward_model import gold_order_accuracy, train_reward_model
from bench.store import Store, digest, source_digest
from bench.tasks.base import Question, Split, Task
from methods.core.feedback import Judgement, Kind, Pair, derive, read_judgement
from methods.core.policy import ModelPolicy
from methods.core.reward import RewardModel
from methods.core.sampling import SamplingLaw, stream

STAGES = ("base_model", "sft", "feedback", "reward_model")
FEEDBACK_DIALS = ("judgements", "question", "annotator", "coverage")
# Dials that a stage does not depend on, because they come in only later.
LATER = {
    "base_model": ("sft", *FEEDBACK_DIALS, "reward"),
    "sft": (*FEEDBACK_DIALS, "reward"),
    "feedback": ("reward",),
    "reward_model": (),
}
HELD_OUT_PAIRS = 256
ROOT = Path(__file__).parents[2]
SOURCES = [
    *(ROOT / "bench" / "pipeline").glob("*.py"),
    *(
        ROOT / "methods" / "core" / f"{name}.py"
        for name in (
            *("feedback", "fine_tuning", "policy", "reward", "sampling", "text", "training"),
        )
    ),
    ROOT / "bench" / "tasks" / "base.py",
]


@lru_cache(maxsize=2)
def _policy(folder: Path, device: str) -> ModelPolicy:
    return ModelPolicy.load(folder, device)


@lru_cache(maxsize=2)
def _reward_model(folder: Path, device: str) -> RewardModel:
    return RewardModel.load(folder, device)


@dataclass(frozen=True)
class World:
    """A task at a seed, on a device, and where its stages lie.

    alias: what the experiment calls the task, where one task is there with several dials.
    """

    task: Task
    seed: int
    device: str
    store: Store
    alias: str = ""

    @property
    def name(self) -> str:
        return self.alias or self.task.name

    def key(self, stage: str) -> str:
        """Return the stage's content hash: its dials, its seed and its code."""
        dials = {
            field.name: getattr(self.task, field.name)
            for field in dataclasses.fields(self.task)
            if field.name not in LATER[stage]
        }
        return digest(
            stage=stage,
            task=self.task.name,
            dials=dials,
            seed=self.seed,
            device=self.device,
            code=source_digest([*SOURCES, ROOT / "bench" / "tasks" / f"{self.task.name}.py"]),
        )

    def folder(self, stage: str) -> Path:
        return self.store.folder(stage, self.key(stage))

    def missing(self) -> list[str]:
        """Return the stages that are yet to be made."""
        return [stage for stage in STAGES if not self.store.has(stage, self.key(stage))]

    def prepare(self) -> None:
        """Make what is missing, in order."""
        makers: dict[str, Callable[[Path], dict[str, Any]]] = {
            "base_model": self._make_base_model,
            "sft": self._make_sft,
            "feedback": self._make_feedback,
            "reward_model": self._make_reward_model,
        }
        for stage, maker in makers.items():
            self.store.make(stage, self.key(stage), maker)

    def figures(self, stage: str) -> dict[str, Any]:
        """Return what the stage wrote about itself: seconds, and the reward model's accuracy."""
        return self.store.figures(stage, self.key(stage))

    def sft(self) -> ModelPolicy:
        """Return the SFT policy. It is shared by what reads it: nothing may train it."""
        return _policy(self.folder("sft"), self.device)

    def reward_model(self) -> RewardModel:
        return _reward_model(self.folder("reward_model"), self.device)

    def feedback(self, kind: Kind) -> list[Judgement]:
        """Return what the annotator said of train prompts, as this kind.

        Thumbs were asked for; the others come from the one question that the task asks.
        """
        asked: Kind = "thumbs" if kind == "thumbs" else self.task.question.kind
        return derive(self._judgements("train", asked), kind)

    def judgements(self, kind: Kind) -> int:
        """Return how many judgements of the annotator this feedback cost."""
        return int(self.figures("feedback")["thumbs" if kind == "thumbs" else "judgements"])

    def held_out_pairs(self, split: str) -> list[Pair]:
        """Return preference pairs on validation or test prompts."""
        return self._judgements(split, "pairs")  # type: ignore[return-value]

    def _judgements(self, split: str, kind: Kind) -> list[Judgement]:
        lines = (self.folder("feedback") / f"{split}.{kind}.jsonl").read_text().splitlines()
        return [read_judgement(kind, json.loads(line)) for line in lines]

    def _make_base_model(self, folder: Path) -> dict[str, Any]:
        tokenizer = make_tokenizer(self.task.words())
        model = make_model(self.task.architecture, tokenizer, self.seed)
        training = self.task.pretraining
        text = self.task.corpus(Random(f"corpus {self.seed}"), training.examples)
        self._fit(pretrain, model, tokenizer, text, training)
        ModelPolicy(model, tokenizer).save(folder)
        return {}

    def _make_sft(self, folder: Path) -> dict[str, Any]:
        base = ModelPolicy.load(self.folder("base_model"), "cpu")
        training = self.task.sft
        shown = self.task.demonstrations(Random(f"sft {self.seed}"), training.examples)
        self._fit(fine_tune, base.model, base.tokenizer, shown, training)
        base.save(folder)
        return {}

    def _fit(self, train: Callable[..., None], *args: Any) -> None:
        workdir = self.store.workdir(f"trainer-{self.key('base_model')}")
        train(*args, device=self.device, seed=self.seed, workdir=workdir)
        self.store.drop_workdir(workdir.name)

    def _make_feedback(self, folder: Path) -> dict[str, Any]:
        from_base = self.task.coverage.policy == "base_model"
        policy = _policy(self.folder("base_model"), self.device) if from_base else self.sft()
        task, question, seed = self.task, self.task.question, self.seed
        count = task.judgements // question.judgements
        asked = ask(
            task,
            policy,
            task.prompts("train"),
            count,
            question.among,
            stream("pairs", "train", seed),
        )
        random = Random(f"annotator {seed}")
        answers = compare(asked, question, task.annotator, random)
        # As many single responses as there are judgements to spend.
        singles = [
            q._replace(responses=q.responses[i:], gold=q.gold[i:])
            for q in asked
            for i in range(question.judgements)
        ]
        liked = thumbs(singles, task.annotator, Random(f"thumbs {seed}"))
        write_judgements(folder / f"train.{question.kind}.jsonl", answers)
        write_judgements(folder / "train.thumbs.jsonl", liked)
        splits: tuple[Split, ...] = ("validation", "test")
        for split in splits:
            prompts = task.prompts(split)
            held = ask(task, policy, prompts, HELD_OUT_PAIRS, 2, stream("pairs", split, seed))
            pairs = compare(held, Question(), task.annotator, random)
            write_judgements(folder / f"{split}.pairs.jsonl", pairs)
        return {"judgements": count * question.judgements, "thumbs": len(liked)}

    def _make_reward_model(self, folder: Path) -> dict[str, Any]:
        workdir = self.store.workdir(f"trainer-{self.key('reward_model')}")
        reward = train_reward_model(
            self.folder("sft"),
            self.feedback("choices"),  # type: ignore[arg-type]
            self.task.reward,
            device=self.device,
            seed=self.seed,
            workdir=workdir,
        )
        self.store.drop_workdir(workdir.name)
        reward.model.save_pretrained(folder, safe_serialization=True)
        reward.tokenizer.save_pretrained(folder)
        return {"reward_accuracy": self._reward_accuracy(reward)}

    def _reward_accuracy(self, reward: RewardModel) -> float:
        """Measure on fresh pairs for test prompts, against gold order."""
        policy, task = self.sft(), self.task
        prompts = task.prompts("test")
        asked = [prompts[i % len(prompts)] for i in range(4 * HELD_OUT_PAIRS)]
        law = SamplingLaw(max_new_tokens=task.max_new_tokens)
        first = policy.generate(asked, stream("accuracy", "first", self.seed), law)
        second = policy.generate(asked, stream("accuracy", "second", self.seed), law)
        gold = list(zip(task.gold(asked, first), task.gold(asked, second), strict=True))
        return gold_order_accuracy(reward, asked, list(zip(first, second, strict=True)), gold)


def write_judgements(file: Path, judgements: Sequence[Judgement]) -> None:
    lines = [json.dumps(one._asdict(), ensure_ascii=False) + "\n" for one in judgements]
    file.write_text("".join(lines), encoding="utf-8")
