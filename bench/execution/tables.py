"""What a run leaves: the files of a results folder, each written whole."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from itertools import permutations
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from bench.config.catalog import learns_from, title
from bench.evaluation.head_to_head import chosen_side, head_to_head, side_of
from bench.evaluation.frontier import Basis
from bench.evaluation.measure import Row, against_limit
from bench.evaluation.modes import at_optimum
from bench.evaluation.regret import split_regret
from bench.judging.comparisons import PAIR_COLUMNS
from bench.config.llm_judge import LLM_JUDGE_FILE
from bench.execution.manifest import calibration, manifest
from bench.pipeline.base import World
from bench.results.loading import (
    CHECKPOINT_COLUMNS,
    CHOSEN,
    CURVE_COLUMNS,
    FRONTIER_COLUMNS,
    HEAD_TO_HEAD_COLUMNS,
    METHOD_COLUMNS,
    OBJECTIVE_COLUMNS,
    OPTIMUM_COLUMNS,
    RUN_COLUMNS,
    SAMPLE_COLUMNS,
    STAGE_COLUMNS,
    TEMPERATURE_COLUMNS,
    typed,
)
from bench.analysis.selection import select_settings
from bench.execution.plan import Plan
from bench.execution.run import SPLITS, Run
from bench.cache.store import write_json, write_text

Problems = dict[str, tuple[str, str]]
Bases = dict[World, Basis]


def write_results(
    plan: Plan, problems: Problems, folder: Path, started: float, command: str
) -> None:
    """Write all tables, the manifest and the resolved experiment."""
    done = [run for run in plan.runs if run.key not in problems]
    bases = {world: basis for world in plan.worlds if (basis := plan.basis(world))}
    runs = table(run_rows(plan, problems, bases), RUN_COLUMNS)
    write_csv(folder / "runs.csv", runs)
    write_csv(folder / "methods.csv", methods(plan))
    write_csv(folder / "curves.csv", curves(done))
    write_csv(folder / "frontier.csv", frontier(bases))
    write_csv(folder / "stages.csv", stages(plan))
    write_csv(folder / "head_to_head.csv", matrix(runs, done))
    write_csv(folder / "objective.csv", objective(done, bases))
    write_csv(folder / "optimum.csv", optimum(done, bases))
    write_csv(folder / "checkpoints.csv", checkpoints(done))
    write_csv(folder / "temperatures.csv", temperatures(done))
    write_samples(folder, samples(done), recorded_pairs(plan))
    write_text(
        folder / "experiment.yaml",
        yaml.safe_dump(plan.experiment.model_dump(), sort_keys=False, allow_unicode=True),
    )
    write_json(
        folder / "manifest.json",
        manifest(plan, done, started, command) | {"calibration": calibration(folder)},
    )


def table(rows: Iterable[Any], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=columns)


def write_csv(file: Path, frame: pd.DataFrame) -> None:
    """Write a table whole, numbers to 8 significant digits."""
    write_text(file, frame.to_csv(index=False, float_format="%.8g"))


def write_parquet(file: Path, frame: pd.DataFrame) -> None:
    partial = file.with_name(f".{file.name}.partial")
    frame.to_parquet(partial, index=False)
    partial.replace(file)


def run_rows(plan: Plan, problems: Problems, bases: Bases) -> list[Row]:
    """Return the rows of runs.csv. On test prompts they are compared with the limit."""
    rows = []
    for run in plan.runs:
        status, error = problems.get(run.key, ("ok", ""))
        for split in SPLITS:
            row = run.row(split, status, error)
            if status == "ok" and split == "test":
                row |= against_limit(bases[run.world].limit, run.figures(split))
            rows.append(row)
    return rows


def methods(plan: Plan) -> pd.DataFrame:
    """Return what each method is, learns from and was set to on each task.

    dial: the field that trades reward against KL. fixed, tried: JSON, fields to values, and those
    that varied to the values tried.
    """
    runs: dict[tuple[str, str], list[Run]] = {}
    for run in plan.runs:
        runs.setdefault((run.world.name, run.name), []).append(run)
    return table(
        ([*key, *_description(own)] for key, own in runs.items()),
        METHOD_COLUMNS,
    )


def _description(runs: list[Run]) -> list[str]:
    kind = type(runs[0].method)
    authors, url = kind.paper or ("", "")
    tried: dict[str, list[Any]] = {}
    for name, value in (pair for run in runs for pair in run.params):
        if value not in tried.setdefault(name, []):
            tried[name].append(value)
    settings = dataclasses.asdict(runs[0].method)
    fixed = {name: value for name, value in settings.items() if name not in tried}
    dial = kind.strength or ""
    return [
        title(kind),
        learns_from(kind),
        dial,
        authors,
        url,
        json.dumps(fixed),
        json.dumps(tried),
    ]


def curves(runs: list[Run]) -> pd.DataFrame:
    rows = [
        [*run.identity, int(point["step"]), metric, value]
        for run in runs
        for point in run.curves()
        for metric, value in point.items()
        if metric != "step"
    ]
    return table(rows, CURVE_COLUMNS)


def frontier(bases: Bases) -> pd.DataFrame:
    """Return points along each world's limit; effective_samples is empty where it is exact."""
    rows = [
        [world.name, world.seed, kl, reward, None if basis.limit.listed else samples]
        for world, basis in bases.items()
        for kl, reward, samples in basis.limit.curve()
    ]
    return table(rows, FRONTIER_COLUMNS)


def stages(plan: Plan) -> pd.DataFrame:
    rows = []
    for world in plan.worlds:
        made = set(world.stages) - set(world.missing())
        for stage in (stage for stage in world.stages if stage in made):
            figures = world.figures(stage)
            own = [figures.get(name) for name in STAGE_COLUMNS[3:]]
            rows.append([world.name, world.seed, stage, *own])
        limits = {"limit": plan.rulers[world], "limit mixture": plan.mixture(world)}
        for stage, limit in limits.items():
            if limit and limit.exists():
                own = [limit.figures().get(name) for name in STAGE_COLUMNS[3:]]
                rows.append([world.name, world.seed, stage, *own])
    return table(rows, STAGE_COLUMNS)


def matrix(runs: pd.DataFrame, done: list[Run]) -> pd.DataFrame:
    """Compare the selected settings of all methods with each other, by seed and prompt.

    And with the responses that people chose, where there are such.
    """
    runs = typed(runs, RUN_COLUMNS)
    chosen = {task: select_settings(runs, task) for task in dict.fromkeys(runs["task"])}
    selected: dict[tuple[str, int], list[Run]] = {}
    for run in done:
        task, method, params, seed = run.identity
        if chosen[task].get(method) == params:
            selected.setdefault((task, seed), []).append(run)
    rows = []
    for (task, seed), group in selected.items():
        sides = {run.name: side_of(run.measured("test")) for run in group}
        opponents = list(permutations(sides, 2))
        if people := chosen_side(group[0].world):
            opponents += [(name, CHOSEN) for name in sides]
            sides[CHOSEN] = people
        rows += [
            [task, seed, prompt, ours, theirs, *duel]
            for ours, theirs in opponents
            for prompt, duel in enumerate(head_to_head(sides[ours], sides[theirs]))
        ]
    return table(rows, HEAD_TO_HEAD_COLUMNS)


def objective(runs: list[Run], bases: Bases) -> pd.DataFrame:
    """Return each run's share of J* - J(ref), and where the rest was lost, in units of gold.

    By enumeration where all responses are listed; elsewhere from samples, as far as those can be
    trusted. What is learned from judgements is gold / temperature of the annotator, so a strength
    of 1 there is one of `temperature` in units of gold.
    """
    rows = []
    for run in runs:
        # Without gold there is no telling what was lost to what.
        if not run.method.strength_is_kl or run.world.task.scored_by != "gold":
            continue
        row = run.row("test", "ok")
        limit, learned, _ = bases[run.world]
        if row["kl"] is None:
            continue
        unit = 1.0 if run.method.privileged else run.world.temperature
        strength = unit * float(row["strength"])
        parts = split_regret(
            row["gold_reward"],
            unit * row["proxy_reward"],
            row["kl"],
            strength,
            limit,
            None if run.method.privileged else learned.of(unit * learned.rewards),
        )
        if parts is None:
            continue
        reached = row["gold_reward"] - strength * row["kl"]
        best, start = limit.optimum(strength), limit.reference_reward()
        share = (reached - start) / (best - start)
        figures = [reached, best, start, share, *parts]
        rows.append([*run.identity[:3], row["strength"], run.world.seed, *figures])
    return table(rows, OBJECTIVE_COLUMNS)


def optimum(runs: list[Run], bases: Bases) -> pd.DataFrame:
    """Return, beside each policy that moved, what gold's optimum at the same KL would say."""
    rows = []
    for run in runs:
        figures, basis = run.figures("test"), bases[run.world]
        if not figures["kl"] or figures["kl"] <= 0:
            continue
        weights = run.measured("test").weights if basis.limit.listed else None
        own = {**figures, **at_optimum(basis, figures["kl"], weights)}
        rows.append([*run.identity, *(own[column] for column in OPTIMUM_COLUMNS[4:])])
    return table(rows, OPTIMUM_COLUMNS)


def checkpoints(runs: list[Run]) -> pd.DataFrame:
    """Return what was measured of each training on its way, the final policy as its last point."""
    columns = CHECKPOINT_COLUMNS[6:]
    rows = []
    for run in runs:
        on_the_way, final = run.on_the_way(), run.row("test", "ok")
        if not on_the_way:
            continue
        own = [*run.identity[:3], final["strength"], run.world.seed]
        points = [*map(run.named, on_the_way), {**final, "step": on_the_way[-1]["total"]}]
        rows += [
            [*own, int(point["step"]), *(point.get(name) for name in columns)] for point in points
        ]
    return table(rows, CHECKPOINT_COLUMNS)


def temperatures(runs: list[Run]) -> pd.DataFrame:
    """Return gold reward and win rate against SFT at other temperatures than the law's."""
    columns = TEMPERATURE_COLUMNS[4:]
    rows = [
        [*run.identity, *(row.get(column) for column in columns)]
        for run in runs
        for row in map(run.named, run.at_temperatures())
    ]
    return table(rows, TEMPERATURE_COLUMNS)


def write_samples(folder: Path, drawn: pd.DataFrame, pairs: pd.DataFrame | None) -> None:
    """Write the samples, and what people preferred on the same prompts.

    What a language model said of other samples goes.
    """
    file = folder / "samples.parquet"
    before = file.read_bytes() if file.exists() else b""
    write_parquet(file, drawn)
    if file.read_bytes() != before:
        (folder / LLM_JUDGE_FILE).unlink(missing_ok=True)
    if pairs is None:
        (folder / "pairs.parquet").unlink(missing_ok=True)
    else:
        write_parquet(folder / "pairs.parquet", pairs)


def recorded_pairs(plan: Plan) -> pd.DataFrame | None:
    """Return what people preferred on prompts that nothing was trained on, if they did."""
    ready = {w.name: w for w in plan.worlds if w.task.scored_by == "judge" and not w.missing()}
    rows = [
        [name, split, pair.prompt, pair.chosen, pair.rejected]
        for name, world in ready.items()
        for split in SPLITS
        for pair in world.held_out_pairs(split)
    ]
    return table(rows, PAIR_COLUMNS) if rows else None


def samples(runs: list[Run]) -> pd.DataFrame:
    frames = []
    for run in runs:
        task, method, params, seed = run.identity
        named = {"task": task, "method": method, "params": params, "seed": seed}
        for split in SPLITS:
            frame = pd.DataFrame(run.samples(split)).assign(**named, split=split)
            frame = frame.rename(columns={"score": run.world.task.scored_by})
            frames.append(frame.reindex(columns=SAMPLE_COLUMNS))
    return pd.concat(frames, ignore_index=True) if frames else table([], SAMPLE_COLUMNS)
