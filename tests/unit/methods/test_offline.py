"""Methods on TRL's trainers that learn from pairs minimize the losses of their papers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from statistics import mean

import pytest
import torch
from helpers.models import PROMPTS, weights
from helpers.offline import SHORT, SIZE, STEPS, text
from torch.nn.functional import logsigmoid

from methods.base import Context
from methods.core.feedback import Pair
from methods.core.models.batch import make_batch
from methods.core.models.logprobs import token_logprobs
from methods.core.models.policy import ModelPolicy
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.pairwise import PLAIN, PairLogprobs, fit_pairs
from methods.core.training.trainer import Schedule
from methods.filtered_sft import FilteredSFT
from methods.orpo import ORPO
from methods.simpo import SimPO

MakeContext = Callable[..., Context]


def some_pairs(count: int, chosen: int = 3, rejected: int = 2) -> list[Pair]:
    random = Random(0)
    return [
        Pair(random.choice(PROMPTS), text(random, chosen), text(random, rejected))
        for _ in range(count)
    ]


def simpo_loss(p: PairLogprobs) -> torch.Tensor:
    return -logsigmoid(2.0 * p.chosen / 3 - 2.0 * p.rejected / 2 - 0.7)


def test_simpo_is_the_papers(make_context: MakeContext) -> None:
    """Losses and weights after 20 steps are those of the formula, cut-off responses included."""
    pairs = some_pairs(SIZE)
    theirs, ours = make_context(labels=pairs), make_context(labels=pairs)
    trained = SimPO(beta=2.0, gamma=0.7, **SHORT).train(theirs)
    # All pairs are in each batch, so their order does not matter.
    expected = fit_pairs(ours, simpo_loss, Schedule(1e-3, STEPS * SIZE, SIZE))
    assert len(theirs.curves) == 2
    for a, b in zip(theirs.curves, ours.curves, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-4)
    assert isinstance(trained, ModelPolicy)
    for a, b, start in zip(weights(trained), weights(expected), weights(ours.start()), strict=True):
        assert torch.allclose(a, b, atol=2e-4)
        assert not torch.allclose(a, start, atol=2e-4)
    assert theirs.usage.train_tokens == ours.usage.train_tokens


def test_odds_ratio_by_hand(make_context: MakeContext, reference: ModelPolicy) -> None:
    """At the start: fine-tuning on all tokens, less lam times the mean log-sigmoid of log-odds."""
    pairs = some_pairs(24)
    context = make_context(labels=pairs)
    ORPO(lam=0.3, learning_rate=1e-12, examples=240, batch_size=24).train(context)

    def token_mean(response: str, prompt: str, tokens: int) -> torch.Tensor:
        (logprob,) = reference.logprobs([prompt], [response], PLAIN)
        return torch.tensor(logprob / tokens)

    log_odds, nll = [], []
    for pair in pairs:
        u = token_mean(pair.chosen, pair.prompt, 3)
        v = token_mean(pair.rejected, pair.prompt, 2)
        log_odds.append((u - (1 - u.exp()).log()) - (v - (1 - v.exp()).log()))
        [prompt] = encode_prompts(reference.tokenizer, [pair.prompt])
        [given] = encode_responses(reference.tokenizer, [pair.chosen])
        whole = make_batch([prompt[:1]], [[*prompt[1:], *given]], 0, "cpu")
        with torch.no_grad():
            nll += (-token_logprobs(reference.model, whole, PLAIN)[0]).tolist()
    expected = mean(nll) - 0.3 * float(logsigmoid(torch.stack(log_odds)).mean())
    assert context.curves[0]["loss"] == pytest.approx(expected, abs=1e-4)


def test_filtered_sft_is_on_the_chosen_alone(
    make_context: MakeContext, reference: ModelPolicy
) -> None:
    pairs = some_pairs(24)
    context = make_context(labels=pairs)
    FilteredSFT(learning_rate=1e-12, examples=240, batch_size=24).train(context)
    chosen = reference.logprobs([p.prompt for p in pairs], [p.chosen for p in pairs], PLAIN)
    assert context.curves[0]["loss"] == pytest.approx(-sum(chosen) / (3 * 24), abs=1e-4)
