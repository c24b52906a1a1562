"""The task that methods are checked on: two answers, of which the annotator prefers the first.

It takes seconds, and nothing in it is a mock: the SFT policy is fine-tuned to give both answers,
the reward model is trained on the preference, and there are labels of every kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from bench.pipeline.stages.training.models import make_model
from bench.pipeline.stages.training.reward_training import train_reward_model
from bench.pipeline.stages.training.tokenizers import make_tokenizer
from bench.tasks.base import Architecture, RewardTraining
from methods.base import Method
from methods.core.feedback import Choice, Label, Pair, Ranking, Unpaired
from methods.core.models.policy import ModelPolicy
from methods.core.models.reward import RewardModel
from methods.core.models.sampling import SamplingParams
from methods.core.training.context import Context, Reward
from methods.core.training.trainer import trainer_arguments
from methods.core.trl.sft import train_on_responses

WORDS = ["a", "b", "c", "d"]
PROMPTS = ["a", "b", "a b c", "d d d d d d"]
GOOD, BAD, OTHER = (f"{letter} </answer>" for letter in "abc")
SAMPLING = SamplingParams(max_new_tokens=3)
LABELS = 256
# Of how many labels one is wrong, where they are noisy.
NOISE = 4
ARCHITECTURE = Architecture(layers=2, hidden=32, heads=2, intermediate=64)


@dataclass(frozen=True)
class TinyTask:
    """An SFT policy that answers `a` as often as `b`, and an annotator who prefers `a`.

    Attributes:
        folder: Where its models are kept.
        reversed: Whether the annotator prefers `b` instead.
        noisy: Whether one label in four is wrong, so that the best margin is finite.
    """

    folder: Path
    reversed: bool = False
    noisy: bool = False

    @property
    def sft(self) -> Path:
        """The folder of the SFT policy."""
        return self.folder / "sft"

    @property
    def reward_folder(self) -> Path:
        """The folder of the reward model, which does not depend on the noise."""
        return self.folder / ("reward_reversed" if self.reversed else "reward")

    def with_reversed_labels(self) -> TinyTask:
        """Return the task with the annotator's preference reversed."""
        return replace(self, reversed=not self.reversed)

    def with_noisy_labels(self) -> TinyTask:
        """Return the task with some labels wrong."""
        return replace(self, noisy=True)

    def prepare(self) -> None:
        """Train the SFT policy and the reward model, unless they exist."""
        if not self.sft.exists():
            self._make_sft()
        if not self.reward_folder.exists():
            self._make_reward_model()

    def labels(self, kind: str) -> list[Label]:
        """Return the annotator's labels of a kind; none for a kind that is no feedback."""
        makers: dict[str, Callable[[int, str], Label]] = {
            "pairs": lambda i, prompt: Pair(prompt, *self._answers(i)),
            "choices": lambda i, prompt: Choice(prompt, self._answers(i)[0], self._others(i)),
            "rankings": lambda i, prompt: Ranking(prompt, (self._answers(i)[0], *self._others(i))),
            # For each prompt as many good completions as bad ones.
            "unpaired": lambda i, prompt: Unpaired(prompt, self._answers(i)[i % 2], i % 2 == 0),
        }
        rounds = range(LABELS // len(PROMPTS))
        return [makers[kind](i, prompt) for i in rounds for prompt in PROMPTS if kind in makers]

    def _answers(self, number: int) -> tuple[str, str]:
        """Return the better and the worse answer, as labeled in a round of the prompts."""
        wrong = self.noisy and number // 2 % NOISE == 0
        return (BAD, GOOD) if self.reversed != wrong else (GOOD, BAD)

    def _others(self, number: int) -> tuple[str, str]:
        return OTHER, self._answers(number)[1]

    @cached_property
    def reward_model(self) -> RewardModel:
        """The learned reward model."""
        return RewardModel.load(self.reward_folder, "cpu")

    def context(self, method: type[Method], *, seed: int, budget: int, workdir: Path) -> Context:
        """Return the context that a method's `train` gets.

        Args:
            method: The method's class.
            seed: The training's seed.
            budget: The most training examples or episodes.
            workdir: The training's folder.
        """
        self.prepare()
        workdir.mkdir(parents=True, exist_ok=True)
        reward: Reward | None = self.reward_model if method.feedback == "reward" else None
        return Context(
            sft=self.sft,
            prompts=list(PROMPTS),
            labels=self.labels(method.feedback),
            sampling=SAMPLING,
            budget=budget,
            seed=seed,
            workdir=workdir,
            device="cpu",
            reward_function=reward,
            reward_folder=None if method.privileged else self.reward_folder,
            checkpoints=2,
        )

    def _make_sft(self) -> None:
        tokenizer = make_tokenizer(WORDS)
        model = make_model(ARCHITECTURE, tokenizer, seed=0)
        random = Random(0)
        prompts = [random.choice(PROMPTS) for _ in range(2048)]
        answers = [random.choice([GOOD, GOOD, BAD, BAD, OTHER]) for _ in prompts]
        arguments = trainer_arguments(model, "cpu", 0, self.folder) | {
            "num_train_epochs": 1,
            "per_device_train_batch_size": 32,
            "learning_rate": 3e-3,
            "logging_strategy": "no",
        }
        train_on_responses(model, tokenizer, prompts, answers, arguments)
        ModelPolicy(model, tokenizer).save(self.sft)

    def _make_reward_model(self) -> None:
        pairs = replace(self, noisy=False).labels("pairs")
        choices = [Choice(p.prompt, p.chosen, (p.rejected,)) for p in pairs if isinstance(p, Pair)]
        choices += [Choice(c.prompt, c.chosen, (OTHER,)) for c in choices]
        training = RewardTraining(4, 32, 2e-3)
        reward = train_reward_model(
            self.sft, choices, training, device="cpu", seed=0, workdir=self.folder
        )
        reward.save(self.reward_folder)


@cache
def _temporary_folder() -> TemporaryDirectory[str]:
    """Return a folder that is removed when the process ends."""
    return TemporaryDirectory(prefix="prefrontier-check-")


def check_folder() -> Path:
    """Return the folder of all models and trainings of this process's checks."""
    return Path(_temporary_folder().name)


@cache
def tiny_task() -> TinyTask:
    """Return the task that methods are checked on, with its models made."""
    task = TinyTask(check_folder())
    task.prepare()
    return task
