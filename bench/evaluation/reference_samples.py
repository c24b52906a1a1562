"""Reference samples, which the optimal frontier and the win rates of a pipeline rest on.

They are samples of the SFT policy for every prompt, each with its reward (gold, or a judge's), its
proxy reward and its length in tokens. Where all responses can be listed, they are all responses,
with the reference's log-probabilities besides.
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

from bench.cache.code import code_digest
from bench.cache.files import write_json
from bench.cache.keys import digest
from bench.evaluation.enumeration import all_texts, model_logprobs
from bench.evaluation.optimal.frontier import Frontiers, OptimalFrontier
from bench.pipeline.base import Pipeline
from bench.tasks.base import Split
from methods.core.models.sampling import SamplingParams, derive_seed
from methods.core.models.text import encode_responses

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KIND = "reference_samples"
# Samples for each validation prompt, and samples of a test prompt that win rates compare with.
POOL = 256
# How many samples for test prompts are kept as text, to be pooled with those of policies.
KEPT = 16_384


@dataclass(frozen=True)
class ReferenceSamples:
    """Samples of a pipeline's SFT policy, or the list of all responses.

    Attributes:
        pipeline: The pipeline whose SFT policy is sampled.
        sampling: How it is sampled.
        frontier_samples: Number of samples for each test prompt.
        frontier_policies: Number of trained policies whose samples are pooled with these, to
            estimate the frontier to a larger KL.
    """

    pipeline: Pipeline
    sampling: SamplingParams
    frontier_samples: int
    frontier_policies: int = 0

    @property
    def key(self) -> str:
        """The key of the artifact, a hash of all that it depends on."""
        return digest(
            reward_model=self.pipeline.key("reward_model"),
            reward=self.pipeline.reward_key,
            sampling=self.sampling,
            samples=0 if self.listed else self.frontier_samples,
            code=code_digest(__name__),
        )

    @property
    def folder(self) -> Path:
        """The folder of the artifact, which must have been made."""
        return self.pipeline.store.need(KIND, self.key)

    @property
    def listed(self) -> bool:
        """Whether all responses are listed, so that nothing is estimated."""
        return self.pipeline.task.enumerable and self.sampling.is_softmax

    @property
    def can_be_pooled(self) -> bool:
        """Whether samples of trained policies are wanted, and can be pooled with these."""
        return self.frontier_policies > 0 and not self.listed and self.sampling.is_softmax

    def exists(self) -> bool:
        """Return whether the artifact has been made."""
        return self.pipeline.store.has(KIND, self.key)

    def make(self) -> None:
        """Sample or list responses and store their rewards, unless the artifact exists."""
        self.pipeline.store.make(KIND, self.key, self._make)

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of the artifact: the seconds it took."""
        return self.pipeline.store.metrics(KIND, self.key)

    def _make(self, folder: Path) -> dict[str, Any]:
        arrays = self._list() if self.listed else self._sample(folder)
        np.savez_compressed(folder / "samples.npz", **arrays)  # type: ignore[arg-type]
        return {}

    def _list(self) -> dict[str, ndarray]:
        pipeline, most = self.pipeline, self.pipeline.task.max_new_tokens
        policy, reward_model = pipeline.sft(), pipeline.reward_model()
        prompts = pipeline.prompts("test")
        texts = all_texts(policy.tokenizer, most)
        repeated = [[prompt] * len(texts) for prompt in prompts]
        proxy = [reward_model(same, texts) for same in repeated]
        return {
            "rewards": np.array([pipeline.reward(same, texts) for same in repeated]),
            "proxy_rewards": np.array(proxy, dtype=np.float32),
            "logprobs": model_logprobs(policy, prompts, self.sampling),
            "tokens": np.tile(lengths(policy.tokenizer, texts, most), (len(prompts), 1)),
        }

    def _sample(self, folder: Path) -> dict[str, ndarray]:
        pipeline, policy = self.pipeline, self.pipeline.sft()
        arrays: dict[str, ndarray] = {}
        splits: tuple[Split, ...] = ("validation", "test")
        for split in splits:
            prompts = pipeline.prompts(split)
            count = self.frontier_samples if split == "test" else min(POOL, self.frontier_samples)
            repeated = [prompt for prompt in prompts for _ in range(count)]
            seed = derive_seed("reference", split, pipeline.seed)
            responses = policy.generate(repeated, seed, self.sampling)
            columns = measured(pipeline, repeated, responses, self.sampling)
            shape = (len(prompts), count)
            arrays |= {f"{name}_{split}": column.reshape(shape) for name, column in columns.items()}
            if split == "test":
                by_prompt = [responses[i * count : (i + 1) * count] for i in range(len(prompts))]
                kept = KEPT // len(prompts)
                write_json(folder / "responses.json", [texts[:kept] for texts in by_prompt])
        return arrays

    @cached_property
    def _arrays(self) -> dict[str, ndarray]:
        with np.load(self.folder / "samples.npz") as arrays:
            return dict(arrays)

    def _column(self, name: str, split: str) -> ndarray:
        return self._arrays[name if self.listed else f"{name}_{split}"]

    def rewards(self, split: str) -> ndarray:
        """Return the rewards of the samples, or of all responses, [prompts, n]."""
        return self._column("rewards", split)

    def proxy_rewards(self, split: str) -> ndarray:
        """Return their proxy rewards, [prompts, n]."""
        return self._column("proxy_rewards", split)

    def tokens(self, split: str) -> ndarray:
        """Return their lengths in tokens, [prompts, n]."""
        return self._column("tokens", split)

    def kept_texts(self) -> list[list[str]]:
        """Return the samples for each test prompt that are kept as text."""
        texts: list[list[str]] = json.loads((self.folder / "responses.json").read_text())
        return texts

    @property
    def logprobs(self) -> ndarray:
        """The reference's log-probabilities of all responses, [prompts, R], where listed (nats)."""
        return self._arrays["logprobs"]

    @cached_property
    def frontiers(self) -> Frontiers:
        """The optimal frontiers of reward and proxy reward on test prompts."""
        rewards = self.rewards("test")
        if self.listed:
            frontier = OptimalFrontier.from_list(rewards, self.logprobs)
        else:
            frontier = OptimalFrontier.from_samples(rewards)
        return Frontiers(frontier, frontier.of(self.proxy_rewards("test")), self.tokens("test"))

    def __getstate__(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def measured(
    pipeline: Pipeline, prompts: list[str], responses: list[str], sampling: SamplingParams
) -> dict[str, ndarray]:
    """Return rewards, proxy rewards and lengths in tokens of responses, each [N]."""
    return {
        "rewards": np.array(pipeline.reward(prompts, responses)),
        "proxy_rewards": np.array(pipeline.reward_model()(prompts, responses), dtype=np.float32),
        "tokens": lengths(pipeline.sft().tokenizer, responses, sampling.max_new_tokens),
    }


def lengths(tokenizer: PreTrainedTokenizerBase, responses: list[str], most: int) -> ndarray:
    """Return the length of each response in tokens, the end token included, [N].

    Args:
        tokenizer: The policies' tokenizer.
        responses: [N].
        most: The longest length that policies can sample. A sampled response may be tokenized into
            more tokens when its text is read again.
    """
    counts = [len(ids) for ids in encode_responses(tokenizer, responses)]
    return np.minimum(np.array(counts, dtype=np.int32), most)
