"""The ruler of a task and seed: what every policy is measured against, made once.

Where all responses can be listed: all of them, with their score (the gold reward, or a judge's),
proxy reward and reference log-probability. Elsewhere: samples of the SFT policy for every prompt
with score and proxy reward, from which the limit, win rates and regrets are drawn. Both with their
lengths in tokens.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from bench.evaluation.enumeration import all_texts, model_logprobs
from bench.evaluation.frontier import Basis, Limit
from bench.pipeline.base import ROOT, World
from bench.cache.store import digest, source_digest, write_json
from bench.tasks.base import Split
from methods.core.models.sampling import SamplingLaw, stream
from methods.core.models.text import encode_responses

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SOURCES = [ROOT / "bench" / "evaluation" / f"{name}.py" for name in ("ruler", "enumeration")]
POOL = 256
# Of the test prompts' samples, as many are kept as text: what a mixture takes (mixture.py).
KEPT = 16_384
KIND = "ruler"


@dataclass(frozen=True)
class Ruler:
    """A world, the sampling law, and how many samples the limit is drawn from.

    limit_policies: of how many trained policies samples are taken besides, to carry it further.
    """

    world: World
    law: SamplingLaw
    limit_samples: int
    limit_policies: int = 0

    @property
    def key(self) -> str:
        return digest(
            reward_model=self.world.key("reward_model"),
            scorer=self.world.scorer,
            law=self.law,
            samples=0 if self.listed else self.limit_samples,
            code=source_digest(SOURCES),
        )

    @property
    def folder(self) -> Path:
        return self.world.store.folder(KIND, self.key)

    @property
    def listed(self) -> bool:
        """Whether all responses are listed, so that nothing is estimated."""
        return self.world.task.enumerable and self.law.is_softmax

    @property
    def can_be_extended(self) -> bool:
        """Whether samples of policies help: if wanted, nothing is listed and all is possible."""
        return self.limit_policies > 0 and not self.listed and self.law.is_softmax

    def exists(self) -> bool:
        return self.world.store.has(KIND, self.key)

    def make(self) -> None:
        """Sample or list, score, and keep."""
        self.world.store.make(KIND, self.key, self._make)

    def figures(self) -> dict[str, Any]:
        """Return what making it took: seconds."""
        return self.world.store.figures(KIND, self.key)

    def _make(self, folder: Path) -> dict[str, Any]:
        arrays = self._list() if self.listed else self._sample(folder)
        np.savez_compressed(folder / "ruler.npz", **arrays)  # type: ignore[arg-type]
        return {}

    def _list(self) -> dict[str, ndarray]:
        world, task = self.world, self.world.task
        policy, reward = world.sft(), world.reward_model()
        prompts = world.prompts("test")
        texts = all_texts(policy.tokenizer, task.max_new_tokens)
        proxy = [reward([prompt] * len(texts), texts) for prompt in prompts]
        tokens = lengths(policy.tokenizer, texts, task.max_new_tokens)
        return {
            "scores": np.array([world.score([prompt] * len(texts), texts) for prompt in prompts]),
            "proxy": np.array(proxy, dtype=np.float32),
            "logprobs": model_logprobs(policy, prompts, self.law),
            "tokens": np.tile(tokens, (len(prompts), 1)),
        }

    def _sample(self, folder: Path) -> dict[str, ndarray]:
        world = self.world
        policy, reward = world.sft(), world.reward_model()
        arrays: dict[str, ndarray] = {}
        splits: tuple[Split, ...] = ("validation", "test")
        for split in splits:
            prompts = world.prompts(split)
            count = self.limit_samples if split == "test" else min(POOL, self.limit_samples)
            asked = [prompt for prompt in prompts for _ in range(count)]
            responses = policy.generate(asked, stream("reference", split, world.seed), self.law)
            columns = {
                "scores": np.array(world.score(asked, responses)),
                "proxy": np.array(reward(asked, responses), dtype=np.float32),
                "tokens": lengths(policy.tokenizer, responses, self.law.max_new_tokens),
            }
            shape = (len(prompts), count)
            arrays |= {f"{name}_{split}": own.reshape(shape) for name, own in columns.items()}
            if split == "test":
                kept = [responses[i * count : (i + 1) * count] for i in range(len(prompts))]
                most = KEPT // len(prompts)
                write_json(folder / "responses.json", [own[:most] for own in kept])
        return arrays

    @cached_property
    def _arrays(self) -> dict[str, ndarray]:
        with np.load(self.folder / "ruler.npz") as arrays:
            return dict(arrays)

    def scores(self, split: str) -> ndarray:
        """Return the scores [prompts, n] of the SFT policy's samples, or of all responses."""
        return self._arrays["scores" if self.listed else f"scores_{split}"]

    def proxy(self, split: str) -> ndarray:
        """Return their proxy rewards, likewise."""
        return self._arrays["proxy" if self.listed else f"proxy_{split}"]

    def tokens(self, split: str) -> ndarray:
        """Return their lengths in tokens, likewise."""
        return self._arrays["tokens" if self.listed else f"tokens_{split}"]

    def kept(self) -> list[list[str]]:
        """Return the first samples of each test prompt as text."""
        texts: list[list[str]] = json.loads((self.folder / "responses.json").read_text())
        return texts

    @property
    def logprobs(self) -> ndarray:
        """Return the reference's log-probabilities [prompts, R] of all responses."""
        return self._arrays["logprobs"]

    @cached_property
    def basis(self) -> Basis:
        """What the limit on test prompts rests on."""
        scores = self.scores("test")
        listed = self.listed
        limit = Limit.from_list(scores, self.logprobs) if listed else Limit.from_samples(scores)
        return Basis(limit, limit.of(self.proxy("test")), self.tokens("test"))

    def __getstate__(self) -> dict[str, object]:
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


def lengths(tokenizer: PreTrainedTokenizerBase, responses: list[str], most: int) -> ndarray:
    """Return the length of each response in tokens, the end token included.

    most: of any. A response may have been sampled in other tokens than its text is read in.
    """
    found = [len(ids) for ids in encode_responses(tokenizer, responses)]
    return np.minimum(np.array(found, dtype=np.int32), most)
