"""The kinds of task: simulated tasks have a gold reward, embedded tasks also bring their text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from annotated_types import Gt, Le

from bench.tasks.coverage import covered_words, first_word
from bench.tasks.labeling import Annotator, FeedbackFormat, ResponseSource
from methods.core.feedback import DERIVABLE, FeedbackKind

Split = Literal["train", "validation", "test"]

# So many texts fit into memory.
MOST_EXAMPLES = 10_000_000
Epochs = Annotated[float, Gt(0), Le(100_000)]
BatchSize = Annotated[int, Gt(0), Le(1_000_000)]
# The largest model that a task pretrains (parameters).
LARGEST_MODEL = 1_000_000_000

PAD, UNKNOWN, END = "<pad>", "<unk>", "</answer>"
TAGS = ("<prompt>", "</prompt>", "<answer>")


class Example(NamedTuple):
    """A prompt with a response.

    Attributes:
        prompt: Text.
        response: Text, with the end token where the response ends.
    """

    prompt: str
    response: str


@dataclass(frozen=True)
class Training:
    """How a base model or an SFT policy trains.

    Attributes:
        examples: Number of training examples.
        epochs: Passes over the examples.
        batch_size: Examples per step.
        learning_rate: At the start; it falls linearly to 0.
    """

    examples: Annotated[int, Gt(0), Le(MOST_EXAMPLES)]
    epochs: Epochs
    batch_size: BatchSize
    learning_rate: Annotated[float, Gt(0)]


@dataclass(frozen=True)
class RewardTraining:
    """How the reward model trains, on all labels.

    Attributes:
        epochs: Passes over the labels.
        batch_size: Labels per step.
        learning_rate: At the start; it falls linearly to 0.
        layers: How many of the SFT policy's layers the reward model keeps, from below: its
            capacity. None keeps all.
    """

    epochs: Epochs
    batch_size: BatchSize
    learning_rate: Annotated[float, Gt(0)]
    layers: Annotated[int, Gt(0)] | None = None


@dataclass(frozen=True)
class Architecture:
    """The size of the Llama model that the task pretrains.

    Attributes:
        layers: Number of layers.
        hidden: Width of the hidden states.
        heads: Attention heads per layer.
        intermediate: Width of the MLP.
    """

    layers: Annotated[int, Gt(0)] = 2
    hidden: Annotated[int, Gt(0)] = 64
    heads: Annotated[int, Gt(0)] = 2
    intermediate: Annotated[int, Gt(0)] = 176

    def __post_init__(self) -> None:
        # Rotary embeddings turn pairs of a head's numbers.
        if self.hidden % (2 * self.heads):
            raise ValueError(
                f"architecture.hidden must be a multiple of twice architecture.heads, "
                f"{2 * self.heads}; not {self.hidden}"
            )
        parameters = self.layers * self.hidden * (4 * self.hidden + 3 * self.intermediate)
        if parameters > LARGEST_MODEL:
            raise ValueError(
                f"architecture has {parameters:,} parameters; at most {LARGEST_MODEL:,} are allowed"
            )


@dataclass(frozen=True)
class Task(ABC):
    """A task that methods are compared on. Its fields are its options; methods do not see them.

    Attributes:
        name: The task's name in experiments.
        reward_source: Where the reward that policies are measured by comes from.
        enumerable: Whether all responses can be listed.
        takes_data: Whether `--data` and `--model` set its options `data` and `model`.
        sft: How the SFT policy trains.
        reward_model: How the reward model trains.
    """

    name: ClassVar[str]
    reward_source: ClassVar[Literal["gold", "judge"]]
    enumerable: ClassVar[bool] = False
    takes_data: ClassVar[bool] = False

    sft: Training = Training(4096, 1, 64, 2e-3)
    reward_model: RewardTraining = RewardTraining(8, 32, 1e-3)

    @property
    @abstractmethod
    def max_new_tokens(self) -> int:
        """The longest response, in tokens, its end token included."""

    @property
    def has_small_model(self) -> bool:
        """Whether several trainings fit onto one GPU side by side, and one alone leaves it idle."""
        return True

    def at_seed(self, seed: int) -> Self:
        """Return the task as it is at a seed; most are the same at all."""
        return self

    def at_any_seed(self) -> Self:
        """Return what the task is at all seeds: jobs at one take as long as at another."""
        return self

    def external_sources(self) -> list[str]:
        """Return the data and models that come from files, folders or the hub, by name."""
        return []

    def feedback_kinds(self) -> tuple[FeedbackKind, ...] | None:
        """Return the kinds of feedback that methods can learn from; None where the data decide."""
        return None


@dataclass(frozen=True)
class Simulated(Task):
    """A task with a gold reward, whose annotator is simulated.

    Attributes:
        labels: How many labels the annotator gives.
        feedback_format: What it is shown, and what a label is.
        annotator: How noisy it is.
        response_source: Where the labeled responses come from.
    """

    reward_source: ClassVar = "gold"

    labels: Annotated[int, Gt(0), Le(MOST_EXAMPLES)] = 4096
    feedback_format: FeedbackFormat = FeedbackFormat()
    annotator: Annotator = Annotator()
    response_source: ResponseSource = ResponseSource()

    def feedback_kinds(self) -> tuple[FeedbackKind, ...]:
        return (*DERIVABLE[self.feedback_format.kind], "unpaired")

    def __post_init__(self) -> None:
        if self.labels < self.feedback_format.labels:
            least = self.feedback_format.labels
            raise ValueError(f"labels must be at least {least}, those of one request")

    def is_covered(self, response: str) -> bool:
        """Return whether the response may be labeled, as far as `coverage` says."""
        return True


@dataclass(frozen=True)
class Embedded(Simulated):
    """A simulated task that needs no download: it generates its text, and its gold is a program.

    Attributes:
        architecture: Size of the base model.
        pretraining: How the base model trains.
    """

    architecture: Architecture = Architecture()
    pretraining: Training = Training(32768, 1, 64, 6e-3)

    def __post_init__(self) -> None:
        super().__post_init__()
        layers = self.architecture.layers
        if self.reward_model.layers is not None and self.reward_model.layers > layers:
            raise ValueError(f"reward_model.layers must be at most architecture.layers, {layers}")

    def is_covered(self, response: str) -> bool:
        return self.response_source.coverage == 1 or first_word(response) in self._covered_words

    @cached_property
    def _covered_words(self) -> frozenset[str]:
        return covered_words(self.demonstrations, self.response_source.coverage)

    @abstractmethod
    def words(self) -> list[str]:
        """Return the task's words: the tokenizer's vocabulary, special tokens apart."""

    @abstractmethod
    def prompts(self, split: Split) -> list[str]:
        """Return the prompts of a split."""

    @abstractmethod
    def corpus(self, random: Random, count: int) -> list[Example]:
        """Return `count` examples of pretraining text."""

    @abstractmethod
    def demonstrations(self, random: Random, count: int) -> list[Example]:
        """Return `count` examples to fine-tune the SFT policy on."""

    @abstractmethod
    def gold(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        """Return the gold reward of each response, [N], to its prompt, [N]."""
