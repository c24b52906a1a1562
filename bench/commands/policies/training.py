"""Training a policy again that was not kept, and nothing else of its run."""

from __future__ import annotations

import dataclasses

from bench.cache.store import Store
from bench.commands.policies.selected import Selected, TaskPolicies
from bench.commands.run import resolve_device
from bench.errors import UserError


def train_again(policies: TaskPolicies, policy: Selected) -> Selected:
    """Return the policy, trained if it is not in the cache.

    Raises:
        UserError: Code, data or libraries have changed since the run, or the training failed.
    """
    if policy.exists():
        return policy
    from bench.execution.plan import Plan
    from bench.execution.run import attempt

    device = resolve_device(str(policies.results.manifest.get("device") or "auto"))
    plan = Plan.of(policies.experiment, Store(policies.cache), device)
    identity = (policy.task, policy.method, policy.params, policy.seed)
    run = next((run for run in plan.runs if tuple(run.identity.values()) == identity), None)
    listed = policy.folder.name if policy.folder else None
    if run is None or not (run.finished() if listed is None else listed == run.train_key):
        raise UserError(
            f"{policies.folder}: code, data or libraries have changed since the run, so the policy "
            "would be another one: repeat the run"
        )
    run.pipeline.prepare()
    outcome = attempt(run)
    if outcome.status != "ok":
        raise UserError(f"{policy.method} on {policy.task}: {outcome.status}: {outcome.error}")
    return dataclasses.replace(policy, folder=run.policy_folder)
