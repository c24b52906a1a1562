"""What an experiment takes on a machine, whether that fits, and with which changes it would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.config.experiment import Experiment
from bench.requirements.machine import Machine
from bench.requirements.shape import Shape, parameters_of, shape_of
from bench.requirements.texts import texts_of
from bench.requirements.work import Need, Work
from bench.tasks.recorded import Recorded
from methods.core.models.loading import Lora

# Smaller models need so little that nothing is estimated (parameters).
LARGE = 50_000_000
# What a process takes besides: Python with the libraries, or the context of a GPU (bytes).
PROCESS = {"cpu": 5e8, "cuda": 6e8}
# Bytes of a saved weight, and of a trained one with its optimizer in the saves for resuming.
SAVED, RESUMED = 4, 12


@dataclass(frozen=True)
class Estimate:
    """What a task takes.

    Attributes:
        name: The task's name in the experiment.
        work: The task with all that is done on it.
        needs: What each stage and each setting takes.
        jobs: How many of them run at once.
        saved: Bytes that the cache grows by.
    """

    name: str
    work: Work
    needs: tuple[Need, ...]
    jobs: int
    saved: float

    @property
    def largest(self) -> Need:
        """The need with the most memory."""
        return max(self.needs, key=lambda need: need.memory.total)

    @property
    def memory(self) -> float:
        """The most memory that is in use at once (bytes)."""
        at_once = min(self.jobs, sum(need.times for need in self.needs))
        return at_once * (self.largest.memory.total + PROCESS[self.work.machine.device])

    @property
    def seconds(self) -> float:
        """The time of all. Work that runs at once shares the machine."""
        return sum(need.seconds * need.times for need in self.needs)

    @property
    def fits(self) -> bool:
        """Whether memory and disk suffice."""
        machine = self.work.machine
        return self.memory <= machine.memory and self.saved <= machine.disk


# A change that saves memory: a function of an estimate.
Change = Callable[[Estimate], Estimate]


def large_tasks(experiment: Experiment) -> dict[str, Recorded]:
    """Return the recorded tasks with models so large that their needs matter, by name."""
    return {
        name: task
        for name, task in experiment.task_objects.items()
        if isinstance(task, Recorded) and (parameters_of(task.model) or 0) >= LARGE
    }


def estimates(experiment: Experiment, machine: Machine, jobs: int) -> list[Estimate]:
    """Return what the tasks with large models take.

    Args:
        experiment: The experiment.
        machine: What it runs on.
        jobs: How many trainings run at once.
    """
    return [
        _estimate(name, _work(experiment, name, task, machine), jobs)
        for name, task in large_tasks(experiment).items()
    ]


def remedies(estimate: Estimate) -> list[tuple[str, Estimate]]:
    """Return changes with which a task fits, in words, with what it then takes.

    These are all single changes that suffice. If none does, it is a series of changes of which none
    can be left out, and nothing if all together do not suffice.
    """
    changes = list(_changes(estimate))
    single = [(words, change(estimate)) for words, change in changes]
    if enough := [(words, after) for words, after in single if after.fits]:
        return enough
    needed = changes
    for change in changes:
        without = [other for other in needed if other is not change]
        if _after(estimate, without).fits:
            needed = without
    after = _after(estimate, needed)
    return [(" and ".join(words for words, _ in needed), after)] if after.fits else []


def _after(estimate: Estimate, changes: Sequence[tuple[str, Change]]) -> Estimate:
    for _, change in changes:
        estimate = change(estimate)
    return estimate


def _changes(estimate: Estimate) -> Iterator[tuple[str, Change]]:
    """Yield changes that save memory: their words, and a function of an estimate."""
    work = estimate.work
    loading = work.task.loading
    on_gpu = work.machine.device != "cpu"

    def with_loading(**options: Any) -> Change:
        def changed(before: Estimate) -> Estimate:
            task = before.work.task
            task = replace(task, loading=replace(task.loading, **options))
            return _estimate(before.name, replace(before.work, task=task), before.jobs)

        return changed

    def with_task(**options: Any) -> Change:
        def changed(before: Estimate) -> Estimate:
            task = replace(before.work.task, **options)
            texts = texts_of(task, before.work.shape.positions)
            return _estimate(before.name, replace(before.work, task=task, texts=texts), before.jobs)

        return changed

    if estimate.jobs > 1:
        yield "jobs: 1", lambda before: _estimate(before.name, before.work, 1)
    if not loading.gradient_checkpointing:
        yield "loading.gradient_checkpointing", with_loading(gradient_checkpointing=True)
    row = 2 * work.texts.longest
    if not 0 < loading.micro_batch_tokens <= row:
        yield f"loading.micro_batch_tokens: {row}", with_loading(micro_batch_tokens=row)
    if not loading.adapters:
        adapters = with_loading(lora=Lora(16), dtype="bfloat16")
        yield "LoRA (loading.lora.rank: 16, loading.dtype: bfloat16)", adapters
    if work.texts.longest_prompt > 512:
        yield "max_prompt_tokens: 512", with_task(max_prompt_tokens=512)
    if work.task.response_tokens > 64:
        yield "response_tokens: 64", with_task(response_tokens=64)
    if on_gpu and loading.quantization == "none":
        quantized = with_loading(lora=Lora(loading.lora.rank or 16), quantization="4bit")
        yield "LoRA in 4 bit (loading.lora.rank: 16, loading.quantization: 4bit)", quantized


def _work(experiment: Experiment, name: str, task: Recorded, machine: Machine) -> Work:
    shape = shape_of(task.model)
    assert isinstance(shape, Shape)
    return Work(
        task=task,
        settings=tuple(experiment.settings(name)),
        evaluation=experiment.evaluation,
        seeds=experiment.seeds,
        budget=experiment.budget,
        texts=texts_of(task, shape.positions),
        machine=machine,
    )


def _estimate(name: str, work: Work, jobs: int) -> Estimate:
    return Estimate(name, work, tuple(work.needs()), jobs, _saved(work, jobs))


def _saved(work: Work, jobs: int) -> float:
    """Return the bytes of all models that the cache gets, and of the saves for resuming."""
    model = work.policy
    whole = SAVED * model.shape.parameters
    policy = SAVED * model.trained if model.loading.adapters else whole
    # The base model and the judge once; the SFT policy and the reward model for each seed.
    stages = 2 * whole + 2 * whole * work.seeds
    runs = len(work.settings) * work.seeds * (1 + work.evaluation.checkpoints)
    resuming = 2 * RESUMED * model.trained * jobs
    return stages + runs * policy + resuming
