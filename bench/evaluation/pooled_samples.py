"""Reference samples pooled with samples of trained policies: a frontier to a larger KL.

The reference seldom gives the responses of the optimal policy at a large KL; a policy that moved
that far gives them often. Importance weights make the pooled samples stand for the reference.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from bench.cache.code import code_digest
from bench.cache.keys import digest
from bench.evaluation.optimal.frontier import Frontiers, OptimalFrontier
from bench.evaluation.reference_samples import ReferenceSamples, measured
from methods.core.models.outputs import logprobs_of, responses_of
from methods.core.models.policy import Policy, load_policy
from methods.core.models.sampling import SamplingParams, derive_seed

KIND = "pooled_samples"
# Samples of each policy for each test prompt. Those of the reference are all that are kept as text.
FROM_POLICY = 256


@dataclass(frozen=True)
class PooledSamples:
    """Reference samples and samples of trained policies.

    Attributes:
        reference_samples: Sampled, not listed.
        policies: Folders of the trained policies.
    """

    reference_samples: ReferenceSamples
    policies: tuple[Path, ...]

    @property
    def key(self) -> str:
        """The key of the artifact, a hash of all that it depends on."""
        return digest(
            reference_samples=self.reference_samples.key,
            policies=[folder.name for folder in self.policies],
            code=code_digest(__name__),
        )

    @property
    def folder(self) -> Path:
        """The folder of the artifact, which must have been made."""
        return self._store.need(KIND, self.key)

    @property
    def _store(self) -> Any:
        return self.reference_samples.pipeline.store

    def exists(self) -> bool:
        """Return whether the artifact has been made."""
        return bool(self._store.has(KIND, self.key))

    def make(self) -> None:
        """Sample the policies and store all log-probabilities, unless the artifact exists."""
        self._store.make(KIND, self.key, self._make)

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of the artifact: the seconds it took."""
        return dict(self._store.metrics(KIND, self.key))

    def _make(self, folder: Path) -> dict[str, Any]:
        np.savez_compressed(folder / "samples.npz", **self._sample())  # type: ignore[arg-type]
        return {}

    def _sample(self) -> dict[str, ndarray]:
        pipeline, sampling = self.reference_samples.pipeline, self.reference_samples.sampling
        prompts = pipeline.prompts("test")
        folders = [self._store.need(folder.parent.name, folder.name) for folder in self.policies]
        policies = [load_policy(folder, pipeline.device) for folder in folders]
        parts = [
            self._reference_columns(),
            *(self._policy_columns(i, policy) for i, policy in enumerate(policies)),
        ]
        arrays = {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
        texts = arrays.pop("texts")
        logprobs = [
            all_logprobs(policy, prompts, texts, sampling) for policy in (pipeline.sft(), *policies)
        ]
        return arrays | {"logprobs": np.stack(logprobs)}

    def _reference_columns(self) -> dict[str, ndarray]:
        """Return the reference samples that are kept as text, each column [prompts, n]."""
        samples = self.reference_samples
        texts = np.array(samples.kept_texts(), dtype=object)
        columns = {
            "rewards": samples.rewards("test"),
            "proxy_rewards": samples.proxy_rewards("test"),
            "tokens": samples.tokens("test"),
        }
        kept = texts.shape[1]
        return {"texts": texts} | {name: column[:, :kept] for name, column in columns.items()}

    def _policy_columns(self, number: int, policy: Policy) -> dict[str, ndarray]:
        """Return samples of a policy, each column [prompts, n]."""
        pipeline, sampling = self.reference_samples.pipeline, self.reference_samples.sampling
        prompts = pipeline.prompts("test")
        repeated = [prompt for prompt in prompts for _ in range(FROM_POLICY)]
        seed = derive_seed("mixture", number, pipeline.seed)
        responses = responses_of(policy, repeated, seed, sampling)
        columns = measured(pipeline, repeated, responses, sampling)
        columns |= {"texts": np.array(responses, dtype=object)}
        return {name: column.reshape(len(prompts), -1) for name, column in columns.items()}

    @cached_property
    def frontiers(self) -> Frontiers:
        """The optimal frontiers of reward and proxy reward on test prompts."""
        with np.load(self.folder / "samples.npz") as saved:
            arrays = dict(saved)
        total = arrays["rewards"].shape[1]
        counts = [FROM_POLICY] * len(self.policies)
        frontier = OptimalFrontier.from_pooled_samples(
            arrays["rewards"], arrays["logprobs"], [total - sum(counts), *counts]
        )
        # At least as far as all reference samples reach: those kept as text may be fewer.
        alone = self.reference_samples.frontiers.reward
        frontier = replace(frontier, farthest=max(frontier.farthest, alone.farthest))
        return Frontiers(frontier, frontier.of(arrays["proxy_rewards"]), arrays["tokens"])

    def __getstate__(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def all_logprobs(
    policy: Policy, prompts: list[str], texts: ndarray, sampling: SamplingParams
) -> ndarray:
    """Return the log-probability of each text under a policy.

    Args:
        policy: Any policy.
        prompts: [prompts].
        texts: Responses to each prompt, [prompts, N].
        sampling: How they were sampled.

    Returns:
        [prompts, N] (nats).

    Raises:
        ValueError: The policy has no log-probabilities.
    """
    # In the order of length, which needs less padding.
    order = np.argsort([len(text) for text in texts.flat], kind="stable")
    repeated = np.repeat(np.array(prompts, dtype=object), texts.shape[1])
    rows = repeated[order].tolist(), texts.ravel()[order].tolist()
    logprobs = logprobs_of(policy, *rows, sampling)
    if logprobs is None:
        raise ValueError(f"a {type(policy).__name__} has no log-probabilities")
    values = np.empty(texts.size)
    values[order] = logprobs
    return values.reshape(texts.shape)
