"""Reward models as functions of text: any sequence classifier."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from methods.core.models.batch import by_length, make_batch
from methods.core.models.chat_template import fix_chat_template
from methods.core.models.loading import for_inference
from methods.core.models.pretrained import load_classifier, read_tokenizer
from methods.core.models.text import (
    distinct,
    encode_prompts,
    encode_responses,
    end_tokens,
    in_words,
    to_turns,
    with_end,
)

if TYPE_CHECKING:
    import torch
    from transformers import BatchEncoding, PreTrainedModel, PreTrainedTokenizerBase

REWARD_FILE = "reward.json"
# Tokenizers without a maximal length say a number above this one.
NO_LIMIT = 2**30


class TextReward(ABC):
    """A reward model that takes text, so that its tokenizer may differ from the policies'.

    Attributes:
        model: The sequence classifier, in evaluation mode.
        tokenizer: Its tokenizer.
        ends: The end tokens, as text, of the policies whose responses it reads. By default its own.
        batch_size: Responses of a batch. By default it shrinks with the width of the model.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        ends: Sequence[str] = (),
        batch_size: int | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.ends = list(ends) or end_tokens(tokenizer)
        width = model.config.get_text_config().hidden_size
        self.batch_size = batch_size or max(8, min(1024, 65_536 // width))

    @abstractmethod
    def reward_batch(self, prompts: Sequence[str], responses: Sequence[str]) -> torch.Tensor:
        """Return the rewards [B] of the responses of one batch."""

    def settings(self) -> dict[str, Any]:
        """Return what `load` needs in addition to the model and the tokenizer."""
        return {"ends": self.ends}

    def __call__(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        """Return the reward of each response to the prompt at the same place."""
        import torch

        firsts, equals = distinct(prompts, responses)
        order = sorted(firsts, key=lambda place: len(prompts[place]) + len(responses[place]))
        rewards: dict[int, float] = {}
        # The model has its own precision, whatever that of a training that calls it.
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            for start in range(0, len(order), self.batch_size):
                places = order[start : start + self.batch_size]
                batch_rewards = self.reward_batch(
                    [prompts[i] for i in places], [responses[i] for i in places]
                )
                rewards |= zip(places, batch_rewards.float().tolist(), strict=True)
        return [rewards[firsts[number]] for number in equals]

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    def save(self, folder: Path) -> None:
        """Write a `save_pretrained` folder, with `reward.json` for `load_reward`."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)
        content = {"kind": type(self).__name__, **self.settings()}
        (folder / REWARD_FILE).write_text(json.dumps(content, indent=2) + "\n")


class RewardModel(TextReward):
    """A classifier with one output, read at the last token. The pipeline trains these."""

    def reward_batch(self, prompts: Sequence[str], responses: Sequence[str]) -> torch.Tensor:
        import torch

        # Prompt and response as one row, padded right only, as in its training.
        prompt_ids = encode_prompts(self.tokenizer, prompts)
        end = str(self.tokenizer.eos_token)
        ids = encode_responses(self.tokenizer, [with_end(r, self.ends, end) for r in responses])
        # A judge may take fewer tokens than the policies. The last ones matter most.
        longest = positions_of(self.model)
        rows = [(p + r)[-longest:] for p, r in zip(prompt_ids, ids, strict=True)]
        rewards = torch.zeros(len(rows), device=self.device)
        for part in by_length(list(map(len, rows))):
            rewards[part] = self._rewards([rows[i] for i in part])
        return rewards

    def _rewards(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        import torch

        batch = make_batch([[] for _ in rows], rows, self.tokenizer.pad_token_id, self.device)
        hidden = self.model.base_model(
            input_ids=batch.ids, attention_mask=batch.mask, use_cache=False
        ).last_hidden_state
        # By length and not by token id: a sampled pad token is a token.
        last = hidden[torch.arange(len(rows), device=hidden.device), batch.mask.sum(1) - 1]
        rewards: torch.Tensor = self.model.score(last).squeeze(-1).float()
        return rewards

    @classmethod
    def load(cls, folder: Path, device: str) -> RewardModel:
        """Load a `save_pretrained` folder (safetensors only)."""
        from transformers import AutoTokenizer

        model = for_inference(load_classifier(folder, dtype="float32"), device)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return cls(model, tokenizer, read_settings(folder).get("ends", ()))


class Classifier(TextReward):
    """A published sequence classifier: the reward is its one output, or the log-odds of a label.

    It reads prompt and response through its chat template. Without one, it reads a pair of texts.

    Attributes:
        label: Name or number of the label. Required where the classifier has several.
        plain: Whether it reads prompt and response as one text instead.
        probability: Whether the reward is the label's probability instead of its log-odds.
    """

    def __init__(
        self,
        *args: Any,
        label: str = "",
        plain: bool = False,
        probability: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.label, self.plain, self.probability = label, plain, probability
        self._output = output_of(self.model.config, label)
        if probability and self._output is None:
            raise ValueError("probability needs a classifier with several labels; it has one")

    def __call__(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        rewards = super().__call__(prompts, responses)
        if bad := [reward for reward in rewards if not math.isfinite(reward)]:
            raise ValueError(
                f"the classifier {self.model.config.name_or_path} gives {len(bad)} of "
                f"{len(rewards)} responses a reward that is not finite, such as {bad[0]}"
            )
        return rewards

    def settings(self) -> dict[str, Any]:
        names = ("ends", "label", "plain", "probability")
        return {name: getattr(self, name) for name in names}

    def reward_batch(self, prompts: Sequence[str], responses: Sequence[str]) -> torch.Tensor:
        texts = [with_end(response, self.ends, "") for response in responses]
        logits = self.model(**self._encode(prompts, texts).to(self.device)).logits.float()
        if self._output is None:
            only_output: torch.Tensor = logits.squeeze(-1)
            return only_output
        logprobs = logits.log_softmax(-1)
        if self.probability:
            return logprobs[:, self._output].exp()
        others = [i for i in range(logits.shape[-1]) if i != self._output]
        log_odds: torch.Tensor = logprobs[:, self._output] - logprobs[:, others].logsumexp(-1)
        return log_odds

    def _encode(self, prompts: Sequence[str], responses: Sequence[str]) -> BatchEncoding:
        """Return the model's inputs. Texts that are too long lose their beginning."""
        # Models like RoBERTa reserve two positions.
        longest = min(self.tokenizer.model_max_length, positions_of(self.model) - 2)
        limit = {"truncation": True, "max_length": longest} if longest < NO_LIMIT - 2 else {}
        self.tokenizer.truncation_side = "left"
        options: dict[str, Any] = {**limit, "padding": True, "return_tensors": "pt"}
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
        """Load any sequence classifier (safetensors only).

        Args:
            folder: A `save_pretrained` folder.
            device: Where to put the model.
            **settings: Arguments of the class. They replace those that `save` wrote.

        Raises:
            ValueError: The classifier has several labels, and `label` is none of them, or its
                weights are not all there.
        """
        model = load_classifier(folder, dtype="float32")
        tokenizer = read_tokenizer(folder)
        fix_chat_template(tokenizer)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        text_config = model.config.get_text_config()
        if text_config.pad_token_id is None:
            text_config.pad_token_id = tokenizer.pad_token_id
        saved = {k: v for k, v in read_settings(folder).items() if k != "kind"}
        return cls(for_inference(model, device), tokenizer, **{**saved, **settings})


def output_of(config: Any, label: str) -> int | None:
    """Return the output that belongs to a label.

    Args:
        config: The classifier's configuration.
        label: Name or number of the label.

    Returns:
        The number of the output, or None where the classifier has only one.

    Raises:
        ValueError: No output has this label. The message lists the labels.
    """
    names = {int(place): str(name) for place, name in (config.id2label or {}).items()}
    if config.num_labels == 1:
        if label and label not in ("0", *names.values()):
            raise ValueError(
                f"label '{label}' is none of the classifier's: it has one, {names.get(0, '0')}"
            )
        return None
    for place, name in names.items():
        if label and label in (name, str(place)):
            return place
    raise ValueError(f"label '{label}' is none of the classifier's: {', '.join(names.values())}")


def positions_of(model: PreTrainedModel) -> int:
    """Return the most tokens that a model takes."""
    config = model.config.get_text_config()
    return getattr(config, "max_position_embeddings", None) or NO_LIMIT


def read_settings(folder: Path) -> dict[str, Any]:
    """Return the settings that `save` wrote, or nothing where another program wrote the folder."""
    file = folder / REWARD_FILE
    return dict(json.loads(file.read_text())) if file.exists() else {}


def load_reward(folder: Path, device: str) -> TextReward:
    """Load a reward model that `save` wrote."""
    is_classifier = read_settings(folder).get("kind") == "Classifier"
    reward_class = Classifier if is_classifier else RewardModel
    return reward_class.load(folder, device)
