"""What is compared: an experiment file, validated, and the runs that it asks for."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import yaml
from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from bench.config.catalog import find_method, named
from bench.errors import UserError
from bench.config.llm_judge import LLMJudge
from bench.tasks import TASKS
from bench.tasks.base import Simulated, Task
from bench.tasks.recorded import Recorded
from bench.config.validation import build, describe
from methods.base import Method
from methods.core.feedback import GIVES, KINDS, Kind
from methods.core.models.sampling import SamplingLaw

EXPERIMENTS = Path(__file__).parent / "experiments"
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Evaluation(Strict):
    """How every policy is measured.

    temperature, top_k: the one sampling law (temperature 0 is greedy, top_k 0 is no cut).
    responses_per_prompt: sampled from each policy. limit_samples: reference samples for each test
    prompt from which the limit is drawn, to a KL of log(limit_samples) - 3 at most, and further
    where samples of trained policies carry it: of limit_policies of them, those that moved
    furthest. temperatures: where win rates against SFT are taken besides. checkpoints: how often
    each policy is kept on its way and measured, so that what training did to it can be seen.
    """

    temperature: Annotated[float, Ge(0)] = 1.0
    top_k: Annotated[int, Ge(0)] = 0
    responses_per_prompt: Annotated[int, Gt(1)] = 16
    limit_samples: Annotated[int, Ge(2)] = 3072
    limit_policies: Annotated[int, Ge(0), Le(8)] = 2
    temperatures: list[Annotated[float, Ge(0)]] = []
    checkpoints: Annotated[int, Ge(0)] = 5


class TaskEntry(Strict):
    """A task's dials, and what differs from the experiment's methods on it.

    task: which one it is, where the experiment gives it a name of its own, so that one task can be
    compared on with several dials.
    """

    task: str | None = None
    dials: dict[str, Any] = {}
    methods: dict[str, dict[str, Any]] = {}


class Experiment(Strict):
    """An experiment file.

    seeds: how many. jobs: processes side by side; default: one per core, on a GPU one. budget: the
    most training examples or episodes of any run. methods: for each its settings, and under `grid`
    the values to try. tasks: see TaskEntry. contrasts: pairs of methods that the report may give a
    verdict on; all other comparisons are exploratory. llm_judge: a language model that judges the
    results besides, see LLMJudge.
    """

    name: Name
    seeds: Annotated[int, Ge(1)] = 6
    jobs: Annotated[int, Ge(1)] | None = None
    budget: Annotated[int, Ge(0)] = 1_000_000
    tasks: Annotated[dict[Name, TaskEntry], MinLen(1)]
    methods: Annotated[dict[str, dict[str, Any]], MinLen(1)]
    contrasts: list[tuple[str, str]] = []
    evaluation: Evaluation = Evaluation()
    llm_judge: LLMJudge | None = None

    @cached_property
    def worlds(self) -> dict[str, Task]:
        """Return the tasks, dials applied."""
        return {
            name: make_task(entry.task or name, entry.dials, f"tasks.{name}")
            for name, entry in self.tasks.items()
        }

    def law(self, task: Task) -> SamplingLaw:
        """Return the sampling law of training and evaluation on this task."""
        return SamplingLaw(self.evaluation.temperature, self.evaluation.top_k, task.max_new_tokens)

    def settings(self, task: str) -> Iterator[tuple[str, Method, dict[str, Any]]]:
        """Yield each method's settings on a task: name, the method, the parameters that vary."""
        for name, given in self.methods.items():
            kind = find_method(name, "methods")
            where, here = f"methods.{name}", self.tasks[task].methods.get(name, {})
            own = {key: value for key, value in {**given, **here}.items() if key != "grid"}
            grid = grid_of(kind, given, here, where)
            check_strength(build(kind, own, where), where)
            for values in itertools.product(*grid.values()):
                params = dict(zip(grid, values, strict=True))
                yield name, build(kind, {**own, **params}, where), params

    def check(self) -> Experiment:
        """Raise a UserError unless every task, method and setting is valid."""
        for task, entry in self.tasks.items():
            if unknown := set(entry.methods) - set(self.methods):
                raise UserError(
                    f"tasks.{task}.methods: unknown method '{min(unknown)}'; "
                    f"`methods` has {', '.join(self.methods)}"
                )
        for task, world in self.worlds.items():
            for name, method, _ in self.settings(task):
                if isinstance(world, Simulated):
                    where = f"tasks.{task}.dials.question"
                    check_feedback(where, (*GIVES[world.question.kind], "thumbs"), name, method)
                elif method.privileged:
                    raise UserError(
                        f"tasks.{task}: '{name}' learns from the gold reward, which nobody knows "
                        "of recorded preferences"
                    )
        self._check_contrasts()
        return self

    def _check_contrasts(self) -> None:
        seen: set[frozenset[str]] = set()
        for i, pair in enumerate(self.contrasts):
            where = f"contrasts.{i}"
            if unknown := [name for name in pair if name not in self.methods]:
                raise UserError(
                    f"{where}: unknown method '{unknown[0]}'; "
                    f"`methods` has {', '.join(self.methods)}"
                )
            if pair[0] == pair[1]:
                raise UserError(f"{where}: must name two different methods, not '{pair[0]}' twice")
            if frozenset(pair) in seen:
                raise UserError(f"{where}: {pair[0]} and {pair[1]} are declared already")
            seen.add(frozenset(pair))


def check_strength(method: Method, where: str) -> None:
    """Raise a UserError where the method's dial is none of its fields."""
    fields = [field.name for field in dataclasses.fields(method)]
    if method.strength is not None and method.strength not in fields:
        raise UserError(
            f"{where}: its strength '{method.strength}' is none of its fields: {', '.join(fields)}"
        )
    if method.strength_is_kl and method.strength is None:
        raise UserError(f"{where}: strength_is_kl is set, but strength names no field")


def check_feedback(where: str, given: Sequence[Kind], name: str, method: Method) -> None:
    """Raise a UserError where a method learns from what is not given, asked or derived.

    where: what says which kind is asked for; given: that, and what can be had from it.
    """
    wanted = method.feedback
    # The reward model learns from anything.
    if wanted in (*given, "reward", "none"):
        return
    givers = [one for one, gives in GIVES.items() if wanted in gives]
    if not givers:
        known = ", ".join([*KINDS, "reward", "none"])
        raise UserError(f"methods.{name}: unknown feedback '{wanted}'; allowed: {known}")
    raise UserError(
        f"{where}: '{name}' learns from {wanted}, which cannot be derived from {given[0]}; "
        f"it must be {' or '.join(givers)}"
    )


def grid_of(
    kind: type[Method], given: Mapping[str, Any], here: Mapping[str, Any], where: str
) -> dict[str, list[Any]]:
    """Return the values to try: the task's grid, else the experiment's, else the method's own.

    A field that is set, at the same place or nearer to the task, is not varied.
    """
    levels = [(kind.grid, {**given, **here}), (given.get("grid"), here), (here.get("grid"), {})]
    grid, fixed = [level for level in levels if level[0] is not None][-1]
    if not isinstance(grid, Mapping) or not all(isinstance(v, list) and v for v in grid.values()):
        raise UserError(f"{where}.grid: must map fields to lists of one value or more")
    return {
        field: [value for i, value in enumerate(values) if value not in values[:i]]
        for field, values in grid.items()
        if field not in fixed
    }


def make_task(name: str, dials: dict[str, Any], where: str) -> Task:
    """Return the task with its dials set."""
    if name not in TASKS:
        raise UserError(f"{where}: unknown task '{name}'; there are {', '.join(TASKS)}")
    return build(TASKS[name], dials, f"{where}.dials")


def load_experiment(source: str, *, data: str = "", model: str = "") -> Experiment:
    """Return the experiment of this name, or in this file.

    data, model: of its recorded tasks, if given; they are its only task where it has none.
    """
    file = EXPERIMENTS / f"{source}.yaml"
    if not file.exists():
        file = Path(source)
    if not file.is_file():
        names = ", ".join(sorted(f.stem for f in EXPERIMENTS.glob("*.yaml")))
        raise UserError(f"experiment '{source}': no such file; built in are {names}")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{file}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: must be a mapping with the keys {', '.join(_keys())}")
    if unknown := [key for key in content if key not in _keys()]:
        raise UserError(f"{file}: unknown key '{unknown[0]}'; allowed: {', '.join(_keys())}")
    content.setdefault("name", file.stem)
    if isinstance(content.get("methods"), dict):
        # What the others are measured against.
        content["methods"] = {"sft": {}, **content["methods"]}
    if data or model:
        _set_data(content, {"data": data, "model": model})
    return _validated(content, str(file))


def _set_data(content: dict[str, Any], given: dict[str, str]) -> None:
    """Set data and model of the recorded tasks, before anything is validated."""
    tasks = content.get("tasks")
    entries = {n: e or {} for n, e in tasks.items()} if isinstance(tasks, dict) else {}
    entries = {n: e for n, e in entries.items() if isinstance(e, dict)}
    recorded = {n: e for n, e in entries.items() if (e.get("task") or n) == Recorded.name}
    if not recorded and not given["data"]:
        raise UserError("--model: needs --data, or an experiment with recorded preferences")
    if not recorded:
        content["tasks"] = recorded = {Recorded.name: {}}
    for name, entry in recorded.items():
        dials = {**(entry.get("dials") or {}), **{k: value for k, value in given.items() if value}}
        content["tasks"][name] = {**entry, "dials": dials}
    if given["data"]:
        stem = Path(given["data"].rstrip("/")).name.split(".")[0]
        content["name"] = re.sub(r"[^A-Za-z0-9._-]", "-", stem) or content["name"]


def _keys() -> list[str]:
    return list(Experiment.model_fields)


def _validated(content: dict[str, Any], where: str) -> Experiment:
    try:
        return Experiment.model_validate(content).check()
    except ValidationError as error:
        raise UserError(describe(error, where)) from None


def _varied(experiment: Experiment) -> bool:
    """Return whether several settings of any method are tried."""
    for task in experiment.tasks:
        names = [name for name, _, _ in experiment.settings(task)]
        if len(names) > len(set(names)):
            return True
    return False


def _one_setting(name: str) -> dict[str, Any]:
    """Return an entry by which a method is tried at its default strength alone."""
    kind = find_method(name, "options.methods")
    own = [field.default for field in dataclasses.fields(kind) if field.name == kind.strength]
    return {"grid": {kind.strength: own} if own else {}}


def narrow(
    experiment: Experiment,
    *,
    tasks: list[str] | None = None,
    methods: list[str] | None = None,
    seeds: int | None = None,
) -> Experiment:
    """Return the experiment with only these tasks and methods, and this many seeds.

    A method or task that the experiment lacks is added at its defaults; the method's grid only if
    the experiment tries several settings of any. `all` stands for every method that there is,
    but those that want a gold reward where there is none. SFT stays: the others are measured
    against it. Declared contrasts go with their methods.
    """
    content = experiment.model_dump()
    if tasks:
        content["tasks"] = {name: content["tasks"].get(name, {}) for name in tasks}
    if methods:
        chosen = named(["sft", *named(methods)])
        if "all" in methods and any(isinstance(t, Recorded) for t in experiment.worlds.values()):
            chosen = [n for n in chosen if not find_method(n, "options.methods").privileged]
        known, varied = content["methods"], _varied(experiment)
        content["methods"] = {
            name: known[name] if name in known else {} if varied else _one_setting(name)
            for name in chosen
        }
        content["contrasts"] = [p for p in content["contrasts"] if set(p) <= set(chosen)]
    for entry in content["tasks"].values():
        own = entry.get("methods", {})
        entry["methods"] = {name: own[name] for name in own if name in content["methods"]}
    if seeds is not None:
        content["seeds"] = seeds
    return _validated(content, "options")
