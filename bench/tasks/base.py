"""What a task is: what is compared on, and what a simulated one has besides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Gt, Le

from methods.core.feedback import DERIVABLE, FeedbackKind

Split = Literal["train", "validation", "test"]

PAD, UNKNOWN, END = "<pad>", "<unk>", "</answer>"
TAGS = ("<prompt>", "</prompt>", "<answer>")


class Example(NamedTuple):
    """A prompt and a response; the response carries its end token if it ended."""

    prompt: str
    response: str


@dataclass(frozen=True)
class Training:
    """How base model and SFT policy train. learning_rate falls linearly to 0."""

    examples: Annotated[int, Gt(0)]
    epochs: Annotated[float, Gt(0)]
    batch_size: Annotated[int, Gt(0)]
    learning_rate: Annotated[float, Gt(0)]


@dataclass(frozen=True)
class RewardTraining:
    """How the reward model trains, on all pairs. learning_rate falls linearly to 0.

    layers: how many of the SFT policy's layers it keeps, from below: its capacity. All by default.
    """

    epochs: Annotated[float, Gt(0)]
    batch_size: Annotated[int, Gt(0)]
    learning_rate: Annotated[float, Gt(0)]
    layers: Annotated[int, Gt(0)] | None = None


@dataclass(frozen=True)
class Architecture:
    """The size of the Llama model that the task pretrains."""

    layers: Annotated[int, Gt(0)] = 2
    hidden: Annotated[int, Gt(0)] = 64
    heads: Annotated[int, Gt(0)] = 2
    intermediate: Annotated[int, Gt(0)] = 176


@dataclass(frozen=True)
class Annotator:
    """A simulated annotator: Bradley-Terry with a temperature, a flip rate and ties.

    Of several responses one is chosen with probability softmax(gold / temperature): of two, with
    sigmoid((gold(a) - gold(b)) / temperature). With probability flip_rate one of the others is
    taken instead. Responses closer in gold than tie_margin are a tie, decided by chance. A ranking
    is a choice of the best, then of the best of the rest (Plackett-Luce). A single response gets a
    unpaired up as if it were chosen over one of the judged responses' mean gold.
    """

    temperature: Annotated[float, Gt(0)] = 1.0
    flip_rate: Annotated[float, Ge(0), Le(0.5)] = 0.0
    tie_margin: Annotated[float, Ge(0)] = 0.0


@dataclass(frozen=True)
class FeedbackFormat:
    """What the annotator is asked: the better of a pair, the best of several, or their order.

    responses: how many there are to choose among, or to rank. Methods that learn from single
    responses are given unpaired from the same annotator, on the first response of each question, or
    on the first n - 1 where n are ranked.
    """

    kind: Literal["pairs", "choices", "rankings"] = "pairs"
    responses: Annotated[int, Ge(2)] = 2

    def __post_init__(self) -> None:
        if self.kind == "pairs" and self.responses != 2:
            raise ValueError("feedback_format.responses must be 2 for pairs; more for choices and rankings")

    @property
    def labels(self) -> int:
        """How many decisions an answer is: a ranking of n is n - 1 choices."""
        return self.responses - 1 if self.kind == "rankings" else 1


@dataclass(frozen=True)
class ResponseSource:
    """Which policy the judged responses are sampled from: the reference itself by default.

    What that policy hardly ever says no label is about. temperature: above 1 it says more.
    tilting: if set, half of the responses are drawn anew from the samples for their prompt, with
    weights exp(gold / tilt): about as the optimum at that KL strength would say them.
    """

    policy: Literal["sft", "base_model"] = "sft"
    temperature: Annotated[float, Gt(0)] = 1.0
    tilting: Annotated[float, Gt(0)] | None = None


@dataclass(frozen=True)
class Task(ABC):
    """What methods are compared on. Its fields are its options, which methods do not see.

    Attributes:
        name: The task's name in experiments.
        reward_source: What gives the reward that policies are measured by.
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
    reward_model: RewardTraining = RewardTraining(3, 32, 2e-3)

    @property
    @abstractmethod
    def max_new_tokens(self) -> int:
        """The longest response, in tokens, its end token included."""

    def external_sources(self) -> list[str]:
        """Return the names of data and models that come from files, folders or the hub."""
        return []

    def feedback_kinds(self) -> tuple[FeedbackKind, ...] | None:
        """Return the kinds of feedback that methods can have; None where the data decide."""
        return None


@dataclass(frozen=True)
class Simulated(Task):
    """A task with a gold reward, whose annotator is simulated.

    labels: how many the annotator makes. question: what of. response_source: on which responses.
    """

    reward_source: ClassVar = "gold"

    labels: Annotated[int, Gt(0)] = 4096
    feedback_format: FeedbackFormat = FeedbackFormat()
    annotator: Annotator = Annotator()
    response_source: ResponseSource = ResponseSource()

    def feedback_kinds(self) -> tuple[FeedbackKind, ...]:
        return (*DERIVABLE[self.feedback_format.kind], "unpaired")

    def __post_init__(self) -> None:
        if self.labels < self.feedback_format.labels:
            least = self.feedback_format.labels
            raise ValueError(f"labels must be at least {least}, those of one question")


@dataclass(frozen=True)
class Embedded(Simulated):
    """A pipeline that needs nothing from elsewhere: it makes its text, and its gold is a program.

    architecture, pretraining: of the base model.
    """

    architecture: Architecture = Architecture()
    pretraining: Training = Training(32768, 1, 64, 6e-3)

    def __post_init__(self) -> None:
        super().__post_init__()
        depth = self.architecture.layers
        if self.reward_model.layers is not None and self.reward_model.layers > depth:
            raise ValueError(f"reward_model.layers must be at most architecture.layers, {depth}")

    @abstractmethod
    def words(self) -> list[str]:
        """Return the task's words: the tokenizer's vocabulary, special tokens apart."""

    @abstractmethod
    def prompts(self, split: Split) -> list[str]:
        """Return the prompts of a split."""

    @abstractmethod
    def corpus(self, random: Random, count: int) -> list[Example]:
        """Return pretraining text."""

    @abstractmethod
    def demonstrations(self, random: Random, count: int) -> list[Example]:
        """Return what the SFT policy is fine-tuned on."""

    @abstractmethod
    def gold(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        """Return the true reward of each response."""
