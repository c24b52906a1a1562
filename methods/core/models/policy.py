"""Policies: all that the harness does with a trained model."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from methods.core.models.loading import ADAPTER_FILE, Loading, has_adapters, load_adapter
from methods.core.models.sampling import (
    Batch,
    SamplingParams,
    BatchSlice,
    make_batch,
    next_token_logprobs,
    sample,
    derive_seed,
    token_logprobs,
)
from methods.core.models.text import decode_responses, encode_prompts, encode_responses

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

POLICY_FILE = "policy.json"
# In a batch, padding included.
MOST_TOKENS = 131_072


class Policy(ABC):
    """A way of answering prompts: `generate`, `logprobs`, `save`, `load`."""

    @abstractmethod
    def generate(self, prompts: Sequence[str], seed: int, sampling: SamplingParams) -> list[str]:
        """Return one response for each prompt."""

    @abstractmethod
    def logprobs(
        self, prompts: Sequence[str], responses: Sequence[str], sampling: SamplingParams
    ) -> list[float] | None:
        """Return the log-probability (nats) of each whole response, or None where it has none."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the policy to the folder, with `policy.json` naming the class that loads it."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, device: str) -> Policy:
        """Read back what `save` wrote."""


def save_kind(policy: Policy, folder: Path, **settings: Any) -> None:
    """Write `policy.json`: which class loads the folder, and its settings."""
    kind = f"{type(policy).__module__}:{type(policy).__qualname__}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / POLICY_FILE).write_text(json.dumps({"kind": kind, **settings}, indent=2) + "\n")


def load_policy(folder: Path, device: str) -> Policy:
    """Load any saved policy through the class that its `policy.json` names."""
    module, name = json.loads((folder / POLICY_FILE).read_text())["kind"].split(":")
    kind: type[Policy] = getattr(import_module(module), name)
    return kind.load(folder, device)


class ModelPolicy(Policy):
    """A causal language model and its tokenizer: a folder that transformers alone can load."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        batch_size: int | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        # Logits are what fills memory: few rows for a large vocabulary, many for a small one.
        self.batch_size = batch_size or max(8, min(1024, 6_000_000 // len(tokenizer)))

    def generate(self, prompts: Sequence[str], seed: int, sampling: SamplingParams) -> list[str]:
        texts = [""] * len(prompts)
        for places, batch in self.sampled(prompts, seed, sampling):
            for place, text in zip(places, self.decode(batch), strict=True):
                texts[place] = text
        return texts

    def sampled(
        self, prompts: Sequence[str], seed: int, sampling: SamplingParams
    ) -> Iterator[tuple[list[int], Batch]]:
        """Yield responses to all prompts in batches, with the places of their prompts."""
        ids = encode_prompts(self.tokenizer, prompts)
        for number, places in enumerate(
            self._parts([len(row) + sampling.max_new_tokens for row in ids])
        ):
            own = derive_seed("batch", seed, number)
            batch, _ = sample(self.model, self.tokenizer, [ids[i] for i in places], sampling, own)
            yield places, batch

    def _parts(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Yield places of rows that go into one batch: of like length (tokens), and not too many.

        What is within a factor of two stays in order.
        """
        order = sorted(range(len(lengths)), key=lambda i: lengths[i].bit_length())
        while order:
            size = self.batch_size
            longest = max(lengths[i] for i in order[:size])
            size = max(1, min(size, MOST_TOKENS // longest))
            yield order[:size]
            order = order[size:]

    def sample(
        self, prompts: Sequence[str], seed: int, sampling: SamplingParams, batch_slice: BatchSlice | None = None
    ) -> tuple[Batch, torch.Tensor]:
        """Return one batch of responses as tokens, with their log-probabilities [B, T]."""
        ids = encode_prompts(self.tokenizer, prompts)
        return sample(self.model, self.tokenizer, ids, sampling, seed, batch_slice)

    def decode(self, batch: Batch) -> list[str]:
        """Return the responses of a batch as text."""
        return decode_responses(self.tokenizer, response_ids(batch))

    def logprobs(
        self, prompts: Sequence[str], responses: Sequence[str], sampling: SamplingParams
    ) -> list[float]:
        import torch

        sums = [0.0] * len(responses)
        with torch.inference_mode():
            for places, batch in self.batches(prompts, responses):
                found = token_logprobs(self.model, batch, sampling).double().sum(1).tolist()
                for place, value in zip(places, found, strict=True):
                    sums[place] = value
        return sums

    def next_token_logprobs(self, batch: Batch, sampling: SamplingParams) -> torch.Tensor:
        """Return log-probabilities [B, T, V] before each response token (no gradient)."""
        import torch

        with torch.inference_mode():
            return next_token_logprobs(self.model, batch, sampling)

    def batches(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> Iterator[tuple[list[int], Batch]]:
        """Yield the pairs as padded batches, with their places."""
        asked = encode_prompts(self.tokenizer, prompts)
        given = encode_responses(self.tokenizer, responses)
        lengths = [len(p) + len(r) for p, r in zip(asked, given, strict=True)]
        for places in self._parts(lengths):
            yield (
                places,
                make_batch(
                    [asked[i] for i in places],
                    [given[i] for i in places],
                    self.tokenizer.pad_token_id,
                    self.model.device,
                ),
            )

    def save(self, folder: Path) -> None:
        # Of adapters the trained one alone: a trainer may have kept another as its reference.
        which = {"selected_adapters": ["default"]} if has_adapters(self.model) else {}
        self.model.save_pretrained(folder, safe_serialization=True, **which)
        self.tokenizer.save_pretrained(folder)
        save_kind(self, folder)

    @classmethod
    def load(cls, folder: Path, device: str, loading: Loading | None = None) -> ModelPolicy:
        """Load a `save_pretrained` folder, of a whole model or of adapters (safetensors only)."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if (folder / ADAPTER_FILE).exists():
            model = load_adapter(folder)
        else:
            options = loading.options(device) if loading else {"use_safetensors": True}
            model = AutoModelForCausalLM.from_pretrained(folder, **options)
        return cls(model.to(device), AutoTokenizer.from_pretrained(folder))


def response_ids(batch: Batch) -> list[list[int]]:
    """Return the response tokens of each row, padding left out."""
    lengths = batch.response_mask.sum(1).tolist()
    rows = batch.responses.tolist()
    return [row[:length] for row, length in zip(rows, lengths, strict=True)]
