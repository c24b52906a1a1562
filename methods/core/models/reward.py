"""The learned reward as a function of text: any sequence classifier."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from methods.core.models.sampling import make_batch
from methods.core.models.text import encode_prompts, encode_responses, in_words, to_turns

if TYPE_CHECKING:
    import torch
    from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

REWARD_FILE = "reward.json"
# As transformers writes it.
NO_LIMIT = 2**30


class TextReward(ABC):
    """Text in, floats out. It has a tokenizer of its own, so it need not share the policy's.

    end: the end token, as text, of the policies that it scores.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        end: str | None = None,
        batch_size: int | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.end = end or str(tokenizer.eos_token)
        self.batch_size = batch_size or max(8, min(1024, 65_536 // model.config.hidden_size))

    @abstractmethod
    def score_batch(self, prompts: Sequence[str], responses: Sequence[str]) -> torch.Tensor:
        """Return the scores of a few responses, [B]."""

    def settings(self) -> dict[str, Any]:
        """Return what `load` needs besides model and tokenizer."""
        return {"end": self.end}

    def __call__(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        """Return the score of each response."""
        import torch

        lengths = [len(p) + len(r) for p, r in zip(prompts, responses, strict=True)]
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        scores = [0.0] * len(order)
        with torch.inference_mode():
            for start in range(0, len(order), self.batch_size):
                part = order[start : start + self.batch_size]
                values = self.score_batch([prompts[i] for i in part], [responses[i] for i in part])
                for i, value in zip(part, values.float().tolist(), strict=True):
                    scores[i] = value
        return scores

    @property
    def device(self) -> torch.device:
        return self.model.device

    def save(self, folder: Path) -> None:
        """Write it as a `save_pretrained` folder, with `reward.json` for `load_reward`."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)
        content = {"kind": type(self).__name__, **self.settings()}
        (folder / REWARD_FILE).write_text(json.dumps(content, indent=2) + "\n")


class RewardModel(TextReward):
    """One output, read at the last token: what is trained here on preferences."""

    def score_batch(self, prompts: Sequence[str], responses: Sequence[str]) -> torch.Tensor:
        import torch

        # Prompt and response as one row, padded right only, as in its training.
        asked = encode_prompts(self.tokenizer, prompts)
        own = str(self.tokenizer.eos_token)
        given = encode_responses(self.tokenizer, [with_end(r, self.end, own) for r in responses])
        # A judge may read less than the policies: the end is what counts.
        longest = positions_of(self.model)
        rows = [(p + r)[-longest:] for p, r in zip(asked, given, strict=True)]
        batch = make_batch([[] for _ in rows], rows, self.tokenizer.pad_token_id, self.device)
        hidden = self.model.base_model(
            input_ids=batch.ids, attention_mask=batch.mask, use_cache=False
        ).last_hidden_state
        # By length and not by token id: a sampled pad token is a token.
        last = hidden[torch.arange(len(rows), device=hidden.device), batch.mask.sum(1) - 1]
        values: torch.Tensor = self.model.score(last).squeeze(-1)
        return values

    @classmethod
    def load(cls, folder: Path, device: str) -> RewardModel:
        """Load a `save_pretrained` folder (safetensors only)."""
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return cls(model.to(device), tokenizer, read_settings(folder).get("end"))


class Classifier(TextReward):
    """A sequence classifier from elsewhere, as it is: its one output, or the log-odds of a label.

    It reads prompt and answer through its chat template where it has one, else as a pair of texts,
    or as one text where plain. label: by name or number; must be given where there are several.
    probability: that of the label is the score.
    """

    def __init__(
        self,
        *args: Any,
        label: str = "",
        plain: bool = False,
        probability: bool = False,
        **rest: Any,
    ) -> None:
        super().__init__(*args, **rest)
        self.label, self.plain, self.probability = label, plain, probability
        self._output = output_of(self.model.config, label)

    def settings(self) -> dict[str, Any]:
        names = ("end", "label", "plain", "probability")
        return {name: getattr(self, name) for name in names}

    def score_batch(self, prompts: Sequence[str], responses: Sequence[str]) -> torch.Tensor:
        given = [with_end(response, self.end, "") for response in responses]
        logits = self.model(**self._encoded(prompts, given).to(self.device)).logits.float()
        if self._output is None:
            single: torch.Tensor = logits.squeeze(-1)
            return single
        logprobs = logits.log_softmax(-1)
        if self.probability:
            return logprobs[:, self._output].exp()
        others = [i for i in range(logits.shape[-1]) if i != self._output]
        odds: torch.Tensor = logprobs[:, self._output] - logprobs[:, others].logsumexp(-1)
        return odds

    def _encoded(self, prompts: Sequence[str], responses: Sequence[str]) -> BatchEncoding:
        """Return what the model reads. What is cut is the beginning: the answer counts."""
        # Two positions are not for text in models of RoBERTa's kind.
        longest = min(self.tokenizer.model_max_length, positions_of(self.model) - 2)
        cut = {"truncation": True, "max_length": longest} if longest < NO_LIMIT - 2 else {}
        self.tokenizer.truncation_side = "left"
        options: dict[str, Any] = {**cut, "padding": True, "return_tensors": "pt"}
        pairs = list(zip(prompts, responses, strict=True))
        if self.plain:
            return self.tokenizer([p + r for p, r in pairs], **options)
        if not self.tokenizer.chat_template:
            return self.tokenizer([in_words(p) for p in prompts], list(responses), **options)
        turns = [[*to_turns(p), {"role": "assistant", "content": r}] for p, r in pairs]
        texts = self.tokenizer.apply_chat_template(turns, tokenize=False)
        return self.tokenizer(texts, add_special_tokens=False, **options)

    @classmethod
    def load(cls, folder: Path, device: str, **settings: Any) -> Classifier:
        """Load any sequence classifier (safetensors only). Raises ValueError without its label."""
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        own = {"trust_remote_code": False}
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, use_safetensors=True, **own
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, **own)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        if model.config.get_text_config().pad_token_id is None:
            model.config.pad_token_id = tokenizer.pad_token_id
        kept = {k: v for k, v in read_settings(folder).items() if k != "kind"}
        return cls(model.to(device), tokenizer, **{**kept, **settings})


def output_of(config: Any, label: str) -> int | None:
    """Return which output a label is, None where there is but one.

    Raises ValueError, saying what is allowed.
    """
    names = {int(place): str(name) for place, name in (config.id2label or {}).items()}
    if config.num_labels == 1:
        return None
    for place, name in names.items():
        if label and label in (name, str(place)):
            return place
    raise ValueError(f"label '{label}' is none of the classifier's: {', '.join(names.values())}")


def positions_of(model: PreTrainedModel) -> int:
    """Return how many tokens a model takes."""
    config = model.config.get_text_config()
    return getattr(config, "max_position_embeddings", None) or NO_LIMIT


def with_end(response: str, end: str, new: str) -> str:
    """Return the response with another end, where it has one."""
    return response.removesuffix(end) + new if response.endswith(end) else response


def read_settings(folder: Path) -> dict[str, Any]:
    """Return what `save` wrote besides model and tokenizer; nothing where another wrote it."""
    file = folder / REWARD_FILE
    return dict(json.loads(file.read_text())) if file.exists() else {}


def load_reward(folder: Path, device: str) -> TextReward:
    """Load what `save` wrote."""
    kind = Classifier if read_settings(folder).get("kind") == "Classifier" else RewardModel
    return kind.load(folder, device)
