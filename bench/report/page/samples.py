"""Responses of all methods to the same test prompts, as columns for the page to show and filter."""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import Any

import numpy as np
import pandas as pd
from numpy import ndarray

from bench.analysis.selection import of_selected
from bench.results.loading import Results
from methods.core.models.text import to_turns

# A policy's responses to one prompt at one seed: enough to see that they vary.
MOST_DRAWS = 4
# With fewer prompts than this, seeds are left out instead.
FEWEST_PROMPTS = 24
MOST_CHARACTERS = 4_000
# What a row takes as JSON besides its response.
ROW_BYTES = 45


def sample_data(results: Results, most_bytes: int) -> dict[str, Any]:
    """Return each task's test samples of the selected settings, without end tokens.

    What does not fit is left out for all methods alike: first further responses of a policy to
    the same prompt, then prompts evenly over their order, then the last seeds.

    Args:
        results: The results.
        most_bytes: The most that the data may take as compact JSON in UTF-8. Tasks share it.

    Returns:
        For each task with samples:
        `prompts`: turns as [role, content], and the full length where the content is shortened.
        `samples`: columns of equal length. `prompt` is a place in `prompts`, `method` one in
        `results.methods`; `draw` numbers a policy's responses to the same prompt at a seed.
        `ended` is None where all responses are listed: there, an end means nothing.
        `shortened`: the full length of each shortened response, by row.
        `kept` prompts `of` how many; `seeds` and `draws`, likewise, as [kept, of].
    """
    places = {task: _places(results, task) for task in results.tasks}
    places = {task: rows for task, rows in places.items() if len(rows)}
    data = {}
    # Small tasks first: others may use what they leave.
    for task in sorted(places, key=lambda task: len(places[task])):
        share = most_bytes // (len(places) - len(data))
        data[task] = _fitting(results, task, places[task], share)
        most_bytes -= _size(data[task])
    return {task: data[task] for task in places}


def _places(results: Results, task: str) -> pd.DataFrame:
    """Return the place of each row in SAMPLES, and the numbers of its prompt, method, seed, draw.

    Without the texts: most may be left out.
    """
    keys = results.samples[["task", "method", "params", "seed", "split", "prompt"]]
    keys = keys.reset_index(drop=True)
    keys = keys[(keys["task"] == task) & (keys["split"] == "test")]
    keys = of_selected(keys, results.runs, task)
    methods = {method: i for i, method in enumerate(results.methods)}
    rows = pd.DataFrame(
        {
            "place": keys.index,
            "prompt": pd.factorize(keys["prompt"])[0],
            "seed": pd.factorize(keys["seed"], sort=True)[0],
            "method": keys["method"].map(methods).to_numpy(dtype=int),
        }
    )
    rows["draw"] = rows.groupby(["prompt", "seed", "method"], sort=False).cumcount()
    return rows


def _fitting(results: Results, task: str, rows: pd.DataFrame, most_bytes: int) -> dict[str, Any]:
    """Return a task's data with as many rows as fit."""
    of = rows[["prompt", "seed", "draw"]].max().to_numpy() + 1
    few = rows[rows["draw"] < MOST_DRAWS]
    shape = tuple(few[["prompt", "seed", "draw"]].max() + 1)
    responses = results.samples["response"].iloc[few["place"]].str.len().clip(upper=MOST_CHARACTERS)
    cells = np.ravel_multi_index(few[["prompt", "seed", "draw"]].to_numpy().T, shape)
    sizes = np.bincount(cells, responses.to_numpy() + ROW_BYTES, np.prod(shape)).reshape(shape)
    firsts = rows["place"].to_numpy()[np.unique(rows["prompt"], return_index=True)[1]]
    prompts = results.samples["prompt"].iloc[firsts]
    prompt_sizes = prompts.str.len().clip(upper=MOST_CHARACTERS).to_numpy()
    limit = float(most_bytes)
    while True:
        kept, seeds, draws = _largest(sizes, prompt_sizes, limit)
        fits = few["prompt"].isin(kept) & (few["seed"] < seeds) & (few["draw"] < draws)
        data = {
            "prompts": [_turns(prompt) for prompt in prompts.iloc[kept]],
            **_columns(results, task, few[fits], kept),
            "kept": len(kept),
            "of": int(of[0]),
            "seeds": [seeds, int(of[1])],
            "draws": [draws, int(of[2])],
        }
        size = _size(data)
        if size <= most_bytes or not len(kept):
            return data
        # Characters took more bytes than one: try again with what that leaves room for.
        limit *= 0.98 * most_bytes / size


def _largest(sizes: ndarray, prompt_sizes: ndarray, limit: float) -> tuple[ndarray, int, int]:
    """Return which prompts, and how many seeds and draws, fit into a limit.

    Args:
        sizes: Bytes of all methods' responses, [prompts, seeds, draws].
        prompt_sizes: Bytes of the prompts themselves.
        limit: Bytes in all.
    """
    prompts, seeds, most_draws = sizes.shape
    for draws in range(most_draws, 0, -1):
        if sizes[:, :, :draws].sum() + prompt_sizes.sum() <= limit:
            return np.arange(prompts), seeds, draws
    kept = np.arange(0)
    while seeds:
        costs = sizes[:, :seeds, 0].sum(axis=1) + prompt_sizes
        kept = _evenly(costs, limit)
        if seeds == 1 or len(kept) >= min(prompts, FEWEST_PROMPTS):
            break
        seeds -= 1
    return kept, seeds, 1


def _evenly(costs: ndarray, limit: float) -> ndarray:
    """Return as many places as the limit allows, evenly spaced from the first."""

    def spaced(count: int) -> ndarray:
        return np.arange(count) * len(costs) // max(count, 1)

    counts = range(len(costs) + 1)
    return spaced(bisect_right(counts, limit, key=lambda count: costs[spaced(count)].sum()) - 1)


def _columns(
    results: Results, task: str, rows: pd.DataFrame, prompts: ndarray
) -> dict[str, dict[str, Any]]:
    """Return the samples in these rows, and which responses are shortened."""
    rows = rows.sort_values(["prompt", "seed", "draw", "method"])
    samples = results.samples.iloc[rows["place"]].reset_index(drop=True)
    responses, ended = _without_end(samples["response"], results.ends(task))
    lengths = responses.str.len()
    enumerable = results.described("tasks").get(task, {}).get("enumerable")
    return {
        "samples": {
            "prompt": np.searchsorted(prompts, rows["prompt"]).tolist(),
            "method": rows["method"].tolist(),
            "seed": samples["seed"].astype(int).tolist(),
            "draw": rows["draw"].tolist(),
            "response": responses.str.slice(0, MOST_CHARACTERS).tolist(),
            "reward": _numbers(samples["reward"]),
            "proxy": _numbers(samples["proxy_reward"]),
            "kl": _numbers(samples["kl"]),
            "tokens": [
                int(tokens) if tokens is not None else None
                for tokens in _numbers(samples["response_tokens"])
            ],
            "ended": [None] * len(rows) if enumerable else ended.tolist(),
        },
        "shortened": {
            str(row): int(length) for row, length in lengths[lengths > MOST_CHARACTERS].items()
        },
    }


def _without_end(responses: pd.Series, ends: list[str]) -> tuple[pd.Series, pd.Series]:
    """Return responses without their end token, and whether each had one."""
    ended = pd.Series(False, index=responses.index)
    for end in ends:
        has_end = ~ended & responses.str.endswith(end)
        responses = responses.where(~has_end, responses.str.removesuffix(end))
        ended |= has_end
    return responses, ended


def _numbers(values: pd.Series) -> list[float | None]:
    """Return numbers with four decimals, None for those that are missing.

    Two digits of what is left must be those of the number itself: very small ones, and those
    halfway between two hundredths, keep all digits.
    """
    exact = values.to_numpy()
    halfway = np.abs(np.abs(exact) * 100 % 1 - 0.5) < 0.01
    rounded = np.where(halfway | (np.abs(exact) < 0.01), exact, exact.round(4))
    return [None if np.isnan(value) else value for value in rounded.tolist()]


def _turns(prompt: str) -> list[list[str | int]]:
    """Return a prompt's turns as role, content and, where that is shortened, its full length."""
    turns: list[list[str | int]] = []
    for turn in to_turns(prompt):
        content = turn["content"]
        length = [len(content)] if len(content) > MOST_CHARACTERS else []
        turns.append([turn["role"], content[:MOST_CHARACTERS], *length])
    return turns


def _size(data: dict[str, Any]) -> int:
    return len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())
