"""What an experiment takes on a machine, whether that fits, and with which changes it would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.config.experiment import Experiment
from bench.requirements.disk import all_models, disk_of
from bench.requirements.machine import Machine
from bench.requirements.shape import Shape, parameters_of, shape_of
from bench.requirements.texts import texts_of
from bench.requirements.work import Need, Work
from bench.tasks.base import Task
from bench.tasks.recorded import Recorded
from methods.core.models.loading import Lora

# Smaller models need so little that nothing is estimated (parameters).
LARGE = 50_000_000
# What a process takes besides: Python with the libraries, or the context of a GPU (bytes).
PROCESS = {"cpu": 5e8, "cuda": 6e8}


@dataclass(frozen=True)
class Estimate:
    """What a task takes.

    Attributes:
        name: The task's name in the experiment.
        work: The task with all that is done on it.
        needs: What each stage and each setting takes.
        jobs: How many of them run at once.
        saved: Bytes of the models that are on disk at once at most.
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
        """The most memory in use at once (bytes): that of the largest needs, one for each job."""
        totals = [n.memory.total for n in self.needs for _ in range(min(n.times, self.jobs))]
        at_once = sorted(totals, reverse=True)[: self.jobs]
        alone = sum(at_once) + PROCESS[self.work.machine.device] * len(at_once)
        return self.work.processes * alone

    @property
    def seconds(self) -> float:
        """The time of all. Work that runs at once shares the machine."""
        return sum(need.seconds * need.times for need in self.needs)

    @property
    def fits_in_memory(self) -> bool:
        """Whether the memory suffices."""
        return self.memory <= self.work.machine.memory

    @property
    def fits_on_disk(self) -> bool:
        """Whether the disk suffices."""
        return self.saved <= self.work.machine.disk + self.work.machine.cached

    @property
    def fits(self) -> bool:
        """Whether both suffice."""
        return self.fits_in_memory and self.fits_on_disk


# A change that saves memory: a function of an estimate.
Change = Callable[[Estimate], Estimate]


def large_tasks(experiment: Experiment) -> dict[str, Recorded]:
    """Return the recorded tasks with models so large that their needs matter, by name.

    A task whose policies' model is not known is left out.
    """
    return {
        name: task
        for name, task in experiment.task_objects.items()
        if isinstance(task, Recorded) and parameters_of(task.model) and is_large(task)
    }


def is_large(task: Task) -> bool:
    """Return whether a task names a model so large that its needs matter."""
    return any((parameters_of(model) or 0) >= LARGE for model in models_of(task))


def models_of(task: Task) -> list[str]:
    """Return the models that a task names: that of the policies, and that of the judge."""
    names = (getattr(task, option, "") for option in ("model", "judge_model"))
    return list(filter(None, names))


def estimates(
    experiment: Experiment, machine: Machine, jobs: int, processes: int = 1
) -> list[Estimate]:
    """Return what the tasks with large models take.

    Args:
        experiment: The experiment.
        machine: What it runs on.
        jobs: How many trainings run at once.
        processes: How many train each model together in the memory of the machine.
    """
    return [
        _estimate(name, _work(experiment, name, task, machine, processes), jobs)
        for name, task in large_tasks(experiment).items()
    ]


def remedies(estimate: Estimate) -> list[tuple[str, Estimate]]:
    """Return changes with which a task fits in memory, in words, with what it then takes.

    These are all single changes that suffice. If none does, it is a series of changes of which none
    can be left out, and nothing if all together do not suffice.
    """
    changes = list(_changes(estimate))
    single = [(words, change(estimate)) for words, change in changes]
    if enough := [(words, after) for words, after in single if after.fits_in_memory]:
        return enough
    needed = changes
    for change in changes:
        without = [other for other in needed if other is not change]
        if _after(estimate, without).fits_in_memory:
            needed = without
    after = _after(estimate, needed)
    return [(" and ".join(words for words, _ in needed), after)] if after.fits_in_memory else []


def without_policies(estimate: Estimate) -> Estimate:
    """Return what a task takes if each policy goes as soon as it is measured."""
    evaluation = estimate.work.evaluation.model_copy(update={"frontier_policies": 0})
    work = replace(estimate.work, keep="none", evaluation=evaluation)
    return _estimate(estimate.name, work, estimate.jobs)


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


def _work(
    experiment: Experiment, name: str, task: Recorded, machine: Machine, processes: int
) -> Work:
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
        keep=experiment.keep,
        processes=processes,
    )


def _estimate(name: str, work: Work, jobs: int) -> Estimate:
    saved = disk_of(work, all_models(work), jobs)
    return Estimate(name, work, tuple(work.needs()), jobs, saved)
