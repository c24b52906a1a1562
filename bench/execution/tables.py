"""From runs to the tables of a results folder: each function gives the rows of one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pandas as pd

from bench.analysis.selection import select_settings
from bench.config.catalog import learns_from, title
from bench.evaluation.draw import Row
from bench.evaluation.head_to_head import Side, chosen_side, head_to_head, side_of
from bench.evaluation.measure import against_frontier
from bench.evaluation.optimal.frontier import Frontiers
from bench.evaluation.optimal.modes import at_optimum
from bench.evaluation.optimal.regret import split_regret
from bench.execution.execute import Problems
from bench.execution.measuring import SPLITS
from bench.execution.plan import Plan
from bench.execution.run import Run
from bench.pipeline.base import Pipeline
from bench.results.schema import CHOSEN, RUNS

FrontiersByPipeline = dict[Pipeline, Frontiers]
# Of the SFT policy against itself, by definition: two sets of its samples differ by chance.
AGAINST_ITSELF = {"win_rate_sft": 0.5, "win_rate_sft_sem": 0.0}


def run_rows(plan: Plan, problems: Problems, frontiers: FrontiersByPipeline) -> Iterator[Row]:
    """Yield the rows of RUNS; on test prompts policies are compared with the optimal frontier."""
    for run in plan.runs:
        status, error = problems.get(run.key, ("ok", ""))
        for split in SPLITS:
            row = run.identity | {
                "strength": run.strength,
                "split": split,
                "status": status,
                "error": error,
                "reward_source": run.pipeline.task.reward_source,
                "device": run.pipeline.device,
            }
            if status == "ok":
                metrics = run.metrics(split)
                row |= run.usage() | metrics | (AGAINST_ITSELF if run.name == "sft" else {})
                if split == "test":
                    row |= against_frontier(frontiers[run.pipeline].reward, metrics)
            yield row


def method_rows(plan: Plan) -> Iterator[Row]:
    """Yield the rows of METHODS: what each method is and how it was set on each task."""
    runs: dict[tuple[str, str], list[Run]] = {}
    for run in plan.runs:
        runs.setdefault((run.pipeline.name, run.name), []).append(run)
    for (task, method), own_runs in runs.items():
        yield {"task": task, "method": method, **_description(own_runs)}


def _description(runs: list[Run]) -> Row:
    kind = type(runs[0].method)
    authors, url = kind.paper or ("", "")
    tried: dict[str, list[Any]] = {}
    for name, value in (pair for run in runs for pair in run.params):
        if value not in tried.setdefault(name, []):
            tried[name].append(value)
    settings = dataclasses.asdict(runs[0].method)
    fixed = {name: value for name, value in settings.items() if name not in tried}
    return {
        "title": title(kind),
        "learns_from": learns_from(kind),
        "strength": kind.strength or "",
        "authors": authors,
        "paper": url,
        "fixed": json.dumps(fixed),
        "tried": json.dumps(tried),
    }


def curve_rows(runs: list[Run]) -> Iterator[Row]:
    """Yield the rows of CURVES."""
    for run in runs:
        for point in run.curves():
            for metric, value in point.items():
                if metric != "step":
                    step = int(point["step"])
                    yield run.identity | {"step": step, "metric": metric, "value": value}


def frontier_rows(frontiers: FrontiersByPipeline) -> Iterator[Row]:
    """Yield the rows of FRONTIER."""
    for pipeline, found in frontiers.items():
        for kl, reward, samples in found.reward.curve():
            yield {
                "task": pipeline.name,
                "seed": pipeline.seed,
                "kl": kl,
                "reward": reward,
                "effective_samples": None if found.reward.listed else samples,
            }


def stage_rows(plan: Plan) -> Iterator[Row]:
    """Yield the rows of STAGES, of what has been made."""
    for pipeline, reference_samples in plan.reference_samples.items():
        missing = pipeline.missing()
        metrics = {s: pipeline.metrics(s) for s in pipeline.stages if s not in missing}
        pool = plan.pooled_samples(pipeline)
        samples = {"reference_samples": reference_samples, "pooled_samples": pool}
        metrics |= {name: own.metrics() for name, own in samples.items() if own and own.exists()}
        for stage, values in metrics.items():
            yield {"task": pipeline.name, "seed": pipeline.seed, **values, "stage": stage}


def selected_runs(runs_table: pd.DataFrame, finished: list[Run]) -> list[Run]:
    """Return the finished runs of the selected settings.

    Args:
        runs_table: RUNS, by which settings are selected.
        finished: Runs that are ok.
    """
    runs_table = RUNS.typed(runs_table)
    selected = {task: select_settings(runs_table, task) for task in set(runs_table["task"])}
    runs = []
    for run in finished:
        task, method, params, _ = run.identity.values()
        if selected[task].get(method) == params:
            runs.append(run)
    return runs


def head_to_head_rows(runs_table: pd.DataFrame, finished: list[Run]) -> Iterator[Row]:
    """Yield the rows of HEAD_TO_HEAD: selected settings, by seed and prompt.

    Also against the responses that people chose, where there are such.

    Args:
        runs_table: RUNS, by which settings are selected.
        finished: Runs that are ok.
    """
    groups: dict[tuple[str, int], list[Run]] = {}
    for run in selected_runs(runs_table, finished):
        groups.setdefault((run.pipeline.name, run.pipeline.seed), []).append(run)
    for (task, seed), group in groups.items():
        sides: dict[str, Side] = {run.name: side_of(run.measured("test")) for run in group}
        pairs = list(permutations(sides, 2))
        if people := chosen_side(group[0].pipeline):
            pairs += [(name, CHOSEN) for name in sides]
            sides[CHOSEN] = people
        for method, opponent in pairs:
            for prompt, row in enumerate(head_to_head(sides[method], sides[opponent])):
                yield {
                    "task": task,
                    "seed": seed,
                    "prompt": prompt,
                    "method": method,
                    "opponent": opponent,
                    **row._asdict(),
                }


def regret_rows(runs: list[Run], frontiers: FrontiersByPipeline) -> Iterator[Row]:
    """Yield the rows of REGRET, in units of gold reward.

    By enumeration where all responses are listed; elsewhere from samples, as far as those can be
    trusted. What is learned from labels is gold / the annotator's temperature, so a strength of 1
    is `temperature` in units of gold.
    """
    for run in runs:
        metrics, found = run.metrics("test"), frontiers[run.pipeline]
        # Without a gold reward there is no telling one error from the other.
        if not run.method.strength_is_kl or run.pipeline.task.reward_source != "gold":
            continue
        if metrics["kl"] is None or run.strength is None:
            continue
        privileged = run.method.privileged
        unit = 1.0 if privileged else run.pipeline.temperature
        strength = unit * float(run.strength)
        parts = split_regret(
            reward=metrics["reward"],
            proxy_reward=unit * metrics["proxy_reward"],
            kl=metrics["kl"],
            beta=strength,
            frontier=found.reward,
            proxy_frontier=(
                None if privileged else found.proxy_reward.of(unit * found.proxy_reward.rewards)
            ),
        )
        if parts is None:
            continue
        objective = metrics["reward"] - strength * metrics["kl"]
        optimum, reference = found.reward.optimum(strength), found.reward.reference_reward()
        yield run.identity | {
            "strength": run.strength,
            "objective": objective,
            "optimum": optimum,
            "reference": reference,
            "share": (objective - reference) / (optimum - reference),
            **parts._asdict(),
        }


def optimum_rows(runs: list[Run], frontiers: FrontiersByPipeline) -> Iterator[Row]:
    """Yield the rows of OPTIMUM: beside each policy that moved, the optimum at its KL."""
    for run in runs:
        metrics, found = run.metrics("test"), frontiers[run.pipeline]
        if not metrics["kl"] or metrics["kl"] <= 0:
            continue
        weights = run.measured("test").weights if found.reward.listed else None
        yield run.identity | metrics | at_optimum(found, metrics["kl"], weights)


def checkpoint_rows(runs: list[Run]) -> Iterator[Row]:
    """Yield the rows of CHECKPOINTS, the final policy as the last of each training."""
    for run in runs:
        rows = run.checkpoint_rows()
        if rows:
            final = run.metrics("test") | {"step": rows[-1]["total"]}
            for row in [*rows, final]:
                step = int(row["step"])
                yield run.identity | {"strength": run.strength} | row | {"step": step}


def temperature_rows(runs: list[Run]) -> Iterator[Row]:
    """Yield the rows of TEMPERATURES."""
    for run in runs:
        for row in run.temperature_rows():
            yield run.identity | row | (AGAINST_ITSELF if run.name == "sft" else {})


def sample_rows(runs: list[Run]) -> Iterator[Row]:
    """Yield the rows of SAMPLES."""
    for run in runs:
        for split in SPLITS:
            for sample in run.samples(split):
                yield run.identity | {"split": split} | sample


def pair_rows(plan: Plan) -> Iterator[Row]:
    """Yield the rows of PAIRS: people's preferences on prompts that nothing was trained on."""
    judged = {
        pipeline.name: pipeline
        for pipeline in plan.pipelines
        if pipeline.task.reward_source == "judge" and not pipeline.missing()
    }
    for name, pipeline in judged.items():
        for split in SPLITS:
            for pair in pipeline.held_out_pairs(split):
                yield {"task": name, "split": split, **pair._asdict()}
