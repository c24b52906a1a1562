"""The report's tables: pure functions from frames of figures to frames of display strings."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any

import pandas as pd

from bench.analysis.averages import complete_mean
from bench.report.display import (
    MISSING,
    count,
    marked,
    number,
    percent,
    plus_minus,
    seconds,
    setting,
    signed,
)
from bench.results.loading import method_order
from bench.analysis.selection import contrast, of_selected, ok_rows, select_settings, selected_rows
from bench.analysis.statistics import mean_interval

OF_MAIN = (
    "reward",
    "proxy_reward",
    "kl",
    "efficiency",
    "win_rate_sft",
    "response_tokens",
    "ended_rate",
    "entropy",
    "distinct_2",
)
SELECTED = "●"
SAMPLES = "effective_samples"


def main_table(runs: pd.DataFrame, task: str, privileged: Collection[str] = ()) -> pd.DataFrame:
    """Return one row of display strings per method: selected settings, test prompts.

    runs: as `bench.results.loading.typed` returns them.
    """
    rows, chosen = selected_rows(runs, task), select_settings(runs, task)
    lines = []
    for method in method_order(runs[runs["task"] == task]):
        own = rows[rows["method"] == method]
        gain = contrast(rows, method, "sft").difference
        figure = {column: mean_interval(own[column].dropna().tolist()) for column in OF_MAIN}
        lines.append(
            {
                "method": marked(method, method in privileged),
                "setting": setting(chosen[method]) if method in chosen else MISSING,
                "gold reward": plus_minus(figure["reward"]),
                "gain over SFT": MISSING if method == "sft" else signed(gain),
                "proxy reward": number(figure["proxy_reward"].mean),
                "KL (nats)": number(figure["kl"].mean),
                "efficiency": percent(complete_mean(own["efficiency"])),
                "win rate vs SFT": percent(figure["win_rate_sft"].mean),
                "tokens": number(figure["response_tokens"].mean, 1),
                "ended": percent(figure["ended_rate"].mean),
                "entropy": number(figure["entropy"].mean),
                "distinct-2": number(figure["distinct_2"].mean),
                "seeds": _seeds(runs, task, method, chosen.get(method)),
            }
        )
    return pd.DataFrame(lines)


def _seeds(runs: pd.DataFrame, task: str, method: str, params: str | None) -> str:
    """Return finished seeds of all seeds, of the selected setting where there is one."""
    own = runs[(runs["task"] == task) & (runs["method"] == method)]
    if params is not None:
        own = own[own["params"] == params]
    finished = 0 if params is None else ok_rows(own)["seed"].nunique()
    return f"{finished}/{own['seed'].nunique()}"


def likelihood_table(runs: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return how the log-probability (nats) of the feedback's responses changed from SFT."""
    columns = ["chosen_logp_change", "rejected_logp_change"]
    means = selected_rows(runs, task).groupby("method", sort=False)[columns].mean()
    lines = [
        {
            "method": method,
            "chosen": number(row["chosen_logp_change"]),
            "rejected": number(row["rejected_logp_change"]),
            "margin": number(row["chosen_logp_change"] - row["rejected_logp_change"]),
        }
        for method, row in _in_order(means.dropna())
    ]
    return pd.DataFrame(lines)


def _in_order(means: pd.DataFrame) -> list[tuple[str, dict[Hashable, Any]]]:
    """Return each method's means; means: one row per method."""
    found = means.to_dict("index")
    return [(method, found[method]) for method in method_order(means.reset_index())]


def shape_table(optimum: pd.DataFrame, runs: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return length, diversity and modes of the selected settings beside the optimum's."""
    own = of_selected(optimum, runs, task)
    rows = selected_rows(runs, task)
    lines = []
    for method in method_order(rows):
        mine, best = rows[rows["method"] == method], own[own["method"] == method]
        lines.append(
            {
                "method": method,
                "tokens": number(mine["response_tokens"].mean(), 1),
                "optimum's tokens": number(complete_mean(best["optimum_tokens"]), 1),
                "entropy": number(mine["entropy"].mean()),
                "distinct-2": number(mine["distinct_2"].mean()),
                "mass of the modes": percent(complete_mean(best["mode_mass"])),
                "optimum's mass of them": percent(complete_mean(best["optimum_mode_mass"])),
            }
        )
    frame = pd.DataFrame(lines)
    known = frame.columns if own["mode_mass"].notna().any() else frame.columns[:-2]
    return frame[known] if len(own) else pd.DataFrame()


def regret_table(objective: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the share of the best J that each method and strength reached, and the regret."""
    own = objective[(objective["task"] == task) & objective["share"].notna()]
    lines = []
    for method in method_order(own):
        lines += [
            {
                "method": method,
                "strength": f"{strength:g}",
                "share of the optimum": percent(rows["share"].mean()),
                "worst seed": percent(rows["share"].min()),
                "regret": number((rows["optimum"] - rows["objective"]).mean()),
                "optimizer": number(rows["optimization_error"].mean()),
                "learned reward": number(rows["reward_model_error"].mean()),
                "where they meet": number(rows["interaction"].mean()),
                "seeds": str(len(rows)),
            }
            for strength, rows in own[own["method"] == method].groupby("strength")
        ]
    return pd.DataFrame(lines)


def frontier_table(frontier: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """Return how far each task's frontier is drawn, and on how many effective samples it rests."""
    lines = []
    for task, own in frontier.groupby("task", sort=False):
        ends = own.sort_values("kl").groupby("seed").tail(1)
        fewest = own.groupby("seed")[SAMPLES].min()
        exact = own[SAMPLES].isna().all()
        lines.append(
            {
                "task": titles.get(str(task), str(task)),
                "drawn to KL (nats)": number(ends["kl"].mean()),
                "reward there": number(ends["reward"].mean()),
                "effective samples there": "exact" if exact else count(ends[SAMPLES].mean()),
                "fewest anywhere": "exact" if exact else count(fewest.min()),
                "seeds": str(len(ends)),
            }
        )
    return pd.DataFrame(lines)


def temperature_table(temperatures: pd.DataFrame, runs: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the selected settings' win rates against SFT at other sampling temperatures."""
    own = of_selected(temperatures, runs, task)
    lines = [
        {
            "method": str(method),
            "temperature": f"{temperature:g}",
            "gold reward": number(rows["reward"].mean()),
            "win rate vs SFT": percent(rows["win_rate_sft"].mean()),
        }
        for (temperature, method), rows in own.groupby(["temperature", "method"], sort=False)
    ]
    return pd.DataFrame(lines)


def settings_table(runs: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return every setting tried, the selected ones marked."""
    chosen = select_settings(runs, task)
    own = runs[runs["task"] == task]
    finished = ok_rows(own)
    lines = []
    for method in method_order(own):
        tried = own[own["method"] == method].drop_duplicates("params").sort_values("strength")
        for params in tried["params"]:
            rows = finished[(finished["method"] == method) & (finished["params"] == params)]
            test = rows[rows["split"] == "test"]
            validation = rows[rows["split"] == "validation"]
            lines.append(
                {
                    "selected": SELECTED if chosen.get(method) == params else "",
                    "method": method,
                    "setting": setting(params),
                    "validation gold": number(validation["reward"].mean()),
                    "test gold": number(test["reward"].mean()),
                    "KL (nats)": number(test["kl"].mean()),
                    "efficiency": percent(complete_mean(test["efficiency"])),
                    "seeds": _seeds(runs, task, method, params),
                }
            )
    return pd.DataFrame(lines)


def failure_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return every run that failed or diverged, with its error."""
    failed = runs[runs["status"] != "ok"].drop_duplicates(["task", "method", "params", "seed"])
    lines = [
        {
            "task": row["task"],
            "method": row["method"],
            "setting": setting(row["params"]),
            "seed": count(row["seed"]),
            "status": row["status"],
            "error": row["error"],
        }
        for _, row in failed.iterrows()
    ]
    return pd.DataFrame(lines)


def stage_table(stages: pd.DataFrame) -> pd.DataFrame:
    """Return the shared stages: mean seconds, and how often the reward model agrees with gold."""
    lines = [
        {
            "task": task,
            "stage": str(stage).replace("_", " "),
            "seconds": seconds(rows["seconds"].mean()),
            "reward accuracy": percent(rows["reward_accuracy"].mean()),
        }
        for (task, stage), rows in stages.groupby(["task", "stage"], sort=False)
    ]
    return pd.DataFrame(lines)
