"""The kinds of task: simulated tasks have a gold reward, embedded tasks also bring their text."""

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

    examples: Annotated[int, Gt(0)]
    epochs: Annotated[float, Gt(0)]
    batch_size: Annotated[int, Gt(0)]
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

    epochs: Annotated[float, Gt(0)]
    batch_size: Annotated[int, Gt(0)]
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


@dataclass(frozen=True)
class Annotator:
    """A simulated annotator: Bradley-Terry with a temperature, a flip rate and ties.

    It chooses one of several responses with probability softmax(gold / temperature), which for two
    is sigmoid((gold(a) - gold(b)) / temperature). It ranks by choosing the best, then the best of
    the remaining ones (Plackett-Luce). It likes a single response with the probability that it
    would choose it over a response of the mean gold reward.

    Attributes:
        temperature: In units of the gold reward; higher is noisier.
        flip_rate: Probability that one of the other responses is chosen instead.
        tie_margin: Where all gold rewards differ by less, the choice is random.
    """

    temperature: Annotated[float, Gt(0)] = 1.0
    flip_rate: Annotated[float, Ge(0), Le(0.5)] = 0.0
    tie_margin: Annotated[float, Ge(0)] = 0.0


@dataclass(frozen=True)
class FeedbackFormat:
    """What the annotator gives: the better of a pair, the best of several, or their order.

    Methods that learn from unpaired labels get them from the same annotator, as many as the
    annotator made choices: on the first response of each request, or on the first n - 1 where n
    are ranked.

    Attributes:
        kind: What a label is.
        responses: How many responses the annotator chooses among, or ranks.
    """

    kind: Literal["pairs", "choices", "rankings"] = "pairs"
    responses: Annotated[int, Ge(2)] = 2

    def __post_init__(self) -> None:
        if self.kind == "pairs" and self.responses != 2:
            raise ValueError(
                "feedback_format.responses must be 2 for pairs; more for choices and rankings"
            )

    @property
    def labels(self) -> int:
        """How many labels one request counts for: a ranking of n is n - 1 choices."""
        return self.responses - 1 if self.kind == "rankings" else 1


@dataclass(frozen=True)
class ResponseSource:
    """Where the labeled responses come from: the SFT policy by default.

    Labels say little about responses that the source hardly ever gives.

    Attributes:
        policy: Which policy is sampled.
        temperature: Of sampling; above 1 the responses are more diverse.
        tilting: KL strength of an exponential tilting towards gold. If set, half of the responses
            are resampled from those for the same prompt with weights exp(gold / tilting), about
            as the optimal policy at that strength would give them.
    """

    policy: Literal["sft", "base_model"] = "sft"
    temperature: Annotated[float, Gt(0)] = 1.0
    tilting: Annotated[float, Gt(0)] | None = None


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
    reward_model: RewardTraining = RewardTraining(3, 32, 2e-3)

    @property
    @abstractmethod
    def max_new_tokens(self) -> int:
        """The longest response, in tokens, its end token included."""

    @property
    def has_small_model(self) -> bool:
        """Whether several trainings fit onto one GPU side by side, and one alone leaves it idle."""
        return True

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

    labels: Annotated[int, Gt(0)] = 4096
    feedback_format: FeedbackFormat = FeedbackFormat()
    annotator: Annotator = Annotator()
    response_source: ResponseSource = ResponseSource()

    def feedback_kinds(self) -> tuple[FeedbackKind, ...]:
        return (*DERIVABLE[self.feedback_format.kind], "unpaired")

    def __post_init__(self) -> None:
        if self.labels < self.feedback_format.labels:
            least = self.feedback_format.labels
            raise ValueError(f"labels must be at least {least}, those of one request")


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
