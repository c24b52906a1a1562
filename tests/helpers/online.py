"""The online methods, a reward to train them by, and a record of what they sample."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.models import PROMPTS, SAMPLING
from transformers import LlamaForCausalLM

from methods.best_of_n_distilled import BestOfNDistilled
from methods.cispo import CISPO
from methods.core.models.batch import make_batch
from methods.core.models.policy import ModelPolicy
from methods.core.models.text import encode_prompts
from methods.dapo import DAPO
from methods.dr_grpo import DrGRPO
from methods.expert_iteration import ExpertIteration
from methods.grpo import GRPO
from methods.gspo import GSPO
from methods.nash_md import NashMD
from methods.online_dpo import OnlineDPO
from methods.rebel import REBEL
from methods.reinforce import Reinforce
from methods.reinforce_pp import ReinforcePP
from methods.reinforce_pp_baseline import ReinforcePPBaseline
from methods.remax import ReMax
from methods.rloo import RLOO
from methods.shuffled_online_dpo import ShuffledOnlineDPO
from methods.xpo import XPO

# Saved so often that a short training resumes.
OURS = {
    "reinforce": Reinforce(save_every=2),
    "reinforce_pp": ReinforcePP(save_every=2),
    "reinforce_pp_baseline": ReinforcePPBaseline(save_every=2),
    "remax": ReMax(save_every=1),
    "dr_grpo": DrGRPO(save_every=2),
    "dapo": DAPO(save_every=2),
    "gspo": GSPO(save_every=2),
    "cispo": CISPO(save_every=2),
    "nash_md": NashMD(save_every=2),
    "rebel": REBEL(save_every=2),
    "xpo": XPO(save_every=1),
    "shuffled_online_dpo": ShuffledOnlineDPO(save_every=2),
}
METHODS = {
    **OURS,
    "rloo": RLOO(),
    "grpo": GRPO(),
    "online_dpo": OnlineDPO(),
    "expert_iteration": ExpertIteration(),
    "best_of_n_distilled": BestOfNDistilled(),
}
BY_TRL = ["rloo", "grpo", "online_dpo"]


def starts_with_a(prompts: object, responses: list[str]) -> list[float]:
    return [float(response.startswith("a")) for response in responses]


def exact_share_of_a(policy: ModelPolicy) -> float:
    """Return how likely the first letter is an a, without sampling error."""
    batch = make_batch(encode_prompts(policy.tokenizer, PROMPTS), [[0]] * len(PROMPTS), 0, "cpu")
    first = policy.next_token_logprobs(batch, SAMPLING)[:, 0].exp()
    return float(first[:, policy.tokenizer.convert_tokens_to_ids("a")].mean())


class Recorder:
    """Keeps what every model generated, as token ids, and what was rewarded, as text."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.prompts: list[list[int]] = []
        self.sampled: list[list[int]] = []
        self.rewarded: list[tuple[str, str]] = []
        generate = LlamaForCausalLM.generate

        def recorded(model: Any, *args: Any, **options: Any) -> Any:
            output = generate(model, *args, **options)
            ids, mask = options["input_ids"], options["attention_mask"].bool()
            sequences = getattr(output, "sequences", output)
            self.prompts += [row[keep].tolist() for row, keep in zip(ids, mask, strict=True)]
            self.sampled += sequences[:, ids.shape[1] :].tolist()
            return output

        monkeypatch.setattr(LlamaForCausalLM, "generate", recorded)

    def reward(self, prompts: list[str], responses: list[str]) -> list[float]:
        self.rewarded += zip(prompts, responses, strict=True)
        return starts_with_a(prompts, responses)
