"""Samples of the reference and of trained policies together: a limit that reaches further.

The reference seldom says what the optimum at a large KL says; a policy that moved that far says it
often. Each sample counts by how much more likely the reference says it than the mixture that it was
drawn from, so that the limit stays that of the reference.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from bench.evaluation.frontier import Basis, Limit
from bench.evaluation.reference_samples import Ruler, lengths
from bench.pipeline.base import ROOT
from bench.cache.store import digest, source_digest
from methods.core.models.policy import Policy, load_policy
from methods.core.models.sampling import SamplingLaw, stream

SOURCES = [ROOT / "bench" / "evaluation" / f"{name}.py" for name in ("mixture", "ruler")]
# Samples of each policy for each test prompt; of the reference they are those that the ruler keeps.
FROM_POLICY = 256
KIND = "mixture"


@dataclass(frozen=True)
class Mixture:
    """A ruler that lists nothing, and the folders of the policies that are sampled besides."""

    ruler: Ruler
    policies: tuple[Path, ...]

    @property
    def key(self) -> str:
        return digest(
            ruler=self.ruler.key,
            policies=[folder.name for folder in self.policies],
            code=source_digest(SOURCES),
        )

    @property
    def folder(self) -> Path:
        return self.ruler.world.store.folder(KIND, self.key)

    def exists(self) -> bool:
        return self.ruler.world.store.has(KIND, self.key)

    def make(self) -> None:
        """Sample the policies, score everything under each of them and the reference, and keep."""
        self.ruler.world.store.make(KIND, self.key, self._make)

    def figures(self) -> dict[str, Any]:
        """Return what making it took: seconds."""
        return self.ruler.world.store.figures(KIND, self.key)

    def _make(self, folder: Path) -> dict[str, Any]:
        np.savez_compressed(folder / "mixture.npz", **self._sample())  # type: ignore[arg-type]
        return {}

    def _sample(self) -> dict[str, ndarray]:
        world, law = self.ruler.world, self.ruler.law
        prompts = world.prompts("test")
        policies = [load_policy(folder, world.device) for folder in self.policies]
        parts = [self._kept(), *(self._draw(i, policy) for i, policy in enumerate(policies))]
        arrays = {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
        texts = arrays.pop("text")
        scored = [all_logprobs(by, prompts, texts, law) for by in (world.sft(), *policies)]
        return arrays | {"logprobs": np.stack(scored)}

    def _kept(self) -> dict[str, ndarray]:
        """Return the reference's samples of which the ruler keeps the text."""
        ruler, text = self.ruler, np.array(self.ruler.kept(), dtype=object)
        scores = {"scores": ruler.scores, "proxy": ruler.proxy, "tokens": ruler.tokens}
        return {"text": text} | {
            name: of("test")[:, : text.shape[1]] for name, of in scores.items()
        }

    def _draw(self, number: int, policy: Policy) -> dict[str, ndarray]:
        """Return samples of a policy, likewise."""
        world, prompts = self.ruler.world, self.ruler.world.prompts("test")
        asked = [prompt for prompt in prompts for _ in range(FROM_POLICY)]
        seed = stream("mixture", number, world.seed)
        drawn = policy.generate(asked, seed, self.ruler.law)
        columns = {
            "text": np.array(drawn, dtype=object),
            "scores": np.array(world.score(asked, drawn)),
            "proxy": np.array(world.reward_model()(asked, drawn), dtype=np.float32),
            "tokens": lengths(world.sft().tokenizer, drawn, self.ruler.law.max_new_tokens),
        }
        return {name: column.reshape(len(prompts), -1) for name, column in columns.items()}

    @cached_property
    def basis(self) -> Basis:
        """What the limit on test prompts rests on."""
        with np.load(self.folder / "mixture.npz") as kept:
            arrays = dict(kept)
        total = arrays["scores"].shape[1]
        others = [FROM_POLICY] * len(self.policies)
        limit = Limit.from_mixture(
            arrays["scores"], arrays["logprobs"], [total - sum(others), *others]
        )
        # As far as all of the reference's samples are allowed to reach, these are too.
        alone = self.ruler.basis.limit
        limit = replace(limit, farthest=max(limit.farthest, alone.farthest))
        return Basis(limit, limit.of(arrays["proxy"]), arrays["tokens"])

    def __getstate__(self) -> dict[str, object]:
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


def all_logprobs(policy: Policy, prompts: list[str], texts: ndarray, law: SamplingLaw) -> ndarray:
    """Return log-probabilities [prompts, N] of all texts. Raise ValueError where it has none."""
    # Those of like length together: less padding to read.
    order = np.argsort([len(text) for text in texts.flat], kind="stable")
    asked = np.repeat(np.array(prompts, dtype=object), texts.shape[1])
    found = policy.logprobs(asked[order].tolist(), texts.ravel()[order].tolist(), law)
    if found is None:
        raise ValueError(f"a {type(policy).__name__} has no log-probabilities")
    values = np.empty(texts.size)
    values[order] = found
    return values.reshape(texts.shape)
