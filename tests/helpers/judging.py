"""A small results folder whose rewards do not matter, and a judge of its responses."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from bench.config.llm_judge import LLMJudge
from bench.judging.folder import judge_folder
from bench.results.schema import LLM_JUDGE

KEY = "sk-secret-of-the-test"
PROMPTS = [f"question {i} ?" for i in range(10)]
# The better of two settings on validation prompts is the one that is judged.
SETTINGS = {"sft": {"{}": 1.0}, "dpo": {'{"beta": 0.1}': 3.0, '{"beta": 0.4}': 2.0}}
DPO = ("dpo", "sft")


def words(method: str, i: int) -> str:
    """dpo is longer than sft on the first six of ten prompts, and as long on the next two."""
    count = 3 if i < 6 else 2 if i < 8 else 1
    return f"{method} " + "word " * (count if method == "dpo" else 2)


def write_folder(
    folder: Path,
    write: Callable[[str, int], str] = words,
    *,
    tasks: tuple[str, ...] = ("polite",),
    seeds: int = 1,
    prompts: int = 10,
) -> Path:
    folder.mkdir(exist_ok=True)
    runs, samples = [], []
    for task in tasks:
        for method, params in SETTINGS.items():
            for setting, gold in params.items():
                for seed in range(seeds):
                    run = {"task": task, "method": method, "params": setting, "seed": seed}
                    for split in ("validation", "test"):
                        runs.append(run | {"split": split, "status": "ok", "reward": gold})
                    named = run | {"params": setting, "split": "test"}
                    selected = gold == max(params.values())
                    for i in range(prompts):
                        text = write(method, i) if selected else "not this setting"
                        samples += [
                            named | {"prompt": f"question {i} ?", "response": response}
                            for response in (f"{text} </answer>", "a second response")
                        ]
                    named["split"] = "validation"
                    samples.append(named | {"prompt": "validation ?", "response": "not this"})
    pd.DataFrame(runs).to_csv(folder / "runs.csv", index=False)
    pd.DataFrame(samples).to_parquet(folder / "samples.parquet")
    return folder


def write_pairs(folder: Path, chosen: Callable[[int], str] = lambda i: f"people {i}") -> None:
    rows = [
        {
            "task": "polite",
            "split": split,
            "prompt": f"question {i} ?",
            "chosen": chosen(i),
            "rejected": f"not {i}",
        }
        for split in ("train", "test")
        for i in range(5)
    ]
    pd.DataFrame([*rows, rows[-1] | {"chosen": "the second of its prompt"}]).to_parquet(
        folder / "pairs.parquet"
    )


class JudgedFolder:
    """A results folder, its judge, and the rows of llm_judge.csv."""

    def __init__(self, folder: Path, cache: Path, url: str) -> None:
        self.folder, self.cache, self.url = folder, cache, url
        self.shown = StringIO()

    def judge(self, **changes: Any) -> int:
        settings = LLMJudge(**({"model": "judge", "base_url": self.url} | changes))
        return judge_folder(self.folder, settings, self.cache, Console(file=self.shown, width=200))

    @property
    def rows(self) -> dict[tuple[str, str], pd.Series]:
        table = pd.read_csv(self.folder / "llm_judge.csv")
        assert list(table.columns) == LLM_JUDGE.names
        return {(row["method"], row["opponent"]): row for _, row in table.iterrows()}


def counts(row: pd.Series) -> list[int]:
    return [int(row[name]) for name in ("wins", "ties", "losses", "unparsable", "failed")]
