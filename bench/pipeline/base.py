"""The shared stages of one task and seed: made once, in order, kept by content hash."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from bench.cache.store import Store
from bench.tasks.base import Split, Task
from methods.core.feedback import Judgement, Kind, Pair, derive, read_judgement
from methods.core.models.loading import Loading
from methods.core.models.policy import ModelPolicy
from methods.core.models.reward import TextReward, load_reward

T = TypeVar("T")
HELD_OUT_PAIRS = 256
ROOT = Path(__file__).parents[2]
SOURCES = [
    *(ROOT / "bench" / "pipeline").glob("*.py"),
    *(
        ROOT / "methods" / "core" / f"{name}.py"
        for name in (
            *("feedback", "fine_tuning", "loading", "order", "policy", "reward"),
            *("sampling", "text", "training"),
        )
    ),
    ROOT / "bench" / "tasks" / "base.py",
]


@lru_cache(maxsize=2)
def load_shared_policy(folder: Path, device: str) -> ModelPolicy:
    """Return a policy that is shared by what reads it: nothing may train it."""
    return ModelPolicy.load(folder, device)


@lru_cache(maxsize=3)
def load_shared_reward(folder: Path, device: str) -> TextReward:
    """Return a reward, likewise."""
    return load_reward(folder, device)


@dataclass(frozen=True)
class World(ABC):
    """A task at a seed, on a device, and where its stages lie.

    stages: in the order in which they are made. alias: what the experiment calls the task, where
    one task is there with several dials.
    """

    stages: ClassVar[tuple[str, ...]]

    task: Task
    seed: int
    device: str
    store: Store
    alias: str = ""

    @property
    def name(self) -> str:
        return self.alias or self.task.name

    @abstractmethod
    def key(self, stage: str) -> str:
        """Return the stage's content hash: its dials, its seed and its code."""

    @abstractmethod
    def makers(self) -> dict[str, Callable[[Path], dict[str, Any]]]:
        """Return what makes each stage in an empty folder, and answers with its figures."""

    @abstractmethod
    def prompts(self, split: Split) -> list[str]:
        """Return the prompts of a split."""

    @abstractmethod
    def score(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        """Return what policies are measured by: the gold reward, or where there is none a judge's.

        No method sees it, but for those that declare themselves privileged.
        """

    @property
    @abstractmethod
    def asked(self) -> Kind:
        """What people, or the simulated annotator, were asked for."""

    @property
    def scorer(self) -> str:
        """A hash of what gives the scores and to which prompts, beyond the task's own code."""
        return ""

    @property
    @abstractmethod
    def end(self) -> str:
        """The end token of the policies, as text."""

    @property
    def temperature(self) -> float:
        """How much of the score one unit of a learned reward stands for."""
        return 1.0

    @property
    def loading(self) -> Loading:
        """How the policies' model is loaded for training."""
        return Loading()

    def read_data(self) -> list[str]:
        """Read what comes from elsewhere; return what there is to say of it. Raises UserError."""
        return []

    def folder(self, stage: str) -> Path:
        return self.store.folder(stage, self.key(stage))

    def missing(self) -> list[str]:
        """Return the stages that are yet to be made."""
        return [stage for stage in self.stages if not self.store.has(stage, self.key(stage))]

    def prepare(self) -> None:
        """Make what is missing, in order."""
        for stage, maker in self.makers().items():
            self.store.make(stage, self.key(stage), maker)

    def figures(self, stage: str) -> dict[str, Any]:
        """Return what the stage wrote about itself: seconds, and the reward model's accuracy."""
        return self.store.figures(stage, self.key(stage))

    def sft(self) -> ModelPolicy:
        """Return the SFT policy. It is shared by what reads it: nothing may train it."""
        return load_shared_policy(self.folder("sft"), self.device)

    def reward_model(self) -> TextReward:
        return load_shared_reward(self.folder("reward_model"), self.device)

    def feedback(self, kind: Kind) -> list[Judgement]:
        """Return what the annotator said of train prompts, as this kind.

        Thumbs were asked for; the others come from the one question that was asked.
        """
        asked: Kind = "thumbs" if kind == "thumbs" else self.asked
        return derive(self.judgements_of("train", asked), kind)

    def judgements(self, kind: Kind) -> int:
        """Return how many judgements of the annotator this feedback cost."""
        return int(self.figures("feedback")["thumbs" if kind == "thumbs" else "judgements"])

    def held_out_pairs(self, split: Split) -> list[Pair]:
        """Return preference pairs on validation or test prompts."""
        return self.judgements_of(split, "pairs")  # type: ignore[return-value]

    def judgements_of(self, split: str, kind: Kind) -> list[Judgement]:
        """Return the judgements of a split as they are kept; none where there are none."""
        file = self.folder("feedback") / f"{split}.{kind}.jsonl"
        if not file.exists():
            return []
        # By "\n" alone: other ends of lines may stand within a text.
        lines = file.read_text(encoding="utf-8").split("\n")
        return [read_judgement(kind, json.loads(line)) for line in lines if line]

    def fit(self, stage: str, train: Callable[..., T], *args: Any, seed: int | None = None) -> T:
        """Train for a stage, in a work folder of its own; at the world's seed, or another."""
        workdir = self.store.workdir(f"trainer-{self.key(stage)}")
        own = self.seed if seed is None else seed
        trained = train(*args, device=self.device, seed=own, workdir=workdir)
        self.store.drop_workdir(workdir.name)
        return trained


def write_judgements(file: Path, judgements: Sequence[Judgement]) -> None:
    lines = [json.dumps(one._asdict(), ensure_ascii=False) + "\n" for one in judgements]
    file.write_text("".join(lines), encoding="utf-8")
