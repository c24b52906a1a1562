"""The pipeline of one task at one seed: stages that all methods share, each made once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, cast

from bench.cache.code import code_digest, own_digest
from bench.cache.keys import digest
from bench.cache.store import Store
from bench.pipeline.stages.labels import read_labels
from bench.tasks.base import Split, Task
from methods.core.feedback import FeedbackKind, Label, Pair, derive
from methods.core.models.loading import Loading
from methods.core.models.policy import ModelPolicy
from methods.core.models.reward import TextReward, load_reward

T = TypeVar("T")


@lru_cache(maxsize=2)
def load_shared_policy(folder: Path, device: str) -> ModelPolicy:
    """Return a policy that is shared by what reads it: nothing may train it."""
    return ModelPolicy.load(folder, device)


@lru_cache(maxsize=3)
def load_shared_reward(folder: Path, device: str) -> TextReward:
    """Return a reward model that is shared by what reads it."""
    return load_reward(folder, device)


class Stage(NamedTuple):
    """What makes an artifact that all methods share, and what it depends on.

    Attributes:
        make: Writes the artifact to an empty folder and returns metrics of it. Its module and all
            that this imports count in the artifact's key.
        after: The stages that it starts from.
        options: The task's options that it reads, beyond those of earlier stages.
        seeded: Whether it differs from seed to seed.
        on_device: Whether it differs from device to device.
    """

    make: Callable[[Any, Path], dict[str, Any]]
    after: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    seeded: bool = True
    on_device: bool = True


@dataclass(frozen=True)
class Pipeline(ABC):
    """A task at a seed, on a device, and where its stages lie.

    Attributes:
        stages: What is made, in this order.
        task: The task with its options.
        seed: Varies the random instance, or the training alone where the data are recorded.
        device: "cpu" or "cuda".
        store: Where the artifacts lie.
        alias: The experiment's name for the task, where it has one task with several options.
    """

    stages: ClassVar[Mapping[str, Stage]]

    task: Task
    seed: int
    device: str
    store: Store
    alias: str = ""

    @classmethod
    def open(cls, task: Any, seed: int, device: str, store: Store, alias: str = "") -> Self:
        """Return the pipeline of a task.

        Raises:
            UserError: Data or models that the task names cannot be had.
        """
        return cls(task, seed, device, store, alias)

    @classmethod
    def fit_options(cls, task: Any) -> dict[str, Any]:
        """Return options that the task's model makes necessary; none by default."""
        return {}

    @property
    def name(self) -> str:
        """The task's name in the experiment."""
        return self.alias or self.task.name

    def key(self, stage: str) -> str:
        """Return the key of a stage's artifact: a hash of options, inputs, seed and code."""
        spec = self.stages[stage]
        own_modules = [
            kind.__module__ for kind in type(self).__mro__ if issubclass(kind, Pipeline)
        ]
        return digest(
            stage=stage,
            task=self.task.name,
            options={name: getattr(self.task, name) for name in self.stage_options(stage)},
            inputs=self.inputs(stage),
            after=[self.key(earlier) for earlier in spec.after],
            seed=self.seed if spec.seeded else None,
            device=self.device if spec.on_device else None,
            code=[
                code_digest(spec.make.__module__, type(self.task).__module__),
                own_digest(*own_modules),
            ],
        )

    def stage_options(self, stage: str) -> Sequence[str]:
        """Return the names of the task's options that a stage reads."""
        return self.stages[stage].options

    def inputs(self, stage: str) -> dict[str, Any]:
        """Return what else a stage reads: hashes of files that the task names."""
        return {}

    def folder(self, stage: str) -> Path:
        """Return where a stage's artifact lies, or will."""
        return self.store.folder(stage, self.key(stage))

    def missing(self) -> list[str]:
        """Return the stages that have yet to be made."""
        return [stage for stage in self.stages if not self.store.has(stage, self.key(stage))]

    def make(self, stage: str) -> None:
        """Make one stage, unless it is there."""
        self.store.make(stage, self.key(stage), partial(self.stages[stage].make, self))

    def prepare(self) -> None:
        """Make what is missing, in order."""
        for stage in self.stages:
            self.make(stage)

    def metrics(self, stage: str) -> dict[str, Any]:
        """Return what a stage says of itself: its seconds, and what its maker measured."""
        return self.store.metrics(stage, self.key(stage))

    def fit(self, stage: str, train: Callable[..., T], *args: Any, seed: int | None = None) -> T:
        """Train for a stage, in a work folder of its own.

        Args:
            stage: The stage that is being made.
            train: Called with the arguments, device, seed and workdir.
            args: Positional arguments of `train`.
            seed: Of the training; the pipeline's by default.

        Returns:
            What `train` returns.
        """
        workdir = self.store.workdir(f"trainer-{self.key(stage)}")
        used_seed = self.seed if seed is None else seed
        trained = train(*args, device=self.device, seed=used_seed, workdir=workdir)
        self.store.drop_workdir(workdir.name)
        return trained

    @abstractmethod
    def prompts(self, split: Split) -> list[str]:
        """Return the prompts of a split."""

    @abstractmethod
    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        """Return the reward that policies are measured by: gold, or a judge's where none is known.

        Only methods that declare themselves privileged see it.
        """

    @property
    @abstractmethod
    def feedback_kind(self) -> FeedbackKind:
        """The kind of labels that people, or the simulated annotator, gave."""

    @property
    @abstractmethod
    def end(self) -> str:
        """The end token of the policies, as text."""

    @property
    def reward_key(self) -> str:
        """A hash of what gives the reward and to which prompts, beyond the task's own code."""
        return ""

    @property
    def temperature(self) -> float:
        """How many units of the gold reward one unit of the learned reward stands for."""
        return 1.0

    @property
    def loading(self) -> Loading:
        """How the policies' model is loaded for training."""
        return Loading()

    def read_data(self) -> list[str]:
        """Read what comes from elsewhere and return a summary of it, line by line.

        Raises:
            UserError: The data cannot be used.
        """
        return []

    def describe(self) -> dict[str, Any]:
        """Return what the manifest says of this kind of pipeline beyond its task."""
        return {"judge": None, "data": None}

    def load_policy(self, stage: str) -> ModelPolicy:
        """Return a stage's model. It is shared by what reads it: nothing may train it."""
        return load_shared_policy(self.folder(stage), self.device)

    def sft(self) -> ModelPolicy:
        """Return the SFT policy, shared likewise."""
        return self.load_policy("sft")

    def reward_model(self) -> TextReward:
        """Return the reward model, shared likewise."""
        return load_shared_reward(self.folder("reward_model"), self.device)

    def labels(self, split: str, kind: FeedbackKind) -> list[Label]:
        """Return the labels of a split as they were given, none where there are none."""
        return read_labels(self.folder("feedback"), split, kind)

    def feedback(self, kind: FeedbackKind) -> list[Label]:
        """Return the labels on train prompts, as this kind.

        Unpaired labels were asked for as such; all others derive from the kind that was given.
        """
        given = kind if kind == "unpaired" else self.feedback_kind
        return derive(self.labels("train", given), kind)

    def label_count(self, kind: FeedbackKind) -> int:
        """Return how many labels of the annotator this kind of feedback took."""
        return int(self.metrics("feedback")["unpaired" if kind == "unpaired" else "labels"])

    def held_out_pairs(self, split: Split) -> list[Pair]:
        """Return preference pairs on validation or test prompts."""
        return cast(list[Pair], self.labels(split, "pairs"))
