"""The model of a claim file: what a paper says, the experiment that tests it, and its contrasts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BeforeValidator, Field, StringConstraints, ValidationError

from bench.config.experiment import MOST_SEEDS, Experiment, Strict, TaskEntry, validated
from bench.config.settings import Setting
from bench.config.validation import describe
from bench.config.yaml_text import read_yaml
from bench.errors import UserError, shown

BUILT_IN = Path(__file__).parents[1] / "claims"
# A trend over fewer conditions is hardly more than a difference.
LEVELS_FOR_TREND = 4
# The keys of its experiment that a claim sets.
OF_EXPERIMENT = ("tasks", "methods", "budget", "evaluation")
# So that its records do not mix with those of a user's experiment of the same name.
PREFIX = "claim-"

Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Line = Annotated[str, StringConstraints(pattern=r"^[^\r\n]+$", max_length=200)]
Seeds = Annotated[int, Ge(2), Le(MOST_SEEDS)]
Prediction = Literal["higher", "lower", "equal", "not lower", "not higher"]
Along = Literal["settings", "training"]


class Side(Strict):
    """One side of a contrast.

    Attributes:
        method: The method's name.
        task: The task, if this side has another one than the contrast.
        params: Which setting; by default the one selected on validation prompts. A quantity of all
            settings, such as reward at equal KL, takes those with these hyper-parameters.
        along: What a method's frontier consists of: its settings, or its policies on their way
            through training.
    """

    method: str
    task: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    along: Along = "settings"


def _as_side(value: Any) -> Any:
    """Return a side's content; a name alone is a method."""
    return {"method": value} if isinstance(value, str) else value


SideOrName = Annotated[Side, BeforeValidator(_as_side)]


class ClaimContrast(Strict):
    """A contrast: one number for each seed, whose mean is tested.

    The number is the quantity of one side less that of the other. Over several tasks it is their
    weighted sum (`weights`), such as a difference of differences, or its slope over the levels of
    a condition (`levels`).

    Attributes:
        name: What is compared, in a line.
        quantity: What is measured; see `bench.analysis.claims.quantities`.
        of: The first side; a name alone is a method.
        minus: What is subtracted; none where the quantity itself is tested.
        than: A number that is subtracted too.
        task: The task.
        weights: Weight of each task.
        levels: Level of the condition in each task.
        predicted: What the paper predicts of the number.
        bound: The smallest number that matters, stated beforehand: "equal" means closer to 0, "not
            lower" above -bound.
    """

    name: Line
    quantity: Line
    of: SideOrName
    minus: SideOrName | None = None
    than: float = 0.0
    task: str = ""
    weights: dict[str, float] = Field(default_factory=dict)
    levels: dict[str, float] = Field(default_factory=dict)
    predicted: Prediction
    bound: Annotated[float, Gt(0)]

    @property
    def tasks(self) -> list[str]:
        """The tasks of sides that have none of their own."""
        return list(self.levels or self.weights or [self.task])

    def sides(self, task: str) -> tuple[Side, Side | None]:
        """Return both sides, on this task unless they have one of their own."""
        return _on(self.of, task), _on(self.minus, task) if self.minus else None


class Factor(Strict):
    """A factor of which the share of the variance in reward is reported.

    Attributes:
        better: The side at its better level, with its task.
        worse: The side at its worse level, with its task; all other factors as for `better`.
    """

    better: Side
    worse: Side


def _on(side: Side, task: str) -> Side:
    return side if side.task else side.model_copy(update={"task": task})


class Claim(Strict):
    """A published claim, and what tests it.

    Attributes:
        title: The claim in a line.
        paper: Authors, year and title.
        url: Where it can be read.
        place: Figure, table or section.
        statement: What the paper says, in its own sense.
        refuted_by: What would refute it here.
        seeds: The numbers of seeds at which the contrasts are tested. With --until-decided no seeds
            are added once all are decided.
        shared: What all tasks of the experiment have in common: their task, options, methods.
        experiment: Tasks, methods, budget and evaluation, as in an experiment file.
        contrasts: What is tested.
        factors: Of which the shares of the variance in reward are reported, by name. They are not
            tested.
        checked: What was checked to make sure that a claim that does not hold is not a fault here.
    """

    title: Line
    paper: Line
    url: Line
    place: Line
    statement: Text
    refuted_by: Text
    seeds: Annotated[list[Seeds], MinLen(1)] = Field(default_factory=lambda: [12, 18, 24])
    shared: TaskEntry = TaskEntry()
    experiment: dict[str, Any]
    contrasts: Annotated[list[ClaimContrast], MinLen(1)]
    factors: dict[str, Factor] = Field(default_factory=dict)
    checked: str = ""


class NamedClaim(NamedTuple):
    """A claim with its name.

    Attributes:
        name: Of its file, without the suffix.
        claim: What the file says.
    """

    name: str
    claim: Claim

    def experiment(self, seeds: int) -> Experiment:
        """Return the experiment that tests the claim, with so many seeds."""
        return _experiment(self.name, self.claim, seeds, self.name)


def claim_names() -> list[str]:
    """Return the names of all built-in claims."""
    return sorted(file.stem for file in BUILT_IN.glob("*.yaml"))


def load_claim(source: str) -> NamedClaim:
    """Return the claim of this name, or in this file.

    Args:
        source: A built-in claim's name, or a path.

    Raises:
        UserError: There is no such file, or it is not a valid claim.
    """
    names = claim_names()
    file = BUILT_IN / f"{source}.yaml" if source in names else Path(source)
    try:
        there = file.is_file()
    except OSError:  # its name is too long
        there = False
    if not there:
        raise UserError(f"claim '{source}': no such file; built-in claims: {', '.join(names)}")
    return NamedClaim(file.stem, parse_claim(read_yaml(file), str(file)))


def parse_claim(content: Any, where: str) -> Claim:
    """Return the claim with this content.

    Args:
        content: The parsed YAML.
        where: Where it was written, for messages.

    Raises:
        UserError: The content is not valid.
    """
    keys = list(Claim.model_fields)
    if not isinstance(content, dict):
        raise UserError(f"{where}: must be a mapping with the keys {', '.join(keys)}")
    if unknown := [key for key in content if key not in keys]:
        raise UserError(f"{where}: unknown key {shown(unknown[0])}; allowed: {', '.join(keys)}")
    try:
        claim = Claim.model_validate(content)
    except ValidationError as error:
        raise UserError(describe(error, where)) from None
    if unknown := [key for key in claim.experiment if key not in OF_EXPERIMENT]:
        allowed = ", ".join(OF_EXPERIMENT)
        place = f"{where}.experiment"
        raise UserError(f"{place}: unknown key {shown(unknown[0])}; allowed: {allowed}")
    _check(claim, _experiment("claim", claim, claim.seeds[-1], where), where)
    return claim


def _experiment(name: str, claim: Claim, seeds: int, where: str) -> Experiment:
    content = dict(claim.experiment)
    if isinstance(content.get("methods"), dict):
        # All other methods are compared with it.
        content["methods"] = {"sft": {}, **content["methods"]}
    if isinstance(content.get("tasks"), dict):
        shared = claim.shared.model_dump(exclude_defaults=True)
        content["tasks"] = {
            task: _merged(shared, entry or {}) for task, entry in content["tasks"].items()
        }
    fixed = {"name": f"{PREFIX}{name}", "seeds": seeds, "keep": "none"}
    return validated(content | fixed, f"{where}: experiment")


def _merged(below: Any, above: Any) -> Any:
    """Return two mappings as one, at any depth; the second takes precedence."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    both = {key: _merged(below[key], above[key]) for key in below if key in above}
    return {**below, **above, **both}


def _check(claim: Claim, experiment: Experiment, where: str) -> None:
    """Raise UserError if looks or contrasts are not sensible."""
    if claim.seeds != sorted(set(claim.seeds)):
        raise UserError(f"{where}.seeds: must ascend, as in [12, 18, 24]")
    names = [contrast.name for contrast in claim.contrasts]
    for number, contrast in enumerate(claim.contrasts):
        place = f"{where}.contrasts.{number}"
        if contrast.name in names[:number]:
            raise UserError(f"{place}.name: another contrast has it; each needs its own")
        _check_tasks(contrast, place)
        for task in contrast.tasks:
            for side in filter(None, contrast.sides(task)):
                _check_side(side, experiment, place)
    for name, factor in claim.factors.items():
        for side in (factor.better, factor.worse):
            _check_side(side, experiment, f"{where}.factors.{name}")


def _check_tasks(contrast: ClaimContrast, place: str) -> None:
    ways = [bool(contrast.task), bool(contrast.weights), bool(contrast.levels)]
    own = contrast.of.task and (contrast.minus is None or contrast.minus.task)
    if sum(ways) != (0 if own else 1):
        raise UserError(f"{place}: must have task, weights or levels, or a task of each side")
    several = contrast.weights or contrast.levels
    if several and (contrast.of.task or (contrast.minus and contrast.minus.task)):
        raise UserError(f"{place}: a side with its own task cannot have weights or levels")
    if contrast.levels and len(set(contrast.levels.values())) < LEVELS_FOR_TREND:
        raise UserError(f"{place}.levels: a trend needs {LEVELS_FOR_TREND} different levels")


def _check_side(side: Side, experiment: Experiment, place: str) -> None:
    if side.method not in experiment.methods:
        known = ", ".join(experiment.methods)
        raise UserError(f"{place}: unknown method {shown(side.method)}; it has {known}")
    if side.task not in experiment.tasks:
        known = ", ".join(experiment.tasks)
        raise UserError(f"{place}: unknown task {shown(side.task)}; it has {known}")
    if experiment.leaves_out(side.method, side.task):
        raise UserError(f"{place}: the experiment leaves {side.method} out on {shown(side.task)}")
    if side.params and not matching_settings(side, experiment):
        raise UserError(f"{place}: no setting of {side.method} has {shown(side.params)}")


def matching_settings(side: Side, experiment: Experiment) -> list[Setting]:
    """Return the settings of a side's method that have its hyper-parameters."""
    return [
        setting
        for setting in experiment.settings(side.task)
        if setting.name == side.method and side.params.items() <= setting.params.items()
    ]
