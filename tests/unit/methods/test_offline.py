"""Methods that learn from pairs minimize the losses of their papers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from statistics import mean

import pytest
import torch
from helpers.models import PROMPTS, weights
from helpers.offline import SHORT, SIZE, STEPS, text
from torch.nn.functional import logsigmoid

from methods.apo import APO
from methods.base import Context, Method
from methods.cdpo import CDPO
from methods.core.feedback import Pair
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import make_batch, token_logprobs
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.pairwise import PLAIN, PairLogprobs, fit_pairs
from methods.core.training.trainer import Schedule
from methods.dpo import DPO
from methods.filtered_sft import FilteredSFT
from methods.ipo import IPO
from methods.orpo import ORPO
from methods.robust_dpo import RobustDPO
from methods.simpo import SimPO
from methods.slic import SLiC

MakeContext = Callable[..., Context]


def some_pairs(count: int, chosen: int = 3, rejected: int = 2) -> list[Pair]:
    random = Random(0)
    return [
        Pair(random.choice(PROMPTS), text(random, chosen), text(random, rejected))
        for _ in range(count)
    ]


# Each loss as its paper has it, at beta 0.5; u and v are the log-ratios of the chosen response and
# of the rejected one, of 3 and 2 tokens.
Ratios = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
ON_RATIOS: dict[str, tuple[Method, Ratios]] = {
    "ipo": (IPO(beta=0.5, **SHORT), lambda u, v: (u / 3 - v / 2 - 1.0) ** 2),
    "slic": (SLiC(beta=0.5, **SHORT), lambda u, v: (1 - 0.5 * (u - v)).clamp(min=0)),
    "robust": (
        RobustDPO(beta=0.5, flip_rate=0.2, **SHORT),
        lambda u, v: (
            (-0.8 * logsigmoid(0.5 * (u - v)) + 0.2 * logsigmoid(-0.5 * (u - v))) / (1 - 0.4)
        ),
    ),
    "cdpo": (
        CDPO(beta=0.5, flip_rate=0.2, **SHORT),
        lambda u, v: -0.8 * logsigmoid(0.5 * (u - v)) - 0.2 * logsigmoid(-0.5 * (u - v)),
    ),
    "apo zero": (
        APO(beta=0.5, **SHORT),
        lambda u, v: 1 - torch.sigmoid(0.5 * u) + torch.sigmoid(0.5 * v),
    ),
    "apo down": (
        APO(beta=0.5, variant="down", **SHORT),
        lambda u, v: 1 + torch.sigmoid(0.5 * u) - torch.sigmoid(0.5 * (u - v)),
    ),
    # f'(t) of Wang et al. (2023), table 1, less constants, with t the ratio of the probabilities.
    "dpo forward": (
        DPO(beta=0.5, divergence="forward_kl", **SHORT),
        lambda u, v: -logsigmoid(0.5 * (-1 / u.exp() + 1 / v.exp())),
    ),
    "dpo js": (
        DPO(beta=0.5, divergence="js_divergence", **SHORT),
        lambda u, v: (
            -logsigmoid(
                0.5 * ((2 * u.exp() / (1 + u.exp())).log() - (2 * v.exp() / (1 + v.exp())).log())
            )
        ),
    ),
    "dpo alpha": (
        DPO(beta=0.5, divergence="alpha_divergence", alpha=0.3, **SHORT),
        lambda u, v: -logsigmoid(0.5 * ((1 - u.exp() ** -0.7) / 0.7 - (1 - v.exp() ** -0.7) / 0.7)),
    ),
}


def ratio_loss(on_ratios: Ratios) -> Callable[[PairLogprobs], torch.Tensor]:
    return lambda p: on_ratios(p.chosen - p.reference_chosen, p.rejected - p.reference_rejected)


def simpo_loss(p: PairLogprobs) -> torch.Tensor:
    return -logsigmoid(2.0 * p.chosen / 3 - 2.0 * p.rejected / 2 - 0.7)


ON_PAIRS = {name: (method, ratio_loss(loss)) for name, (method, loss) in ON_RATIOS.items()} | {
    "simpo": (SimPO(beta=2.0, gamma=0.7, **SHORT), simpo_loss)
}


@pytest.mark.parametrize("name", ON_PAIRS)
def test_training_is_on_the_papers_loss(make_context: MakeContext, name: str) -> None:
    """Losses and weights after 20 steps are those of the formula, cut-off responses included."""
    method, loss = ON_PAIRS[name]
    pairs = some_pairs(200)
    theirs, ours = make_context(labels=pairs), make_context(labels=pairs)
    trained = method.train(theirs)
    expected = fit_pairs(ours, loss, Schedule(1e-3, STEPS * SIZE, SIZE))
    assert len(theirs.curves) == 2
    for a, b in zip(theirs.curves, ours.curves, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-4)
    assert isinstance(trained, ModelPolicy)
    for a, b, start in zip(weights(trained), weights(expected), weights(ours.start()), strict=True):
        assert torch.allclose(a, b, atol=2e-4)
        assert not torch.allclose(a, start, atol=2e-4)
    assert theirs.usage.train_tokens == ours.usage.train_tokens


def test_conservative_dpo_by_hand() -> None:
    zero = torch.zeros(2)
    logprobs = PairLogprobs(torch.tensor([0.0, 4.0]), torch.tensor([0.0, 1.0]), zero, zero)
    loss = CDPO(beta=0.5, flip_rate=0.1).loss(logprobs)
    # log(1 + e^-1.5) = 0.2014133, log(1 + e^1.5) = 1.7014133.
    assert loss.tolist() == pytest.approx([0.6931472, 0.9 * 0.2014133 + 0.1 * 1.7014133])
    # Least where the policy puts 1 - e on the chosen response: at log(0.9 / 0.1) = beta margin.
    margin = torch.tensor([2 * 2.1972246], requires_grad=True)
    at_least = PairLogprobs(margin, zero[:1], zero[:1], zero[:1])
    CDPO(beta=0.5, flip_rate=0.1).loss(at_least).sum().backward()
    assert margin.grad is not None and float(margin.grad) == pytest.approx(0, abs=1e-6)


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
