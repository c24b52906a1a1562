"""The pairwise trainer, against TRL's DPOTrainer."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
import torch
from helpers.models import PROMPTS

from methods.core.feedback import Pair
from methods.core.models.policy import ModelPolicy
from methods.core.training.context import Context
from methods.core.training.pairwise import PairLogprobs, fit_pairs
from methods.core.training.trainer import Schedule
from methods.dpo import DPO


def dpo_loss(logprobs: PairLogprobs) -> torch.Tensor:
    return -torch.nn.functional.logsigmoid(0.5 * logprobs.margin)


def test_fitting_pairs_with_the_dpo_loss_is_trls_dpo(
    make_context: Callable[..., Context], reference: ModelPolicy
) -> None:
    """Log-probabilities and loss to 1e-5 at every step shown, the policy after 20 to 1e-4."""
    random = Random(0)

    def text() -> str:
        end = random.choice([" </answer>", ""])
        return " ".join(random.choices("abcd", k=random.randint(1, 3))) + end

    pairs = [Pair(random.choice(PROMPTS), text(), text()) for _ in range(200)]
    method = DPO(beta=0.5, examples=20 * 16, batch_size=16, learning_rate=1e-3)
    theirs, ours = make_context(labels=pairs), make_context(labels=pairs)
    by_trl = method.train(theirs)
    by_fit = fit_pairs(ours, dpo_loss, Schedule(1e-3, 20 * 16, 16))
    for a, b in zip(by_trl.model.parameters(), by_fit.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-4)
    for a, b in zip(theirs.curves, ours.curves, strict=True):
        assert a["step"] == b["step"]
        assert b["loss"] == pytest.approx(a["loss"], abs=1e-5)
        assert 0.5 * b["logratio_margin"] == pytest.approx(a["reward_margin"], abs=1e-5)
        assert b["chosen_logp"] == pytest.approx(a["chosen_logp"], abs=1e-5)
    prompts, chosen = [p.prompt for p in pairs], [p.chosen for p in pairs]
    start = reference.logprobs(prompts, chosen, ours.sampling)
    assert by_fit.logprobs(prompts, chosen, ours.sampling) != pytest.approx(start, abs=0.1)
    assert ours.usage.train_tokens == theirs.usage.train_tokens
