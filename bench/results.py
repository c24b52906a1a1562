"""What a run leaves: the files of a results folder, each written whole."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from importlib.metadata import version
from itertools import permutations
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from bench.catalog import find_method, title
from bench.evaluation.limit import Basis
from bench.evaluation.measure import Row, against_limit, head_to_head
from bench.evaluation.regret import split_regret
from bench.pipeline.world import ROOT, STAGES, World
from bench.report.results import (
    CHECKPOINT_COLUMNS,
    CURVE_COLUMNS,
    FRONTIER_COLUMNS,
    HEAD_TO_HEAD_COLUMNS,
    OBJECTIVE_COLUMNS,
    RUN_COLUMNS,
    SAMPLE_COLUMNS,
    STAGE_COLUMNS,
    TEMPERATURE_COLUMNS,
    typed,
)
from bench.report.selection import select_settings
from bench.runner import Plan
from bench.runs import SPLITS, Run
from bench.store import LIBRARIES, write_json, write_text

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
    write_csv(folder / "curves.csv", curves(done))
    write_csv(folder / "frontier.csv", frontier(bases))
    write_csv(folder / "stages.csv", stages(plan))
    write_csv(folder / "head_to_head.csv", matrix(runs, done))
    write_csv(folder / "objective.csv", objective(done, bases))
    write_csv(folder / "checkpoints.csv", checkpoints(done))
    write_csv(folder / "temperatures.csv", temperatures(done))
    write_parquet(folder / "samples.parquet", samples(done))
    write_text(
        folder / "experiment.yaml",
        yaml.safe_dump(plan.experiment.model_dump(), sort_keys=False, allow_unicode=True),
    )
    write_json(folder / "manifest.json", manifest(plan, done, started, command))


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
                row |= against_limit(bases[run.world].limit, row)
            rows.append(row)
    return rows


def identity(run: Run) -> list[Any]:
    """Return task, method, params and seed, as the tables name a run."""
    return [run.world.name, run.name, json.dumps(dict(run.params)), run.world.seed]


def curves(runs: list[Run]) -> pd.DataFrame:
    rows = [
        [*identity(run), int(point["step"]), metric, value]
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
        made = set(STAGES) - set(world.missing())
        for stage in (stage for stage in STAGES if stage in made):
            figures = world.figures(stage)
            accuracy = figures.get("reward_accuracy")
            rows.append([world.name, world.seed, stage, figures["seconds"], accuracy])
        ruler = plan.rulers[world]
        if ruler.exists():
            seconds = json.loads((ruler.folder / "stage.json").read_text())["seconds"]
            rows.append([world.name, world.seed, "limit", seconds, None])
        mixture = plan.mixture(world)
        if mixture and mixture.exists():
            seconds = json.loads((mixture.folder / "stage.json").read_text())["seconds"]
            rows.append([world.name, world.seed, "limit mixture", seconds, None])
    return table(rows, STAGE_COLUMNS)


def matrix(runs: pd.DataFrame, done: list[Run]) -> pd.DataFrame:
    """Compare the selected settings of all methods with each other, seed by seed."""
    runs = typed(runs, RUN_COLUMNS)
    chosen = {task: select_settings(runs, task) for task in dict.fromkeys(runs["task"])}
    selected: dict[tuple[str, int], list[Run]] = {}
    for run in done:
        task, method, params, seed = identity(run)
        if chosen[task].get(method) == params:
            selected.setdefault((task, seed), []).append(run)
    rows = []
    for (task, seed), group in selected.items():
        measured = {run.name: run.measured("test") for run in group}
        rows += [
            [task, seed, ours, theirs, head_to_head(measured[ours], measured[theirs])]
            for ours, theirs in permutations(measured, 2)
        ]
    return table(rows, HEAD_TO_HEAD_COLUMNS)


def objective(runs: list[Run], bases: Bases) -> pd.DataFrame:
    """Return each run's share of J* - J(ref), and where the rest was lost.

    By enumeration where all responses are listed; elsewhere from samples, as far as those can be
    trusted.
    """
    rows = []
    for run in (run for run in runs if run.method.strength_is_kl):
        row = run.row("test", "ok")
        strength, (limit, learned, _) = float(row["strength"]), bases[run.world]
        if row["kl"] is None:
            continue
        parts = split_regret(
            row["gold_reward"],
            row["proxy_reward"],
            row["kl"],
            strength,
            limit,
            None if run.method.privileged else learned,
        )
        if parts is None:
            continue
        reached = row["gold_reward"] - strength * row["kl"]
        best, start = limit.optimum(strength), limit.reference_reward()
        share = (reached - start) / (best - start)
        figures = [reached, best, start, share, *parts]
        rows.append([*identity(run)[:3], strength, run.world.seed, *figures])
    return table(rows, OBJECTIVE_COLUMNS)


def checkpoints(runs: list[Run]) -> pd.DataFrame:
    """Return what was measured of each training on its way, the final policy as its last point."""
    columns = CHECKPOINT_COLUMNS[6:]
    rows = []
    for run in runs:
        on_the_way, final = run.on_the_way(), run.row("test", "ok")
        if not on_the_way:
            continue
        own = [*identity(run)[:3], final["strength"], run.world.seed]
        points = [*on_the_way, {**final, "step": on_the_way[-1]["total"]}]
        rows += [[*own, int(point["step"]), *(point[name] for name in columns)] for point in points]
    return table(rows, CHECKPOINT_COLUMNS)


def temperatures(runs: list[Run]) -> pd.DataFrame:
    """Return gold reward and win rate against SFT at other temperatures than the law's."""
    columns = TEMPERATURE_COLUMNS[4:]
    rows = [
        [*identity(run), *(row[column] for column in columns)]
        for run in runs
        for row in run.at_temperatures()
    ]
    return table(rows, TEMPERATURE_COLUMNS)


def samples(runs: list[Run]) -> pd.DataFrame:
    frames = []
    for run in runs:
        task, method, params, seed = identity(run)
        named = {"task": task, "method": method, "params": params, "seed": seed}
        for split in SPLITS:
            frame = pd.DataFrame(run.samples(split))
            frames.append(frame.assign(**named, split=split)[SAMPLE_COLUMNS])
    return pd.concat(frames, ignore_index=True) if frames else table([], SAMPLE_COLUMNS)


def manifest(plan: Plan, done: list[Run], started: float, command: str) -> dict[str, Any]:
    """Return what is needed to judge and to repeat the run, and where its models lie."""
    experiment, finished = plan.experiment, time.time()
    return {
        "name": experiment.name,
        "command": command,
        "started": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(started)),
        "finished": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(finished)),
        "seconds": round(finished - started, 1),
        "runs": len(plan.runs),
        "cached_runs": plan.cached,
        "device": plan.device,
        "hardware": hardware(plan.device),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("prefrontier", *LIBRARIES)},
        "commit": commit(),
        "tasks": {
            name: {
                "title": name,
                "task": task.name,
                "about": (type(task).__doc__ or name).splitlines()[0],
                "enumerable": task.enumerable,
                "dials": dataclasses.asdict(task),
            }
            for name, task in experiment.worlds.items()
        },
        "methods": {name: describe_method(plan, name) for name in experiment.methods},
        "cache": "PREFRONTIER_CACHE, or .cache where the command was run",
        "policies": [
            dict(zip(("task", "method", "params", "seed"), identity(run), strict=True))
            | {"folder": f"policy/{run.train_key}"}
            for run in done
        ],
        "stages": [
            {
                "task": w.name,
                "seed": w.seed,
                "stage": stage,
                "folder": f"{stage}/{w.key(stage)}",
            }
            for w in plan.worlds
            for stage in STAGES
        ],
    }


def describe_method(plan: Plan, name: str) -> dict[str, Any]:
    kind = find_method(name, "methods")
    settings = {
        run.world.name: {
            key: value
            for key, value in dataclasses.asdict(run.method).items()
            if key not in dict(run.params)
        }
        for run in plan.runs
        if run.name == name
    }
    return {
        "title": title(kind),
        "feedback": "gold" if kind.privileged else kind.feedback,
        "strength": kind.strength,
        "privileged": kind.privileged,
        "settings": settings,
    }


def hardware(device: str) -> dict[str, Any]:
    import psutil

    gpu = None
    if device.startswith("cuda"):
        import torch

        gpu = torch.cuda.get_device_name(device)
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": math.ceil(psutil.virtual_memory().total / 2**30),
        "gpu": gpu,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def commit() -> str | None:
    """Return the commit of the source tree, marked if it has changes, or None outside of one."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "bench", "methods")
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
