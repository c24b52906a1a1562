"""Writing the results folder of a finished run, and dropping policies that are not kept."""

from __future__ import annotations

from collections.abc import Sequence
from filecmp import cmp
from pathlib import Path
from shutil import copyfile

import pandas as pd

from bench.cache.files import write_json, write_text
from bench.config.yaml_text import yaml_text
from bench.execution import tables
from bench.execution.execute import Problems
from bench.execution.manifest import calibration, manifest
from bench.execution.plan import Plan
from bench.execution.run import Run
from bench.results import schema
from bench.results.replacing import replaced_together


def write_results(
    plan: Plan, problems: Problems, folder: Path, started: float, command: str
) -> list[Run]:
    """Write all tables, the manifest and the resolved experiment.

    Args:
        plan: What was run.
        problems: Status and error of each run that is not ok, by its key.
        folder: The results folder.
        started: When the command was started, seconds since the epoch.
        command: The command as the user may repeat it.

    Returns:
        The runs whose policies the manifest names: those that the experiment keeps.
    """
    finished = [run for run in plan.runs if run.key not in problems]
    frontiers = {p: found for p in plan.pipelines if (found := plan.frontiers(p))}
    runs = schema.RUNS.frame(tables.run_rows(plan, problems, frontiers))
    made = {
        schema.METHODS: tables.method_rows(plan),
        schema.CURVES: tables.curve_rows(finished),
        schema.FRONTIER: tables.frontier_rows(frontiers),
        schema.STAGES: tables.stage_rows(plan),
        schema.HEAD_TO_HEAD: tables.head_to_head_rows(runs, finished),
        schema.REGRET: tables.regret_rows(finished, frontiers),
        schema.OPTIMUM: tables.optimum_rows(finished, frontiers),
        schema.CHECKPOINTS: tables.checkpoint_rows(finished),
        schema.TEMPERATURES: tables.temperature_rows(finished),
        schema.SAMPLES: tables.sample_rows(finished),
        schema.PAIRS: tables.pair_rows(plan),
    }
    kept = kept_runs(plan, runs, problems)
    about = manifest(plan, kept, started, command) | {"calibration": calibration(folder)}
    experiment = yaml_text(plan.experiment.model_dump())
    with replaced_together(folder, owned=[table.file for table in schema.TABLES]) as new:
        schema.RUNS.write(new, runs)
        for table, rows in made.items():
            frame = table.frame(rows)
            if table is not schema.PAIRS or len(frame):
                table.write(new, frame)
        _keep_verdicts(folder, new)
        write_text(new / "experiment.yaml", experiment)
        write_json(new / "manifest.json", about)
    return kept


def _keep_verdicts(folder: Path, new: Path) -> None:
    """Keep the verdicts of language models if the samples are the same as before."""
    verdicts, samples = schema.LLM_JUDGE.file, schema.SAMPLES.file
    if not (folder / verdicts).exists() or not (folder / samples).exists():
        return
    if cmp(folder / samples, new / samples, shallow=False):
        copyfile(folder / verdicts, new / verdicts)


def kept_runs(plan: Plan, runs_table: pd.DataFrame, problems: Problems) -> list[Run]:
    """Return the finished runs whose policies stay on disk.

    With `selected`, a method with a failed run on a task keeps all policies there: the run is tried
    again by the next command, after which another setting may be selected.

    Args:
        plan: What was run.
        runs_table: RUNS, by which settings are selected.
        problems: Status and error of each run that is not ok, by its key.
    """
    there = [run for run in plan.runs if run.key not in problems and run.trained()]
    keep = plan.experiment.keep
    if keep == "all":
        return there
    if keep == "none":
        return []
    finished = [run for run in plan.runs if run.key not in problems]
    selected = {run.key for run in tables.selected_runs(runs_table, finished)}
    failed = {
        (run.pipeline.name, run.name)
        for run in plan.runs
        if problems.get(run.key, ("ok", ""))[0] == "failed"
    }
    return [run for run in there if run.key in selected or (run.pipeline.name, run.name) in failed]


def drop_policies(plan: Plan, kept: Sequence[Run]) -> None:
    """Remove the policies of finished runs that are not kept, with their checkpoints.

    What was measured stays, so no run is repeated. With `keep: all`, nothing is removed.
    """
    if plan.experiment.keep == "all":
        return
    # Entries of one task under several names may share a training.
    keys = {run.train_key for run in kept}
    for run in plan.runs:
        # Most were dropped when they had been measured.
        there = run.trained() or run.training_folder.exists()
        if there and run.train_key not in keys and run.finished():
            run.drop_policy()
