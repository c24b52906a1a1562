"""The work of an experiment on recorded preferences: trainings, sampling, and what each takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.config.experiment import Evaluation
from bench.config.settings import Setting
from bench.requirements.machine import Machine
from bench.requirements.memory import (
    FLOAT,
    Memory,
    Model,
    frozen_model,
    sampling,
    step,
    trained_model,
)
from bench.requirements.shape import Shape, config_of, shape_of
from bench.requirements.texts import Texts
from bench.tasks.recorded import Recorded
from bench.tasks.sizes import SIZES
from methods.core.models.engines.memory import rows_within
from methods.core.models.loading import BF16_FROM_PARAMETERS, Loading
from methods.core.training.memory import activation_bytes, tokens_within


class Need(NamedTuple):
    """What a piece of work takes.

    Attributes:
        name: As it is shown.
        memory: Memory at its peak.
        seconds: Time of one.
        times: How often it is done.
    """

    name: str
    memory: Memory
    seconds: float
    times: int


@dataclass(frozen=True)
class Work:
    """The work on one task.

    Attributes:
        task: Recorded preferences.
        settings: All methods with their settings.
        evaluation: How policies are measured.
        seeds: Number of seeds.
        budget: The most training examples or episodes.
        texts: How many labels there are, and how long.
        machine: What it runs on.
        keep: Which policies stay on disk.
        processes: How many train each model together in the memory of the machine.
    """

    task: Recorded
    settings: tuple[Setting, ...]
    evaluation: Evaluation
    seeds: int
    budget: int
    texts: Texts
    machine: Machine
    keep: str = "all"
    processes: int = 1

    @property
    def shape(self) -> Shape:
        """The shape of the policies' model."""
        shape = shape_of(self.task.model)
        if shape is None:
            raise ValueError(f"the config of {self.task.model} cannot be read")
        return shape

    @property
    def policy(self) -> Model:
        """The policies' model."""
        return self._model(self.task.model)

    def needs(self) -> Iterator[Need]:
        """Yield what each stage and each setting takes."""
        task, texts, shares = self.task, self.texts, self.task.shares
        judge = task.judge_model or task.model
        if not task.judge_classifier.model and shape_of(judge) is not None:
            yield self._reward_training("judge", self._model(judge), task.judge, shares.judge, 1)
        policy = self.policy
        if task.base == "sft first":
            count = min(task.sft.examples, round(texts.rows * shares.train))
            yield Need(
                "SFT policy",
                self._training([policy], task.sft.batch_size, 1),
                self._train_seconds(policy, round(count * task.sft.epochs)),
                self.seeds,
            )
        if not task.reward_classifier.model:
            yield self._reward_training(
                "reward model", policy, task.reward_model, shares.train, self.seeds
            )
        yield Need("reference samples", *self._reference_samples(policy), self.seeds)
        for setting in self.settings:
            memory, seconds = self._method(policy, setting.method)
            measured_memory, measured_seconds = self._measuring(policy)
            params = " ".join(f"{name}={value}" for name, value in setting.params.items())
            yield Need(
                f"{setting.name} {params}".strip(),
                max(memory, measured_memory, key=lambda memory: memory.total),
                seconds + measured_seconds,
                self.seeds,
            )

    def _model(self, name: str) -> Model:
        shape = shape_of(name)
        assert shape is not None
        large = shape.parameters >= BF16_FROM_PARAMETERS
        # A model that is made here is not loaded: it has no adapters.
        loading = Loading() if name in SIZES else self.task.loading
        return Model(name, shape, loading, large and self.machine.device != "cpu")

    def _reward_training(
        self, name: str, model: Model, training: Any, share: float, times: int
    ) -> Need:
        width = self.texts.responses
        count = round(training.epochs * share * self.texts.rows) * width
        return Need(
            name,
            self._training([model], training.batch_size, width, scored=False),
            self._train_seconds(model, count, scored=False),
            times,
        )

    def _method(self, policy: Model, method: Any) -> tuple[Memory, float]:
        """Return memory and time of a method's training; nothing for one that does not train."""
        examples = getattr(method, "examples", None)
        episodes = getattr(method, "episodes", None)
        if method.feedback in ("pairs", "choices", "rankings", "unpaired") and examples:
            return self._offline(policy, method, min(examples, self.budget))
        if episodes:
            return self._online(policy, method, min(episodes, self.budget))
        return frozen_model(policy), 0.0

    def _offline(self, policy: Model, method: Any, examples: int) -> tuple[Memory, float]:
        width = 1 if method.feedback == "unpaired" else 2
        memory = self._training([policy], method.batch_size, width)
        if width == 1 and not policy.loading.adapters:
            memory += frozen_model(policy)
        # The reference reads every text once.
        read = width * min(examples, round(self.task.shares.train * self.texts.rows))
        seconds = self._train_seconds(policy, width * examples) + self._read_seconds(policy, read)
        return memory, seconds

    def _online(self, policy: Model, method: Any, episodes: int) -> tuple[Memory, float]:
        batch = getattr(method, "batch_size", 64)
        trained = [policy]
        if hasattr(method, "value_learning_rate"):
            trained.append(policy)
        rows = -(-batch // getattr(method, "minibatches", 1))
        sampled = min(batch, self._rows(policy))
        memory = self._training(trained, rows, 1) + sampling(policy, sampled, self.texts.longest)
        # The reward model, and the reference, which adapters share with the policy.
        memory += frozen_model(policy)
        if not policy.loading.adapters:
            memory += frozen_model(policy)
        passes = getattr(method, "epochs", 1) * episodes
        seconds = self._sample_seconds(policy, episodes, sampled)
        seconds += self._read_seconds(policy, (1 + len(trained)) * episodes)
        seconds += sum(
            self._train_seconds(model, passes, scored=model is trained[0]) for model in trained
        )
        return memory, seconds

    def _reference_samples(self, policy: Model) -> tuple[Memory, float]:
        from bench.evaluation.reference_samples import POOL

        samples = self.evaluation.frontier_samples
        count = self.task.eval_prompts * (samples + min(samples, POOL))
        memory = self._evaluating(policy, models=3)
        seconds = self._sample_seconds(policy, count, self._rows(policy))
        return memory, seconds + self._read_seconds(policy, 2 * count)

    def _measuring(self, policy: Model) -> tuple[Memory, float]:
        from bench.evaluation.measure import MOST_PAIRS

        count = 2 * self.task.eval_prompts * self.evaluation.responses_per_prompt
        held_out = self.task.shares.validation + self.task.shares.test
        pairs = min(2 * MOST_PAIRS, round(held_out * self.texts.rows))
        seconds = self._sample_seconds(policy, count, self._rows(policy))
        # The policy and the reference for the KL, the judge, and the reward model.
        return (
            self._evaluating(policy, models=4),
            seconds + self._read_seconds(policy, 4 * count + 2 * pairs),
        )

    def _rows(self, policy: Model) -> int:
        """Return how many rows are sampled at once."""
        shape, longest = policy.shape, self.texts.longest
        width = FLOAT * shape.cache_width
        return rows_within(longest, shape.vocabulary, width, self._gpu_memory)

    @property
    def _gpu_memory(self) -> int | None:
        return None if self.machine.device == "cpu" else int(self.machine.total)

    def _evaluating(self, policy: Model, models: int) -> Memory:
        memory = sampling(policy, self._rows(policy), self.texts.longest)
        for _ in range(models):
            memory += frozen_model(policy)
        return memory

    def _training(
        self, trained: list[Model], rows: int, width: int, *, scored: bool = True
    ) -> Memory:
        """Return the memory of training some models together.

        Args:
            trained: The models.
            rows: Examples of an optimizer step.
            width: Texts of each example.
            scored: Whether the first of them computes logits.
        """
        length = self.texts.longest
        most = max(self._micro_batch_tokens(trained), width * length)
        tokens = min(rows * width * length, most // (width * length) * width * length)
        responses = tokens * self.texts.longest_response // length
        memory = Memory()
        for number, model in enumerate(trained):
            logits = responses if scored and number == 0 else 0
            memory += trained_model(model) + step(model, tokens, length, logits)
        return memory

    def _micro_batch_tokens(self, trained: list[Model]) -> int:
        """Return the most tokens of a micro-batch, as trainings choose it."""
        token = sum(
            activation_bytes(config_of(model.name), model.loading, 2 if model.bf16 else 4)
            for model in trained
        )
        return tokens_within(token, self.task.loading, self._gpu_memory)

    def _train_seconds(self, model: Model, texts: int, *, scored: bool = True) -> float:
        """Return the time of forward and backward passes: 6 operations for each weight and token.

        Gradient checkpointing repeats the forward pass, which takes 2 of them.
        """
        per_weight = 8 if model.loading.gradient_checkpointing else 6
        return self._pass_seconds(model, texts, per_weight, scored)

    def _read_seconds(self, model: Model, texts: int) -> float:
        return self._pass_seconds(model, texts, 2, scored=True)

    def _pass_seconds(self, model: Model, texts: int, per_weight: int, scored: bool) -> float:
        head = model.shape.vocabulary * model.shape.hidden if scored else 0
        text = self.texts.mean * model.shape.body + self.texts.response * head
        return texts * per_weight * text / self.machine.speed

    def _sample_seconds(self, model: Model, texts: int, rows: int) -> float:
        """Return the time of sampling.

        The prompts are read, and then each token reads all weights once for all rows.
        """
        machine, shape = self.machine, model.shape
        rows = max(1, min(rows, texts))
        weights = shape.body + shape.vocabulary * shape.hidden
        token = max(
            2 * rows * weights / machine.speed,
            weights * (2 if model.bf16 else 4) / machine.bandwidth,
            shape.layers * machine.launch,
        )
        prompts = texts * 2 * self.texts.prompt * shape.body / machine.speed
        return prompts + texts / rows * self.texts.longest_response * token
