"""What a policy returns, checked: the policy of a plug-in may return anything.

A subclass of `ModelPolicy` may sample by something else than its model. These functions ask the
policy's own methods, and `model_of` says where its model may be used in their place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

from methods.core.models.policy import ModelPolicy, Policy
from methods.core.models.sampling import SamplingParams

# The methods of a model policy that say which responses it gives, and with which probabilities.
SAMPLING = ("generate", "sampled", "sample", "decode", "engine")
SCORING = ("logprobs", "batches", "token_batches", "next_token_logprobs")
# By how much a log-probability may exceed 0 (nats): the sum of many rounded ones.
ROUNDING = 1e-3


class OutputError(ValueError):
    """A policy returned something else than its interface says."""


def model_of(policy: Policy) -> ModelPolicy | None:
    """Return the policy as a model policy, None where it is more or less than its model.

    Args:
        policy: Any policy. A subclass of `ModelPolicy` that overrides how responses are sampled or
            scored is not its model.
    """
    if isinstance(policy, ModelPolicy) and not _overrides(policy, *SAMPLING, *SCORING):
        return policy
    return None


def _overrides(policy: Policy, *names: str) -> bool:
    return any(
        name in vars(policy) or getattr(type(policy), name) is not getattr(ModelPolicy, name)
        for name in names
    )


def responses_of(
    policy: Policy, prompts: Sequence[str], seed: int, sampling: SamplingParams
) -> list[str]:
    """Return a sampled response to each prompt.

    Raises:
        OutputError: The policy returns something else than one text for each prompt.
    """
    name = f"{type(policy).__name__}.generate"
    responses = _listed(name, policy.generate(prompts, seed, sampling), len(prompts), "prompts")
    for place, response in enumerate(responses):
        if not isinstance(response, str):
            raise OutputError(
                f"{name} must return texts; response {place} is of type {type(response).__name__}"
            )
    return responses


def logprobs_of(
    policy: Policy, prompts: Sequence[str], responses: Sequence[str], sampling: SamplingParams
) -> list[float] | None:
    """Return the log-probability of each response (nats).

    Returns:
        None where the policy has none, which includes a subclass of `ModelPolicy` that overrides
        how responses are sampled but not how they are scored: its model's log-probabilities are not
        those of its responses.

    Raises:
        OutputError: The policy returns something else than one finite log-probability for each
            response.
    """
    is_model = isinstance(policy, ModelPolicy)
    if is_model and _overrides(policy, *SAMPLING) and not _overrides(policy, *SCORING):
        return None
    values = policy.logprobs(prompts, responses, sampling)
    if values is None:
        return None
    name = f"{type(policy).__name__}.logprobs"
    logprobs = _listed(name, values, len(responses), "responses")
    for place, value in enumerate(logprobs):
        if not isinstance(value, Real) or isinstance(value, bool):
            raise OutputError(
                f"{name} must return numbers, or None for all; value {place} is of type "
                f"{type(value).__name__}"
            )
        if not math.isfinite(value) or float(value) > ROUNDING:
            raise OutputError(
                f"{name} must return finite log-probabilities of at most 0; value {place} is "
                f"{float(value):g}"
            )
    return [float(value) for value in logprobs]


def _listed(name: str, values: Any, count: int, of: str) -> list[Any]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise OutputError(f"{name} must return a list, not a {type(values).__name__}")
    listed = list(values)
    if len(listed) != count:
        raise OutputError(
            f"{name} must return one value for each of {count} {of}, not {len(listed)}"
        )
    return listed
