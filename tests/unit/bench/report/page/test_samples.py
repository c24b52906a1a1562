"""The data of the samples tab: which responses are kept, and that they are those of the file."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic import make_results

from bench.report.page.samples import (
    FEWEST_PROMPTS,
    MOST_CHARACTERS,
    MOST_DRAWS,
    sample_data,
)
from bench.results import schema
from bench.results.loading import Results

PLENTY = 10**9
METHODS = ["sft", "dpo", "ppo"]
BETTER, WORSE = '{"beta": 1}', '{"beta": 2}'


def make(
    prompts: list[str], seeds: int = 2, draws: int = 1, tasks: tuple[str, ...] = ("a",)
) -> Results:
    """Return results whose responses say what they answer; DPO has a setting that is worse."""
    settings = [("sft", "{}"), ("ppo", "{}"), ("dpo", WORSE), ("dpo", BETTER)]
    run_rows = [
        {"task": task, "method": method, "params": params, "seed": seed, "split": split}
        | {"status": "ok", "reward": 1.0 - (params == WORSE), "reward_source": "gold"}
        for task in tasks
        for method, params in [settings[i] for i in (1, 0, 2, 3)]
        for seed in range(seeds)
        for split in ("validation", "test")
    ]
    # Neither by prompt nor by method in order, as in files that were put together from parts.
    sample_rows = [
        {"task": task, "method": method, "params": params, "seed": seed, "split": split}
        | {"prompt": prompt, "response": response(task, method, params, seed, split, i, draw)}
        | {"reward": i + draw / 8, "proxy_reward": -i / 3, "kl": 0.5 * draw, "response_tokens": 7}
        for task in tasks
        for split in ("validation", "test")
        for seed in reversed(range(seeds))
        for method, params in settings
        for i, prompt in enumerate(prompts)
        for draw in range(draws)
    ]
    tables = {"runs": pd.DataFrame(run_rows), "samples": pd.DataFrame(sample_rows)}
    results = make_results(tables)
    assert results.methods == ["sft", "ppo", "dpo"]
    return results


def response(
    task: str, method: str, params: str, seed: int, split: str, prompt: int, draw: int
) -> str:
    return f"{task} {method} {params} {seed} {split} {prompt} {draw} </answer>"


def with_samples(results: Results, **columns: Any) -> Results:
    return replace(results, samples=schema.SAMPLES.typed(results.samples.assign(**columns)))


def size(data: dict[str, Any]) -> int:
    return len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())


def rows(data: dict[str, Any]) -> list[tuple[int, int, int, int]]:
    samples = data["samples"]
    assert len({len(column) for column in samples.values()}) == 1
    return list(zip(*(samples[key] for key in ("prompt", "seed", "draw", "method")), strict=True))


def test_all_test_samples_of_the_selected_settings_are_there() -> None:
    results = make(["p0", "p1", "p2"], seeds=2, draws=2)
    data = sample_data(results, PLENTY)["a"]
    assert data["prompts"] == [[["user", "p0"]], [["user", "p1"]], [["user", "p2"]]]
    assert rows(data) == [
        (p, s, d, m) for p in range(3) for s in range(2) for d in range(2) for m in range(3)
    ]
    params = {"sft": "{}", "ppo": "{}", "dpo": BETTER}
    assert data["samples"]["response"] == [
        response("a", name, params[name], s, "test", p, d).removesuffix("</answer>")
        for p, s, d, m in rows(data)
        for name in [results.methods[m]]
    ]
    assert data["samples"]["reward"] == [p + d / 8 for p, s, d, m in rows(data)]
    assert data["samples"]["kl"] == [0.5 * d for p, s, d, m in rows(data)]
    assert data["samples"]["tokens"] == [7] * len(rows(data))
    assert (data["kept"], data["of"], data["seeds"], data["draws"]) == (3, 3, [2, 2], [2, 2])


def test_the_data_are_json_with_none_for_what_is_missing() -> None:
    results = make(["p"])
    data = sample_data(with_samples(results, kl=np.nan, response_tokens=np.nan), PLENTY)
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert set(data["a"]["samples"]["kl"]) == set(data["a"]["samples"]["tokens"]) == {None}


@pytest.mark.parametrize(
    "value", [0.12496, 1.23499996, 1.235, 0.0049512, -2.00499999, 0.00012345, 7.0, -1.23456789]
)
def test_numbers_show_the_digits_of_the_file(value: float) -> None:
    [*_, shown] = sample_data(with_samples(make(["p"]), reward=value), PLENTY)["a"]["samples"][
        "reward"
    ]
    assert f"{shown:.2f}" == f"{value:.2f}" and shown == pytest.approx(value, abs=5.1e-5)


def test_random_numbers_show_the_digits_of_the_file() -> None:
    values = np.random.default_rng(0).normal(0, 3, 3000)
    results = make([f"p{i}" for i in range(1000)], seeds=1)
    chosen = (results.samples["split"] == "test") & (results.samples["params"] != WORSE)
    results.samples.loc[chosen, "reward"] = values
    shown = sample_data(results, PLENTY)["a"]["samples"]["reward"]
    assert sorted(f"{x:.2f}" for x in shown) == sorted(f"{x:.2f}" for x in values)
    assert len(json.dumps(shown)) < 0.6 * len(json.dumps(values.tolist()))


def test_end_tokens_are_cut_off_and_remembered() -> None:
    results = make(["p"], seeds=1)
    texts = {"sft": "yes<|end|>", "ppo": "no<|eot|><|end|>", "dpo": "may</answer>be"}
    results = with_samples(results, response=results.samples["method"].map(texts))
    results.manifest["tasks"] = {"a": {"ends": ["<|eot|>", "<|end|>"]}}
    samples = sample_data(results, PLENTY)["a"]["samples"]
    assert samples["response"] == ["yes", "no<|eot|>", "may</answer>be"]
    assert samples["ended"] == [True, True, False]
    results.manifest["tasks"]["a"]["enumerable"] = True
    assert sample_data(results, PLENTY)["a"]["samples"]["ended"] == [None] * 3


def test_a_conversation_is_turns_with_their_roles() -> None:
    turns = [{"role": "system", "content": "be \u202e"}, {"role": "user", "content": "hi"}]
    data = sample_data(make([json.dumps(turns), '[{"role": not JSON']), PLENTY)["a"]
    assert data["prompts"] == [
        [["system", "be \u202e"], ["user", "hi"]],
        [["user", '[{"role": not JSON']],
    ]


def test_long_texts_are_shortened_and_their_length_kept() -> None:
    results = make(["p" * (MOST_CHARACTERS + 1), "short"], seeds=1)
    long = "é" * MOST_CHARACTERS
    texts = {"sft": long + "</answer>", "ppo": long + "xy</answer>", "dpo": "W" * 50_000}
    results = with_samples(results, response=results.samples["method"].map(texts))
    data = sample_data(results, PLENTY)["a"]
    assert data["prompts"][0] == [["user", "p" * MOST_CHARACTERS, MOST_CHARACTERS + 1]]
    assert data["prompts"][1] == [["user", "short"]]
    assert data["samples"]["response"][:3] == [long, long, "W" * MOST_CHARACTERS]
    assert data["samples"]["ended"][:3] == [True, True, False]
    lengths = {"1": MOST_CHARACTERS + 2, "2": 50_000}
    assert data["shortened"] == lengths | {"4": MOST_CHARACTERS + 2, "5": 50_000}


def test_of_many_responses_to_a_prompt_the_first_are_kept() -> None:
    data = sample_data(make(["p0", "p1"], draws=MOST_DRAWS + 3), PLENTY)["a"]
    assert data["draws"] == [MOST_DRAWS, MOST_DRAWS + 3]
    assert {d for p, s, d, m in rows(data)} == set(range(MOST_DRAWS))
    assert all(f" {p} {d} " in text for (p, s, d, m), text in texts_of(data))


def texts_of(data: dict[str, Any]) -> list[tuple[tuple[int, int, int, int], str]]:
    return list(zip(rows(data), data["samples"]["response"], strict=True))


def test_what_does_not_fit_is_left_out_draws_first_then_prompts_then_seeds() -> None:
    prompts = [f"prompt {i} é" for i in range(4 * FEWEST_PROMPTS)]
    results = make(prompts, seeds=4, draws=2)
    full = size(sample_data(results, PLENTY))
    seen = []
    for share in (1.1, 0.7, 0.4, 0.2, 0.08, 0.02):
        data = sample_data(results, int(share * full))
        assert size(data) <= share * full
        kept = data["a"]
        seen.append((kept["kept"], kept["seeds"][0], kept["draws"][0]))
        assert (kept["of"], kept["seeds"][1], kept["draws"][1]) == (len(prompts), 4, 2)
        # All methods answer the same prompts, at the first seeds.
        assert rows(kept) == [
            (p, s, d, m)
            for p in range(kept["kept"])
            for s in range(kept["seeds"][0])
            for d in range(kept["draws"][0])
            for m in range(len(METHODS))
        ]
        # They are spread over all prompts, and each stands with its own responses.
        places = [prompts.index(str(turns[0][1])) for turns in kept["prompts"]]
        steps = set(np.diff(places).tolist())
        assert places[0] == 0 and max(steps) - min(steps) <= 1
        assert all(f" test {places[p]} " in text for (p, *_), text in texts_of(kept))
    assert seen[0] == (len(prompts), 4, 2)
    assert seen[1] == (len(prompts), 4, 1)
    assert FEWEST_PROMPTS <= seen[2][0] < len(prompts) and seen[2][1:] == (4, 1)
    assert seen[3][0] >= FEWEST_PROMPTS and seen[3][1:] == (4, 1)
    assert seen[4][0] >= FEWEST_PROMPTS and 1 <= seen[4][1] < 4
    assert 1 <= seen[5][0] < FEWEST_PROMPTS and seen[5][1] == 1


def test_a_limit_that_fits_nothing_keeps_no_prompt() -> None:
    data = sample_data(make(["p0", "p1"]), 10)["a"]
    assert (data["kept"], data["of"], rows(data)) == (0, 2, [])


def test_tasks_share_the_limit_and_large_ones_use_what_small_ones_leave() -> None:
    results = make([f"p{i}" for i in range(60)], tasks=("large", "small"))
    few = results.samples["prompt"].isin(["p0", "p1"])
    results = replace(results, samples=results.samples[few | (results.samples["task"] == "large")])
    full = sample_data(results, PLENTY)
    assert list(full) == ["large", "small"]
    most = int(0.8 * size(full))
    data = sample_data(results, most)
    assert data["small"] == full["small"]
    assert 0.9 * most < size(data) <= most + 100


def test_a_task_without_samples_is_absent() -> None:
    results = make(["p"], tasks=("a", "b"))
    results = replace(results, samples=results.samples[results.samples["task"] == "b"])
    assert list(sample_data(results, PLENTY)) == ["b"]
    assert sample_data(replace(results, samples=results.samples.iloc[:0]), PLENTY) == {}


def test_a_seed_that_a_method_lacks_is_missing_for_it_alone() -> None:
    results = make(["p0", "p1"])
    lacking = (results.samples["method"] == "ppo") & (results.samples["seed"] == 1)
    data = sample_data(replace(results, samples=results.samples[~lacking]), PLENTY)["a"]
    ppo = results.methods.index("ppo")
    assert [(p, s) for p, s, d, m in rows(data) if m == ppo] == [(0, 0), (1, 0)]
    assert len(rows(data)) == 2 * 2 * 3 - 2
