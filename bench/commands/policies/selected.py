"""From a results folder to its policies in the cache: the selected setting of each method."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.analysis.selection import ok_rows, select_settings
from bench.cache.default import default_store
from bench.cache.store import Store
from bench.config.experiment import Experiment
from bench.config.files import load_experiment
from bench.errors import UserError
from bench.results.loading import Results, load_results
from methods.core.models.policy import POLICY_FILE, ModelPolicy
from methods.core.models.sampling import SamplingParams


@dataclass(frozen=True)
class Selected:
    """A policy: the selected setting of a method on a task, at one seed.

    Attributes:
        task: The task's name in the experiment.
        method: The method's name.
        params: The selected setting, as JSON.
        seed: The seed.
        folder: Where the policy is in the cache, if it is there. None where the manifest lists no
            such policy.
    """

    task: str
    method: str
    params: str
    seed: int
    folder: Path | None

    def exists(self) -> bool:
        """Return whether the policy is in the cache."""
        return self.folder is not None and (self.folder / POLICY_FILE).is_file()


@dataclass(frozen=True)
class TaskPolicies:
    """The policies of one task of a results folder.

    Attributes:
        folder: The results folder.
        results: What is in it.
        task: The task's name.
        store: The cache.
    """

    folder: Path
    results: Results
    task: str
    store: Store

    @classmethod
    def of(cls, folder: Path, task: str = "") -> TaskPolicies:
        """Return the policies of a task.

        Args:
            folder: A results folder.
            task: The task's name; "" for the only one.

        Raises:
            UserError: It is no results folder, there is no such task, or the name is missing.
        """
        results = load_results(folder)
        known = ", ".join(results.tasks)
        if not task and len(results.tasks) != 1:
            raise UserError(f"--task: {folder} has several tasks; name one of {known}")
        if task and task not in results.tasks:
            raise UserError(f"--task: unknown task '{task}'; {folder} has {known}")
        return cls(folder, results, task or results.tasks[0], default_store())

    @cached_property
    def settings(self) -> dict[str, str]:
        """The selected setting of each method, as the report selects it."""
        return select_settings(self.results.runs, self.task)

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment as it was run."""
        return load_experiment(str(self.folder / "experiment.yaml"))

    @property
    def sampling(self) -> SamplingParams:
        """The sampling parameters of the run's evaluation."""
        return self.experiment.sampling(self.experiment.task_objects[self.task])

    @property
    def described(self) -> dict[str, Any]:
        """What the manifest says of the task."""
        return self.results.described("tasks").get(self.task, {})

    @property
    def local_sources(self) -> list[str] | None:
        """The data and models of the task that were files or folders; None where not recorded."""
        return self.described.get("local_sources")

    def seeds(self, method: str) -> list[int]:
        """Return the finished seeds of a method's selected setting, best on validation first.

        Raises:
            UserError: There is no such method, or none of its runs finished.
        """
        runs = self.results.runs[self.results.runs["task"] == self.task]
        if method not in self.settings:
            known = ", ".join(self.settings)
            why = "has no finished run" if method in set(runs["method"]) else "was not compared"
            raise UserError(f"method '{method}' {why} on {self.task}; allowed: {known}")
        rows = ok_rows(runs)
        rows = rows[(rows["method"] == method) & (rows["params"] == self.settings[method])]
        rows = rows[rows["split"] == "validation"]
        ordered = rows.sort_values("reward", ascending=False, kind="stable")
        return [int(seed) for seed in ordered["seed"]]

    def policy(self, method: str, seed: int | None = None) -> Selected:
        """Return a policy, whether it is in the cache or not.

        Args:
            method: The method's name.
            seed: The seed. By default the one with the highest reward on validation prompts, among
                those in the cache if there are any.

        Raises:
            UserError: There is no such method or seed.
        """
        seeds = self.seeds(method)
        if seed is not None and seed not in seeds:
            known = ", ".join(map(str, sorted(seeds)))
            raise UserError(f"--seed: {method} has no finished seed {seed}; allowed: {known}")
        wanted = seeds if seed is None else [seed]
        # One after another: the cache may have to fetch them.
        policies = (self._entry(method, one) for one in wanted)
        found = next((policy for policy in policies if policy.exists()), None)
        return found or self._entry(method, wanted[0])

    def existing(self, method: str, seed: int | None = None) -> Selected:
        """Return a policy that is in the cache.

        Raises:
            UserError: There is no such policy, or it is not in the cache.
        """
        policy = self.policy(method, seed)
        if not policy.exists():
            raise UserError(self._missing(policy))
        return policy

    def stage(self, name: str, seed: int) -> Path | None:
        """Return the folder of a shared stage's artifact; None if it is not in the cache."""
        for entry in self.results.manifest.get("stages") or []:
            if (entry["task"], entry["seed"], entry["stage"]) == (self.task, seed, name):
                folder = self._place(entry)
                return folder if folder and folder.is_dir() else None
        return None

    def sft(self, seed: int) -> Path:
        """Return the folder of the SFT policy.

        Raises:
            UserError: It is not in the cache.
        """
        folder = self.stage("sft", seed)
        if folder is None:
            command = self.results.manifest.get("command") or "prefrontier bench"
            raise UserError(
                f"{self.folder}: the SFT policy of seed {seed} is not in the cache "
                f"{self.store.address}; "
                "set PREFRONTIER_CACHE to the run's cache, or repeat the run, which trains what is "
                f"missing: `{command}`"
            )
        return folder

    def _entry(self, method: str, seed: int) -> Selected:
        params = self.settings[method]
        for entry in self.results.manifest.get("policies") or []:
            key = (entry["task"], entry["method"], entry["params"], entry["seed"])
            if key == (self.task, method, params, seed):
                return Selected(self.task, method, params, seed, self._place(entry))
        return Selected(self.task, method, params, seed, None)

    def _place(self, entry: dict[str, Any]) -> Path | None:
        """Return the place in the cache that an entry of the manifest names, never one outside."""
        found = re.fullmatch(r"(\w+)/([0-9a-f]+)", str(entry["folder"]))
        return self.store.local(*found.groups()) if found else None

    def _missing(self, policy: Selected) -> str:
        where = f"{self.folder}: the policy of {policy.method} on {self.task}, seed {policy.seed},"
        if policy.folder is None:
            return f"{where} was not kept (keep: {self.experiment.keep}); --train trains it again"
        return (
            f"{where} is not in the cache {self.store.address}; set PREFRONTIER_CACHE to the "
            "run's cache, or train the policy again with --train"
        )


def is_model(folder: Path) -> bool:
    """Return whether a saved policy is a language model and nothing else."""
    module, name = json.loads((folder / POLICY_FILE).read_text())["kind"].split(":")
    return getattr(import_module(module), name) is ModelPolicy
