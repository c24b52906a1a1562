"""Which trained policies stay on disk when the results are written; see `Experiment.keep`."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.analysis.selection import select_settings
from bench.execution.jobs import Problems
from bench.execution.plan import Plan
from bench.execution.run import Run
from bench.results.schema import RUNS


def selected_runs(runs_table: pd.DataFrame, finished: Sequence[Run]) -> list[Run]:
    """Return the finished runs of the selected settings.

    Args:
        runs_table: RUNS, by which settings are selected.
        finished: Runs that are ok.
    """
    runs_table = RUNS.typed(runs_table)
    selected = {task: select_settings(runs_table, task) for task in set(runs_table["task"])}
    kept = []
    for run in finished:
        task, method, params, _ = run.identity.values()
        if selected[task].get(method) == params:
            kept.append(run)
    return kept


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
    selected = {run.key for run in selected_runs(runs_table, finished)}
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
        if run.train_key not in keys and run.finished():
            run.drop_policy()
