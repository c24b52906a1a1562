"""Policies: the interface through which the harness uses trained models."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from methods.core.models.batch import Batch, batch_places, make_batch, padded
from methods.core.models.engines.base import Engine
from methods.core.models.engines.choice import EngineChoice, Sampler
from methods.core.models.loading import (
    ADAPTER_FILE,
    Loading,
    for_inference,
    has_adapters,
    load_adapter,
    loading_options,
)
from methods.core.models.logprobs import next_token_logprobs, scored_tokens, token_logprobs
from methods.core.models.pretrained import (
    ORIGINAL_GENERATION_FILE,
    load_causal_model,
    read_generation_config,
    without_unused_rows,
)
from methods.core.models.sampling import BatchSlice, SamplingParams, derive_seed, sample
from methods.core.models.text import (
    decode_responses,
    distinct,
    encode_prompts,
    encode_responses,
)

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

POLICY_FILE = "policy.json"


class Policy(ABC):
    """A distribution of responses to prompts that can be sampled, saved and loaded."""

    @abstractmethod
    def generate(self, prompts: Sequence[str], seed: int, sampling: SamplingParams) -> list[str]:
        """Sample one response to each prompt.

        Args:
            prompts: Prompts as text.
            seed: The same seed gives the same responses.
            sampling: How to sample.

        Returns:
            One response to each prompt, in order. A response includes its end token, unless it was
            cut off.
        """

    @abstractmethod
    def logprobs(
        self, prompts: Sequence[str], responses: Sequence[str], sampling: SamplingParams
    ) -> list[float] | None:
        """Return the log-probability of each whole response (nats).

        Args:
            prompts: Prompts as text.
            responses: One response to each prompt.
            sampling: The sampling parameters under which the probabilities are taken.

        Returns:
            One value for each response, or None where the policy cannot compute them.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the policy to the folder, with `policy.json` naming the class that loads it."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, device: str) -> Policy:
        """Load what `save` wrote."""


def save_kind(policy: Policy, folder: Path, **settings: Any) -> None:
    """Write `policy.json`: the class that loads the folder, and its settings."""
    kind = f"{type(policy).__module__}:{type(policy).__qualname__}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / POLICY_FILE).write_text(json.dumps({"kind": kind, **settings}, indent=2) + "\n")


def load_policy(folder: Path, device: str) -> Policy:
    """Load any saved policy by the class that its `policy.json` names."""
    module, name = json.loads((folder / POLICY_FILE).read_text())["kind"].split(":")
    policy_class: type[Policy] = getattr(import_module(module), name)
    return policy_class.load(folder, device)


class ModelPolicy(Policy):
    """A causal language model and its tokenizer: a folder that transformers alone can load.

    A subclass that overrides `generate` overrides `logprobs` too, or has none; see `outputs.py`.

    Attributes:
        model: The model, in evaluation mode at first.
        tokenizer: Its tokenizer.
        batch_size: The most rows of a batch that is scored.
        engines: Chooses what samples from the model, when the first response is sampled.
        original_generation: The generation config of the model's makers. It is saved beside the
            model's, and not used.
        weights: How the weights under adapters are kept in memory: arguments of `loading_options`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        batch_size: int = 1024,
        sampler: Sampler = "auto",
        original_generation: dict[str, Any] | None = None,
        weights: dict[str, Any] | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.engines = EngineChoice(sampler)
        self.original_generation, self.weights = original_generation, weights or {}
        self.batch_size = batch_size

    def engine(self, sampling: SamplingParams) -> Engine | None:
        """Return what samples from the model, None for the plain loop."""
        return self.engines.chosen(self.model, sampling)

    def generate(self, prompts: Sequence[str], seed: int, sampling: SamplingParams) -> list[str]:
        texts = [""] * len(prompts)
        for places, batch in self.sampled(prompts, seed, sampling):
            for place, text in zip(places, self.decode(batch), strict=True):
                texts[place] = text
        return texts

    def sampled(
        self, prompts: Sequence[str], seed: int, sampling: SamplingParams
    ) -> Iterator[tuple[list[int], Batch]]:
        """Sample a response to each prompt, in batches.

        Yields:
            The places of a batch's prompts among `prompts`, and the batch.
        """
        ids = encode_prompts(self.tokenizer, prompts)
        lengths = [len(row) + sampling.max_new_tokens for row in ids]
        engine = self.engine(sampling)
        most, fit = self.engines.limits(self.model, sampling)
        for number, places in enumerate(batch_places(lengths, most, fit)):
            batch_seed = derive_seed("batch", seed, number)
            batch_ids = [ids[i] for i in places]
            batch, _ = sample(
                self.model, self.tokenizer, batch_ids, sampling, batch_seed, engine=engine
            )
            yield places, batch

    def sample(
        self,
        prompts: Sequence[str],
        seed: int,
        sampling: SamplingParams,
        batch_slice: BatchSlice | None = None,
    ) -> tuple[Batch, torch.Tensor]:
        """Sample a response to each prompt as one batch, in parts if memory asks for that.

        Args:
            prompts: Prompts as text.
            seed: The same seed gives the same responses.
            sampling: How to sample.
            batch_slice: Which rows of a larger batch the prompts are. By default they are all.

        Returns:
            The batch, and the log-probabilities [B, T] of its response tokens (nats).
        """
        import torch

        ids, engine = encode_prompts(self.tokenizer, prompts), self.engine(sampling)
        first, total = batch_slice or BatchSlice(0, len(prompts))
        most, fit = self.engines.limits(self.model, sampling)
        size = min(most, fit(max(map(len, ids)) + sampling.max_new_tokens))
        starts = range(0, len(ids), size)
        slices = [(ids[i : i + size], BatchSlice(first + i, total)) for i in starts]
        parts = [
            sample(self.model, self.tokenizer, part_ids, sampling, seed, part_slice, engine)
            for part_ids, part_slice in slices
        ]
        batch = Batch.concatenate([part for part, _ in parts])
        columns = batch.responses.shape[1]
        return batch, torch.cat([padded(logprobs, 0, 0, columns) for _, logprobs in parts])

    def decode(self, batch: Batch) -> list[str]:
        """Return the responses of a batch as text."""
        return decode_responses(self.tokenizer, batch.response_ids())

    def logprobs(
        self, prompts: Sequence[str], responses: Sequence[str], sampling: SamplingParams
    ) -> list[float]:
        import torch

        firsts, equals = distinct(prompts, responses)
        sums = [0.0] * len(firsts)
        batches = self.batches([prompts[i] for i in firsts], [responses[i] for i in firsts])
        with torch.inference_mode():
            for places, batch in batches:
                batch_sums = token_logprobs(self.model, batch, sampling).double().sum(1).tolist()
                for place, batch_sum in zip(places, batch_sums, strict=True):
                    sums[place] = batch_sum
        return [sums[number] for number in equals]

    def next_token_logprobs(self, batch: Batch, sampling: SamplingParams) -> torch.Tensor:
        """Return log-probabilities [B, T, V] of every next token (nats), without gradients."""
        import torch

        with torch.inference_mode():
            return next_token_logprobs(self.model, batch, sampling)

    def batches(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> Iterator[tuple[list[int], Batch]]:
        """Lay prompts and responses out as padded batches.

        Yields:
            The places of a batch's rows among `prompts`, and the batch.
        """
        prompt_ids = encode_prompts(self.tokenizer, prompts)
        yield from self.token_batches(prompt_ids, encode_responses(self.tokenizer, responses))

    def token_batches(
        self, prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]
    ) -> Iterator[tuple[list[int], Batch]]:
        """Lay token ids of prompts and responses out as `batches` does."""
        lengths = [len(p) + len(r) for p, r in zip(prompts, responses, strict=True)]
        tokens = scored_tokens(self.model)
        for places in batch_places(lengths, self.batch_size, lambda longest: tokens // longest):
            yield (
                places,
                make_batch(
                    [prompts[i] for i in places],
                    [responses[i] for i in places],
                    self.tokenizer.pad_token_id,
                    self.model.device,
                ),
            )

    def save(self, folder: Path) -> None:
        # Only the trained adapter: a trainer may have added another one as its reference.
        adapters = {"selected_adapters": ["default"]} if has_adapters(self.model) else {}
        self.model.save_pretrained(folder, safe_serialization=True, **adapters)
        self.tokenizer.save_pretrained(folder)
        if self.original_generation is not None:
            content = json.dumps(self.original_generation, indent=2) + "\n"
            (folder / ORIGINAL_GENERATION_FILE).write_text(content)
        # Adapters belong to the weights that they were trained on, rounding included.
        weights = {"weights": self.weights} if adapters else {}
        save_kind(self, folder, **weights, **self.engines.settings())

    @classmethod
    def load(
        cls,
        folder: Path,
        device: str,
        loading: Loading | None = None,
        *,
        trainable: bool = False,
    ) -> ModelPolicy:
        """Load a `save_pretrained` folder (safetensors only).

        Args:
            folder: Folder of a whole model or of adapters.
            device: Where to put the model.
            loading: How to load a whole model. By default in the precision of its file.
            trainable: Whether the model is to be trained. If not, a large one is kept in bf16 on
                a GPU.
        """
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        saved = saved_settings(folder)
        weights = loading.weights if loading else saved.get("weights", {})
        sampler = loading.sampler if loading else saved.get("sampler", "auto")
        load = load_adapter if (folder / ADAPTER_FILE).exists() else load_causal_model
        model = load(folder, **loading_options(device, **weights))
        without_unused_rows(model, tokenizer)
        model = model.to(device) if trainable else for_inference(model, device)
        original = read_generation_config(folder / ORIGINAL_GENERATION_FILE)
        return cls(model, tokenizer, sampler=sampler, original_generation=original, weights=weights)


def saved_settings(folder: Path) -> dict[str, Any]:
    """Return a saved policy's `sampler`, and the `weights` under the adapters that it has."""
    file = folder / POLICY_FILE
    return dict(json.loads(file.read_text())) if file.exists() else {}
