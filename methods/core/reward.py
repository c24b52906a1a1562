"""The learned reward as a function of text: any sequence classifier with one output."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from methods.core.sampling import make_batch
from methods.core.text import encode_prompts, encode_responses

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class RewardModel:
    """Text in, floats out. It has a tokenizer of its own, so it need not share the policy's."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        batch_size: int | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.batch_size = batch_size or max(8, min(1024, 65_536 // model.config.hidden_size))

    def __call__(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        """Return the score of each response, read at its last token."""
        import torch

        prompt_ids = encode_prompts(self.tokenizer, prompts)
        texts = encode_responses(self.tokenizer, responses)
        pad = self.tokenizer.pad_token_id
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        scores = [0.0] * len(texts)
        with torch.inference_mode():
            for start in range(0, len(order), self.batch_size):
                part = order[start : start + self.batch_size]
                # Prompt and response as one row, padded right only, as in its training.
                rows = [prompt_ids[i] + texts[i] for i in part]
                batch = make_batch([[] for _ in rows], rows, pad, self.model.device)
                hidden = self.model.base_model(
                    input_ids=batch.ids, attention_mask=batch.mask, use_cache=False
                ).last_hidden_state
                # By length and not by token id: a sampled pad token is a token.
                last = batch.mask.sum(1) - 1
                states = hidden[torch.arange(len(part), device=hidden.device), last]
                values = self.model.score(states).float().squeeze(-1).tolist()
                for i, value in zip(part, values, strict=True):
                    scores[i] = value
        return scores

    @classmethod
    def load(cls, folder: Path, device: str) -> RewardModel:
        """Load a `save_pretrained` folder (safetensors only)."""
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
        return cls(model.to(device), AutoTokenizer.from_pretrained(folder))
