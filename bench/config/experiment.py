"""The model of an experiment file: tasks, methods, evaluation, and the checks of all three."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from bench.config.catalog import find_method
from bench.config.llm_judge import LLMJudge
from bench.config.settings import Setting, check_batch, check_feedback, settings_of
from bench.config.slurm import Slurm
from bench.config.validation import StrictNumbers, build, describe
from bench.errors import UserError, shown
from bench.tasks import TASKS
from bench.tasks.base import Task
from methods.core.models.sampling import SamplingParams

# Which trained policies stay on disk.
Keep = Literal["all", "selected", "none"]


class Strict(StrictNumbers, BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# A name is part of paths, whose parts may have 255 characters.
LONGEST_NAME = 100
Name = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_NAME),
]
# A plan of more runs takes minutes to make, and years to run.
MOST_RUNS = 50_000
MOST_SEEDS, MOST_JOBS = 1000, 1024


class Evaluation(Strict):
    """How every policy is measured.

    Attributes:
        temperature: Sampling temperature; 0 is greedy. Training samples as in evaluation, except
            for 0, `top_k` and `top_p`: see `training_sampling`.
        top_k: Only this many of the likeliest tokens are sampled; 0 samples all.
        top_p: Only the likeliest tokens with this total probability are sampled; 1 samples all.
        responses_per_prompt: Responses that each policy samples to a prompt.
        frontier_samples: Reference samples for each test prompt, from which the optimal frontier is
            estimated up to a KL of log(frontier_samples) - 3 nats.
        frontier_policies: How many trained policies are sampled too, to extend the frontier to a
            larger KL.
        temperatures: Other temperatures at which reward and win rate against SFT are measured.
        checkpoints: How many intermediate policies of each training are kept and measured.
    """

    temperature: Annotated[float, Ge(0)] = 1.0
    top_k: Annotated[int, Ge(0)] = 0
    top_p: Annotated[float, Gt(0), Le(1)] = 1.0
    responses_per_prompt: Annotated[int, Gt(1), Le(4096)] = 16
    frontier_samples: Annotated[int, Ge(2), Le(1_000_000)] = 3072
    frontier_policies: Annotated[int, Ge(0), Le(8)] = 2
    temperatures: Annotated[list[Annotated[float, Ge(0)]], MaxLen(32)] = []
    checkpoints: Annotated[int, Ge(0), Le(1000)] = 5


class TaskEntry(Strict):
    """A task of the experiment.

    Attributes:
        task: The task's name, if the entry has another one. One task can have several entries with
            different options.
        options: The task's options.
        methods: Settings of methods on this task; they take precedence over the experiment's. None
            leaves a method out.
    """

    task: str | None = None
    options: dict[str, Any] = {}
    methods: dict[str, dict[str, Any] | None] = {}


class Experiment(Strict):
    """An experiment file.

    Attributes:
        name: The name of the results folder.
        seeds: Number of seeds.
        jobs: Number of parallel worker processes; by default one per core, and one on a GPU.
        budget: The most training examples or episodes of any run.
        tasks: The tasks by name.
        methods: Each method's settings, and under `grid` the values to try.
        contrasts: Pairs of methods that can get a verdict. All other comparisons are exploratory.
        evaluation: How policies are measured.
        llm_judge: A language model that judges the results too.
        keep: Which trained policies stay on disk once the results are written, with their
            checkpoints: all, those of the selected settings, or none.
        slurm: What `--executor slurm` asks of SLURM for each job.
    """

    name: Name
    seeds: Annotated[int, Ge(1), Le(MOST_SEEDS)] = 6
    jobs: Annotated[int, Ge(1), Le(MOST_JOBS)] | None = None
    budget: Annotated[int, Ge(0), Le(1_000_000_000)] = 1_000_000
    tasks: Annotated[dict[Name, TaskEntry], MinLen(1)]
    methods: Annotated[dict[str, dict[str, Any]], MinLen(1)]
    contrasts: list[tuple[str, str]] = []
    evaluation: Evaluation = Evaluation()
    llm_judge: LLMJudge | None = None
    keep: Keep = "all"
    slurm: Slurm = Slurm()

    @cached_property
    def task_objects(self) -> dict[str, Task]:
        """The tasks with their options, by name."""
        return {
            name: make_task(entry.task or name, entry.options, f"tasks.{name}")
            for name, entry in self.tasks.items()
        }

    def sampling(self, task: Task) -> SamplingParams:
        """Return the sampling parameters of evaluation on a task."""
        evaluation = self.evaluation
        return SamplingParams(
            evaluation.temperature, evaluation.top_k, evaluation.top_p, task.max_new_tokens
        )

    def settings(self, task: str) -> Iterator[Setting]:
        """Yield each method's settings on a task."""
        overrides = self.tasks[task].methods
        for name, entry in self.methods.items():
            if not self.leaves_out(name, task):
                method = find_method(name, "methods")
                yield from settings_of(name, method, entry, overrides.get(name) or {})

    def leaves_out(self, method: str, task: str) -> bool:
        """Return whether a method of the experiment does not run on a task."""
        return self.tasks[task].methods.get(method, {}) is None

    def both_run(self, pair: tuple[str, str], task: str) -> bool:
        """Return whether two methods of the experiment run on a task."""
        return not any(self.leaves_out(method, task) for method in pair)

    def check(self) -> Experiment:
        """Return the experiment.

        Raises:
            UserError: A task, method, setting or contrast is not valid.
        """
        for name, entry in self.tasks.items():
            if unknown := set(entry.methods) - set(self.methods):
                self._unknown_method(f"tasks.{name}.methods", min(unknown))
            if self.leaves_out("sft", name):
                raise UserError(f"tasks.{name}.methods.sft: cannot be left out: it is the baseline")
        for method in self.methods:
            if all(self.leaves_out(method, name) for name in self.tasks):
                raise UserError(f"methods.{method}: every task leaves it out")
        settings = 0
        for name, task in self.task_objects.items():
            for setting in self.settings(name):
                settings += 1
                if settings * self.seeds > MOST_RUNS:
                    raise UserError(
                        f"{self.name}: more than {MOST_RUNS:,} runs, which are tasks x settings x "
                        "seeds; try fewer"
                    )
                _check_suits(setting, name, task)
                check_batch(setting.method, self.budget, f"methods.{setting.name}")
        self._check_contrasts()
        self._check_judged()
        return self

    def _check_judged(self) -> None:
        judged = self.llm_judge.methods if self.llm_judge else []
        if unknown := [name for name in judged if name not in self.methods]:
            self._unknown_method("llm_judge.methods", unknown[0])

    def _check_contrasts(self) -> None:
        seen: set[frozenset[str]] = set()
        for i, pair in enumerate(self.contrasts):
            where = f"contrasts.{i}"
            if unknown := [name for name in pair if name not in self.methods]:
                self._unknown_method(where, unknown[0])
            if pair[0] == pair[1]:
                raise UserError(f"{where}: must name two different methods, not '{pair[0]}' twice")
            if not any(self.both_run(pair, task) for task in self.tasks):
                raise UserError(f"{where}: no task has both {pair[0]} and {pair[1]}")
            if frozenset(pair) in seen:
                raise UserError(f"{where}: {pair[0]} and {pair[1]} are declared already")
            seen.add(frozenset(pair))

    def _unknown_method(self, where: str, name: str) -> None:
        known = ", ".join(self.methods)
        raise UserError(f"{where}: unknown method {shown(name)}; `methods` has {known}")


def _check_suits(setting: Setting, name: str, task: Task) -> None:
    """Raise UserError if a method cannot learn on a task."""
    if setting.method.privileged and task.reward_source != "gold":
        raise UserError(
            f"tasks.{name}: '{setting.name}' learns from the gold reward, which recorded "
            "preferences do not have"
        )
    available = task.feedback_kinds()
    if available is not None:
        where = f"tasks.{name}.options.feedback_format"
        check_feedback(where, available, setting.name, setting.method)


def make_task(name: str, options: dict[str, Any], where: str) -> Task:
    """Return a task with its options set.

    Raises:
        UserError: The task or an option is unknown, or a value is not allowed.
    """
    if name not in TASKS:
        raise UserError(f"{where}: unknown task {shown(name)}; there are {', '.join(TASKS)}")
    return build(TASKS[name], options, f"{where}.options")


def validated(content: dict[str, Any], where: str) -> Experiment:
    """Return the experiment with this content.

    Args:
        content: The parsed YAML.
        where: Where the content was written, for messages.

    Raises:
        UserError: The content is not valid.
    """
    try:
        return Experiment.model_validate(content).check()
    except ValidationError as error:
        raise UserError(describe(error, where)) from None
