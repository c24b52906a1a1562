"""Policies: all that the harness does with a trained model."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from methods.core.sampling import (
    Batch,
    SamplingLaw,
    make_batch,
    next_token_logprobs,
    sample,
    stream,
    token_logprobs,
)
from methods.core.text import decode_responses, encode_prompts, encode_responses

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

POLICY_FILE = "policy.json"


class Policy(ABC):
    """A way of answering prompts: `generate`, `logprobs`, `save`, `load`."""

    @abstractmethod
    def generate(self, prompts: Sequence[str], seed: int, law: SamplingLaw) -> list[str]:
        """Return one response for each prompt."""

    @abstractmethod
    def logprobs(
        self, prompts: Sequence[str], responses: Sequence[str], law: SamplingLaw
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

    def generate(self, prompts: Sequence[str], seed: int, law: SamplingLaw) -> list[str]:
        texts: list[str] = []
        for number, start in enumerate(range(0, len(prompts), self.batch_size)):
            part = prompts[start : start + self.batch_size]
            batch, _ = self.sample(part, stream("batch", seed, number), law)
            texts += self.decode(batch)
        return texts

    def sample(
        self, prompts: Sequence[str], seed: int, law: SamplingLaw
    ) -> tuple[Batch, torch.Tensor]:
        """Return one batch of responses as tokens, with their log-probabilities [B, T]."""
        ids = encode_prompts(self.tokenizer, prompts)
        return sample(self.model, self.tokenizer, ids, law, seed)

    def decode(self, batch: Batch) -> list[str]:
        """Return the responses of a batch as text."""
        return decode_responses(self.tokenizer, response_ids(batch))

    def logprobs(
        self, prompts: Sequence[str], responses: Sequence[str], law: SamplingLaw
    ) -> list[float]:
        import torch

        sums: list[float] = []
        with torch.inference_mode():
            for batch in self.batches(prompts, responses):
                sums += token_logprobs(self.model, batch, law).double().sum(1).tolist()
        return sums

    def next_token_logprobs(self, batch: Batch, law: SamplingLaw) -> torch.Tensor:
        """Return log-probabilities [B, T, V] before each response token (no gradient)."""
        import torch

        with torch.inference_mode():
            return next_token_logprobs(self.model, batch, law)

    def batches(self, prompts: Sequence[str], responses: Sequence[str]) -> Iterator[Batch]:
        """Yield the pairs as padded batches, in order."""
        prompt_ids = encode_prompts(self.tokenizer, prompts)
        texts = encode_responses(self.tokenizer, responses)
        for start in range(0, len(texts), self.batch_size):
            stop = start + self.batch_size
            yield make_batch(
                prompt_ids[start:stop],
                texts[start:stop],
                self.tokenizer.pad_token_id,
                self.model.device,
            )

    def save(self, folder: Path) -> None:
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)
        save_kind(self, folder)

    @classmethod
    def load(cls, folder: Path, device: str) -> ModelPolicy:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
        return cls(model.to(device), AutoTokenizer.from_pretrained(folder))


def response_ids(batch: Batch) -> list[list[int]]:
    """Return the response tokens of each row, padding left out."""
    lengths = batch.response_mask.sum(1).tolist()
    rows = batch.responses.tolist()
    return [row[:length] for row, length in zip(rows, lengths, strict=True)]
