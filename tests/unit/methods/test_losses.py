"""Losses on labels by hand. Those that TRL has too are compared with it in test_against_trl.py."""

from __future__ import annotations

import math

import pytest
import torch

from methods.base import Method
from methods.cdpo import CDPO
from methods.chi_po import ChiPO
from methods.core.training.logprobs import PairLogprobs, TokenLogprobs
from methods.dpo import DPO
from methods.dpop import DPOP
from methods.ld_dpo import LDDPO
from methods.rpo import RPO
from methods.toolkit.offline import PairLoss
from methods.wpo import WPO


def on_ratios(chosen: list[float], rejected: list[float]) -> PairLogprobs:
    """Return the log-probabilities of pairs with these log-ratios of policy to reference."""
    first, second = torch.tensor(chosen), torch.tensor(rejected)
    return PairLogprobs(first - 5, second - 6, torch.full_like(first, -5), second * 0 - 6)


def on_tokens(chosen: list[float], rejected: list[float], reference: float = -1) -> PairLogprobs:
    """Return the log-probabilities of one pair of responses with these tokens.

    Every token has the same log-probability under the reference, and under the policy two drawn
    tokens are the same with probability 1/2.
    """
    width = max(len(chosen), len(rejected))
    rows = torch.tensor([row + [0.0] * (width - len(row)) for row in (chosen, rejected)])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in (chosen, rejected)])
    tokens = TokenLogprobs(rows, reference * mask, mask.bool(), math.log(0.5) * mask)
    return PairLogprobs.of(tokens)


def losses(method: Method, logprobs: PairLogprobs) -> list[float]:
    assert isinstance(method, PairLoss)
    return [float(loss) for loss in method.loss(logprobs)]


def softplus(value: float) -> float:
    """Return -log sigmoid(-value)."""
    return math.log1p(math.exp(value))


def test_logprobs_of_pairs_are_sums_over_tokens() -> None:
    logprobs = on_tokens([-1.0, -2.0, -4.0], [-3.0])
    assert float(logprobs.chosen) == -7 and float(logprobs.rejected) == -3
    assert float(logprobs.chosen_ratio) == -4 and float(logprobs.rejected_ratio) == -2
    assert float(logprobs.margin) == -2
    assert logprobs.chosen_tokens.lengths.tolist() == [3]
    assert logprobs.rejected_tokens.lengths.tolist() == [1]
    assert {name: float(value) for name, value in logprobs.metrics().items()} == {
        "logratio_margin": -2,
        "chosen_logp": -7,
        "rejected_logp": -3,
    }


def test_dpo() -> None:
    assert losses(DPO(beta=0.5), on_ratios([1.0, -3.0], [-3.0, 1.0])) == pytest.approx(
        [softplus(-2), softplus(2)]
    )


def test_conservative_dpo() -> None:
    method = CDPO(beta=0.5, flip_rate=0.1)
    assert losses(method, on_ratios([0.0, 4.0], [0.0, 1.0])) == pytest.approx(
        [math.log(2), 0.9 * softplus(-1.5) + 0.1 * softplus(1.5)]
    )
    # Least where the policy puts 1 - e on the chosen response: at log(0.9 / 0.1) = beta margin.
    margin, zero = torch.tensor([2 * math.log(9)], requires_grad=True), torch.zeros(1)
    method.loss(PairLogprobs(margin, zero, zero, zero)).sum().backward()
    assert margin.grad is not None and float(margin.grad) == pytest.approx(0, abs=1e-6)


def test_dpo_positive() -> None:
    """The margins are 4, 2 and 2. The second chosen response lost 1 nat, the third 0.5."""
    logprobs = on_ratios([1.0, -1.0, -0.5], [-3.0, -3.0, -2.5])
    assert losses(DPOP(beta=0.5, penalty=2.0), logprobs) == pytest.approx(
        [softplus(-0.5 * 4), softplus(0), softplus(-0.5 * (2 - 1))]
    )
    assert losses(DPOP(beta=0.5, penalty=0.0), logprobs) == losses(DPO(beta=0.5), logprobs)


def test_chi_squared_preference_optimization() -> None:
    method = ChiPO(beta=0.5, most_reward=2.0)
    difference = (2 + math.log(2)) - (0.25 + math.log(0.25))
    logprobs = on_ratios([math.log(2)], [math.log(0.25)])
    assert losses(method, logprobs) == pytest.approx([softplus(-0.5 * difference)])


def test_differences_of_chi_squared_rewards_are_clipped() -> None:
    """e^3 + 3 is far beyond 2 R_max / beta, and e^1000 beyond every number."""
    chosen = torch.tensor([3.0, -3.0, 1000.0], requires_grad=True)
    rejected, zero = torch.tensor([0.0, 3.0, 1000.0]), torch.zeros(3)
    values = ChiPO(beta=0.5, most_reward=2.0).loss(PairLogprobs(chosen, rejected, zero, zero))
    assert values.tolist() == pytest.approx([softplus(-4), softplus(4), math.log(2)])
    values.sum().backward()
    assert chosen.grad is not None and chosen.grad.tolist() == [0, 0, pytest.approx(-0.25)]


def test_the_likelihood_of_rpo_is_per_token_of_each_response() -> None:
    logprobs = on_tokens([-1.0, -2.0, -4.0], [-3.0])
    assert losses(RPO(beta=0.5, nll_weight=0.3), logprobs) == pytest.approx(
        [softplus(1) + 0.3 * 7 / 3]
    )


def test_weights_of_wpo() -> None:
    """The weight of a response is the geometric mean of p / 0.5 over its tokens."""
    logprobs = on_tokens([math.log(0.5), math.log(0.125)], [math.log(0.25)])
    margin = (math.log(0.5 * 0.125) + 2) - (math.log(0.25) + 1)
    assert losses(WPO(beta=0.5), logprobs) == pytest.approx([0.5 * 0.5 * softplus(-0.5 * margin)])


def test_tokens_beyond_the_shared_length_count_less_in_ld_dpo() -> None:
    logprobs = on_tokens([-2.0, -4.0, -1.0], [-1.5])
    # Log-ratios of -1, and of -3 and 0 beyond the first token; of -0.5.
    assert losses(LDDPO(beta=0.5, alpha=0.2), logprobs) == pytest.approx(
        [softplus(-0.5 * (-1 - 0.2 * 3 + 0.5))]
    )
    assert losses(LDDPO(beta=0.5, alpha=1.0), logprobs) == losses(DPO(beta=0.5), logprobs)
