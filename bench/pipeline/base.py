"""The pipeline of a task at a seed: the stages that all methods share, each made once."""

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
from bench.errors import UserError
from bench.pipeline.stages.labels import read_labels
from bench.tasks.base import Split, Task
from methods.core.feedback import FeedbackKind, Label, Pair, derive
from methods.core.models.engines import vllm
from methods.core.models.loading import Loading
from methods.core.models.policy import ModelPolicy
from methods.core.models.reward import TextReward, load_reward

T = TypeVar("T")


@lru_cache(maxsize=2)
def load_shared_policy(folder: Path, device: str, loading: Loading) -> ModelPolicy:
    """Load a policy once for all callers. They share it, so none may train it."""
    return ModelPolicy.load(folder, device, loading)


@lru_cache(maxsize=3)
def load_shared_reward(folder: Path, device: str) -> TextReward:
    """Load a reward model once for all callers."""
    return load_reward(folder, device)


class Stage(NamedTuple):
    """A stage of a pipeline: how its artifact is made, and what the artifact depends on.

    Attributes:
        make: Called with the pipeline and an empty folder. It writes the artifact there and returns
            its metrics. The artifact's key covers the code of its module and of all that this
            module imports.
        after: The stages whose artifacts it reads.
        options: The task's options that it reads, beyond those of earlier stages.
        seeded: Whether the artifact depends on the seed.
        on_device: Whether the artifact depends on the device.
    """

    make: Callable[[Any, Path], dict[str, Any]]
    after: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    seeded: bool = True
    on_device: bool = True


@dataclass(frozen=True)
class Pipeline(ABC):
    """A task at a seed: the stages that all methods share, and access to their artifacts.

    Attributes:
        task_class: The kind of task that it is for, subclasses included.
        stages: By name, in the order in which they are made.
        task: The task with its options.
        seed: Varies text, feedback and training; of recorded data, only the training.
        device: "cpu" or "cuda".
        store: Where the artifacts are kept.
        alias: The experiment's name for the task, where the task occurs with several options.
    """

    task_class: ClassVar[type[Task]]
    stages: ClassVar[Mapping[str, Stage]]

    task: Task
    seed: int
    device: str
    store: Store
    alias: str = ""

    @classmethod
    def open(cls, task: Any, seed: int, device: str, store: Store, alias: str = "") -> Self:
        """Return the pipeline of a task.

        Args:
            task: The task with its options.
            seed: See the class.
            device: "cpu" or "cuda".
            store: Where the artifacts are kept.
            alias: The experiment's name for the task.

        Raises:
            UserError: Data or models that the task names cannot be found.
        """
        return cls(task, seed, device, store, alias)

    @classmethod
    def fit_options(cls, task: Any) -> dict[str, Any]:
        """Return options of the task that its model makes necessary, by name; none by default."""
        return {}

    @property
    def name(self) -> str:
        """The task's name in the experiment."""
        return self.alias or self.task.name

    def key(self, stage: str) -> str:
        """Return the key of a stage's artifact, a hash of all that the artifact depends on.

        These are the options, the inputs, the earlier stages, the seed and the device, as far as
        the stage declares them, and the code: that of the stage's and the task's modules with all
        that they import, and that of the pipeline's own modules without what they import, or each
        stage would depend on the code of all.
        """
        spec = self.stages[stage]
        own_modules = [kind.__module__ for kind in type(self).__mro__ if issubclass(kind, Pipeline)]
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
        """Return hashes of the files that a stage reads; none by default."""
        return {}

    def folder(self, stage: str) -> Path:
        """Return the folder of a stage's artifact, which must have been made."""
        return self.store.need(stage, self.key(stage))

    def missing(self) -> list[str]:
        """Return the stages that have yet to be made."""
        return [stage for stage in self.stages if not self.store.has(stage, self.key(stage))]

    def make(self, stage: str) -> None:
        """Make a stage's artifact, unless it exists."""
        self.store.make(stage, self.key(stage), partial(self.stages[stage].make, self))

    def prepare(self) -> None:
        """Make all artifacts that are missing, in order."""
        for stage in self.stages:
            self.make(stage)

    def metrics(self, stage: str) -> dict[str, Any]:
        """Return the metrics of a stage: the seconds it took, and what its `make` returned."""
        return self.store.metrics(stage, self.key(stage))

    def fit(self, stage: str, train: Callable[..., T], *args: Any, seed: int | None = None) -> T:
        """Train a model for a stage, in a work folder that stays until its artifact is made.

        Args:
            stage: The stage that is being made.
            train: Called with `args` and the keyword arguments device, seed and workdir.
            args: Positional arguments of `train`.
            seed: Of the training; the pipeline's by default.

        Returns:
            What `train` returns.
        """
        workdir = self.store.workdir(stage, self.key(stage))
        used_seed = self.seed if seed is None else seed
        return train(*args, device=self.device, seed=used_seed, workdir=workdir)

    @abstractmethod
    def prompts(self, split: Split) -> list[str]:
        """Return the prompts of a split."""

    @abstractmethod
    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        """Return the reward that policies are measured by: gold, or a judge's where there is none.

        Only methods that declare themselves privileged see it.

        Args:
            prompts: [N].
            responses: [N].

        Returns:
            [N].
        """

    @property
    @abstractmethod
    def feedback_kind(self) -> FeedbackKind:
        """The kind of labels that the annotator gave."""

    @property
    @abstractmethod
    def end(self) -> str:
        """The end token of the policies, as text, with which training responses end."""

    @property
    def ends(self) -> list[str]:
        """All end tokens of the policies, as text."""
        return [self.end]

    @property
    def reward_key(self) -> str:
        """A hash of what the reward depends on beyond the task's options and code."""
        return ""

    @property
    def temperature(self) -> float:
        """The annotator's temperature: gold reward per unit of the learned reward."""
        return 1.0

    @property
    def loading(self) -> Loading:
        """How the policies' model is loaded for training."""
        return Loading()

    def check_sampler(self) -> None:
        """Raise UserError if what the task's policies are sampled by is not installed."""
        if self.loading.sampler == "vllm" and not vllm.is_installed():
            raise UserError(f"tasks.{self.name}.options.{vllm.MISSING}")

    def read_data(self) -> list[str]:
        """Read the data and return a summary, line by line; none by default.

        Raises:
            UserError: The data cannot be used.
        """
        return []

    def describe(self) -> dict[str, Any]:
        """Return what the manifest records of this kind of pipeline beyond its task."""
        return {"judge": None, "data": None}

    def load_policy(self, stage: str) -> ModelPolicy:
        """Return a stage's model. All callers share it, so none may train it."""
        # As methods load it, rounding included.
        return load_shared_policy(self.folder(stage), self.device, self.loading)

    def sft(self) -> ModelPolicy:
        """Return the SFT policy, shared in the same way."""
        return self.load_policy("sft")

    def reward_model(self) -> TextReward:
        """Return the reward model, shared in the same way."""
        return load_shared_reward(self.folder("reward_model"), self.device)

    def labels(self, split: str, kind: FeedbackKind) -> list[Label]:
        """Return the labels of this kind that the annotator gave on a split; possibly none."""
        return read_labels(self.folder("feedback"), split, kind)

    def feedback(self, kind: FeedbackKind) -> list[Label]:
        """Return the labels on train prompts as this kind.

        Unpaired labels are stored as such; the other kinds derive from the annotator's.
        """
        stored = kind if kind == "unpaired" else self.feedback_kind
        return derive(self.labels("train", stored), kind)

    def label_count(self, kind: FeedbackKind) -> int:
        """Return how many labels the annotator gave for this kind of feedback."""
        return int(self.metrics("feedback")["unpaired" if kind == "unpaired" else "labels"])

    def held_out_pairs(self, split: Split) -> list[Pair]:
        """Return preference pairs on validation or test prompts."""
        return cast(list[Pair], self.labels(split, "pairs"))
