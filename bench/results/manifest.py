"""Reading manifest.json and experiment.yaml: what readers take has the right type, or is null."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Len
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from bench.config.yaml_text import parse_yaml
from bench.errors import UserError, reason_of
from bench.results.reading import shown


class _Entry(BaseModel):
    """Part of a manifest: fields that are not named here may be anything."""

    model_config = ConfigDict(strict=True, extra="allow")


class TaskData(_Entry):
    """What is said of a task's recorded data."""

    summary: list[str] | None = None


class TaskOptions(_Entry):
    """The options of a task that readers take."""

    text: str | None = None
    model: str | None = None
    data: str | None = None
    judge_model: str | None = None
    judge_classifier: dict[str, Any] | None = None
    reward_classifier: dict[str, Any] | None = None


class TaskAbout(_Entry):
    """What is said of a task."""

    title: str | None = None
    task: str | None = None
    about: str | None = None
    enumerable: bool | None = None
    reward_source: str | None = None
    ends: list[str] | None = None
    options: TaskOptions | None = None
    local_sources: list[str] | None = None
    data: TaskData | None = None
    judge_warning: str | None = None


class MethodAbout(_Entry):
    """What is said of a method."""

    title: str | None = None
    feedback: str | None = None
    strength: str | None = None
    privileged: bool | None = None


class Stored(_Entry):
    """Where in the cache the artifact of a stage is."""

    task: str
    seed: int
    folder: str


class StoredStage(Stored):
    """Where the artifact of a stage is."""

    stage: str


class StoredPolicy(Stored):
    """Where a policy is."""

    method: str
    params: str


class Counts(_Entry):
    """How the comparisons of one kind came out in the calibration."""

    comparisons: int
    right: int
    none: int
    wrong: int


class FalseVerdicts(_Entry):
    """How often equal methods got a verdict in the calibration."""

    count: int
    of: int
    share: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class Share(_Entry):
    """A share of comparisons."""

    share: FiniteFloat


class Cell(_Entry):
    """Simulated comparisons on shared prompts."""

    effects: str
    prompts: int
    false_verdicts: Share


class SharedPrompts(_Entry):
    """All of them."""

    seeds: int
    cells: list[Cell]


class ClaimKind(_Entry):
    """Simulated contrasts of a kind."""

    kind: str
    contrasts: int
    effects: str
    false: Share


class Claims(_Entry):
    """All of them."""

    kinds: list[ClaimKind]


class Calibration(_Entry):
    """How often verdicts are right."""

    instances: int
    instances_per_comparison: int
    false_verdicts: FalseVerdicts
    kinds: dict[str, Counts]
    shared_prompts: SharedPrompts | None = None
    claims: Claims | None = None


class Manifest(_Entry):
    """The fields of a manifest that readers take."""

    name: str | None = None
    command: str | None = None
    started: str | None = None
    finished: str | None = None
    seconds: FiniteFloat | None = None
    device: str | None = None
    commit: str | None = None
    runs: int | None = None
    cached_runs: int | None = None
    processes: int | None = None
    hardware: dict[str, str | int | FiniteFloat | None] | None = None
    versions: dict[str, str | None] | None = None
    tasks: dict[str, TaskAbout | None] | None = None
    methods: dict[str, MethodAbout | None] | None = None
    policies: list[StoredPolicy] | None = None
    stages: list[StoredStage] | None = None
    calibration: Calibration | None = None
    artifacts: list[str] | None = None


def read_manifest(file: Path) -> dict[str, Any]:
    """Return a manifest as it is in its file; empty where there is none.

    Raises:
        UserError: It is no JSON, or a field has the wrong type.
    """
    if not file.exists():
        return {}
    try:
        content = json.loads(file.read_text("utf-8"))
        # Half of a character, which JSON may escape, cannot be written again.
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not readable as JSON: {reason_of(error)}") from None
    _check(file, Manifest, content)
    return dict(content)


class Evaluation(_Entry):
    """How policies were sampled."""

    temperature: FiniteFloat | None = None


class ExperimentFile(_Entry):
    """The fields of an experiment that readers take."""

    contrasts: list[Annotated[list[str], Len(2, 2)]] | None = None
    budget: int | None = None
    evaluation: Evaluation | None = None


def read_experiment(file: Path) -> str:
    """Return an experiment as the text of its file; empty where there is none.

    Raises:
        UserError: It is no YAML, or a field has the wrong type.
    """
    if not file.exists():
        return ""
    try:
        text = file.read_text("utf-8")
    except ValueError as error:
        raise UserError(f"{file}: not readable as YAML: {reason_of(error)}") from None
    _check(file, ExperimentFile, parse_yaml(text, file) or {})
    return text


def _check(file: Path, model: type[BaseModel], content: Any) -> None:
    try:
        model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "all of it"
        # The names of our classes tell a reader nothing.
        rule = re.sub(r" or instance of \w+", "", first["msg"][0].lower() + first["msg"][1:])
        raise UserError(f"{file}: {place}: {rule}, not {shown(first['input'])}") from None
