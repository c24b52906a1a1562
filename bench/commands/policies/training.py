"""Training a policy again that was not kept, and nothing else of its run."""

from __future__ import annotations

import dataclasses
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.cache.files import write_json
from bench.commands.experiments.options import resolve_device
from bench.commands.policies.selected import Selected, TaskPolicies
from bench.errors import UserError


def existing_or_trained(
    policies: TaskPolicies, method: str, seed: int | None, *, train: bool
) -> Selected:
    """Return a policy that is in the cache, once it is trained again where that is wanted.

    Args:
        policies: Those of the task.
        method: The method's name.
        seed: The seed; None for the best on validation prompts, of those in the cache if any are.
        train: Whether to train the policy if it is not in the cache.

    Raises:
        UserError: There is no such policy, it is not in the cache, or it could not be trained.
    """
    if not train:
        return policies.existing(method, seed)
    policy = policies.policy(method, seed)
    return policy if policy.exists() else train_again(policies, policy)


def train_again(policies: TaskPolicies, policy: Selected) -> Selected:
    """Return the policy, trained. The manifest then says where it is.

    Raises:
        UserError: Code, data or libraries have changed since the run, or the training failed.
    """
    from bench.execution.jobs import run_job, train_run
    from bench.execution.plan import Plan
    from bench.execution.scheduling.perform import perform

    device = resolve_device(str(policies.results.manifest.get("device") or "auto"))
    plan = Plan.of(policies.experiment, policies.store, device)
    identity = (policy.task, policy.method, policy.params, policy.seed)
    run = next((run for run in plan.runs if tuple(run.identity.values()) == identity), None)
    listed = policy.folder.name if policy.folder else None
    if run is None or not (run.finished() if listed is None else listed == run.train_key):
        raise UserError(
            f"{policies.folder}: code, data or libraries have changed since the run, so the policy "
            f"would be another one, or {policies.store.address} is not the run's cache: "
            "repeat the run, or set PREFRONTIER_CACHE"
        )
    run.pipeline.prepare()
    outcome = perform(dataclasses.replace(run_job(run), work=train_run))
    if outcome.status != "ok":
        raise UserError(f"{policy.method} on {policy.task}: {outcome.status}: {outcome.error}")
    trained = dataclasses.replace(policy, folder=policies.store.need("policy", run.train_key))
    list_policy(policies.folder / "manifest.json", run.identity, f"policy/{run.train_key}")
    return trained


def list_policy(file: Path, identity: dict[str, Any], folder: str) -> None:
    """Write to a manifest where in the cache a policy is.

    Args:
        file: The manifest.
        identity: Task, method, params and seed of the policy.
        folder: Its place in the cache.
    """
    content = json.loads(file.read_text(encoding="utf-8"))
    listed = content.get("policies") or []
    others = [entry for entry in listed if not identity.items() <= entry.items()]
    content["policies"] = [*others, identity | {"folder": folder}]
    with suppress(OSError):  # the results may be read-only: then it is only found with --train
        write_json(file, content)
