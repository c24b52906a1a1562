"""What policies respond to prompts on which nobody has measured them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.errors import UserError, reason_of
from bench.evaluation.kl import model_kl
from methods.core.models.outputs import model_of, responses_of
from methods.core.models.policy import ModelPolicy, Policy
from methods.core.models.reward import positions_of
from methods.core.models.sampling import SamplingParams
from methods.core.models.text import encode_prompts, has_ended

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass
class Response:
    """A response to a prompt.

    Attributes:
        text: The response as it was sampled, end token included.
        content: The same for people, without the end token.
        ended: Whether the policy ended it, rather than being cut off.
        kl: An estimate of the KL to the SFT policy (nats), as that of a sample in a run; None where
            it is not known.
        rewards: By what gives them: proxy, the reward model, or judge.
    """

    text: str
    content: str
    ended: bool
    kl: float | None = None
    rewards: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Responder:
    """A policy beside the SFT policy of its seed.

    Attributes:
        policy: Any policy.
        sft: The SFT policy.
    """

    policy: Policy
    sft: ModelPolicy

    def respond(
        self, prompts: Sequence[str], seed: int, sampling: SamplingParams
    ) -> list[Response]:
        """Return a sampled response to each prompt."""
        texts: list[str] = [""] * len(prompts)
        kls: list[float | None] = [None] * len(prompts)
        if model := model_of(self.policy):
            for places, batch in model.sampled(prompts, seed, sampling):
                known: Sequence[float | None] = [None] * len(places)
                if sampling.is_softmax:
                    known, _ = model_kl(model, self.sft, batch, sampling)
                for place, text, kl in zip(places, model.decode(batch), known, strict=True):
                    texts[place], kls[place] = text, kl
        else:
            texts = responses_of(self.policy, prompts, seed, sampling)
        tokenizer = self.sft.tokenizer
        return [
            Response(text, without_end(tokenizer, text), has_ended(tokenizer, text), kl)
            for text, kl in zip(texts, kls, strict=True)
        ]


def without_end(tokenizer: PreTrainedTokenizerBase, response: str) -> str:
    """Return a response without its end token and without white space around it."""
    if has_ended(tokenizer, response):
        for token in tokenizer.all_special_tokens:
            if response.endswith(str(token)):
                return response.removesuffix(str(token)).strip()
    return response.strip()


def check_prompt(policy: ModelPolicy, prompt: str, sampling: SamplingParams) -> None:
    """Check that a policy can respond to a prompt.

    Raises:
        UserError: The chat template refuses it, or it or the response is too long for the model.
    """
    try:
        [ids] = encode_prompts(policy.tokenizer, [prompt])
    except Exception as error:  # whatever a template raises
        raise UserError(f"the chat template refuses the prompt: {reason_of(error)}") from None
    positions = positions_of(policy.model)
    room = positions - sampling.max_new_tokens
    if room < 1:
        raise UserError(
            f"--max-new-tokens: {sampling.max_new_tokens} tokens leave no room for a prompt: the "
            f"model takes {positions}"
        )
    if len(ids) > room:
        raise UserError(
            f"the prompt has {len(ids)} tokens; beside {sampling.max_new_tokens} of a response the "
            f"model takes {room}"
        )
