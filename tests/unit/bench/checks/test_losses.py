"""Checks of losses: those of the literature pass, and wrong signs and shapes are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, make_dataclass

import pytest
import torch
from helpers.broken_losses import ReturnsTheMean, RewardsTheFall
from helpers.good_method import Good
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from bench.checks import CHECKS, run_check
from bench.checks.synthetic import CHOSEN, LIKED, ROWS, synthetic_pairs, synthetic_unpaired
from methods.base import NonNegative
from methods.core.training.logprobs import PairLogprobs, UnpairedLogprobs
from methods.toolkit.offline import UnpairedLoss

NAMES = ["one_loss_for_each_label", "losses_are_separate", "first_step_raises_chosen"]
Loss = Callable[[PairLogprobs, float], Tensor]
Unpaired = Callable[[UnpairedLogprobs, float], Tensor]


def ratios(p: PairLogprobs) -> tuple[Tensor, Tensor]:
    return p.chosen - p.reference_chosen, p.rejected - p.reference_rejected


def apo_zero(p: PairLogprobs, beta: float) -> Tensor:
    chosen, rejected = ratios(p)
    return 1 - (beta * chosen).sigmoid() + (beta * rejected).sigmoid()


def apo_down(p: PairLogprobs, beta: float) -> Tensor:
    chosen, rejected = ratios(p)
    return 1 + (beta * chosen).sigmoid() - (beta * (chosen - rejected)).sigmoid()


def nca(p: PairLogprobs, beta: float) -> Tensor:
    chosen, rejected = (beta * ratio for ratio in ratios(p))
    return -logsigmoid(chosen) - (logsigmoid(-chosen) + logsigmoid(-rejected)) / 2


def sppo(p: PairLogprobs, beta: float) -> Tensor:
    chosen, rejected = ratios(p)
    return (chosen - 0.5 / beta) ** 2 + (rejected + 0.5 / beta) ** 2


def exo(p: PairLogprobs, beta: float) -> Tensor:
    shares = torch.stack([beta * ratio for ratio in ratios(p)]).log_softmax(0)
    return (shares.exp() * (shares - torch.tensor([0.99, 0.01]).log().unsqueeze(1))).sum(0)


def chi_po(p: PairLogprobs, beta: float) -> Tensor:
    chosen, rejected = (ratio.clamp(max=20).exp() + ratio for ratio in ratios(p))
    return -logsigmoid((beta * (chosen - rejected)).clamp(-100, 100))


def simpo(p: PairLogprobs, beta: float) -> Tensor:
    chosen = p.chosen / p.chosen_tokens.mask.sum(1)
    return -logsigmoid(beta * (chosen - p.rejected / p.rejected_tokens.mask.sum(1)) - 0.5)


def wpo(p: PairLogprobs, beta: float) -> Tensor:
    parts = (p.chosen_tokens, p.rejected_tokens)
    weights = [(t.policy.detach() - t.collision).sum(1) / t.mask.sum(1) for t in parts]
    return -logsigmoid(beta * p.margin) * sum(weights).exp()


def ld_dpo(p: PairLogprobs, beta: float) -> Tensor:
    chosen, rejected = p.chosen_tokens, p.rejected_tokens
    weights = 0.5 + 0.5 * (chosen.mask & rejected.mask)
    sums = [(weights * (tokens.policy - tokens.reference)).sum(1) for tokens in (chosen, rejected)]
    return -logsigmoid(beta * (sums[0] - sums[1]))


def dpop(p: PairLogprobs, beta: float) -> Tensor:
    return -logsigmoid(beta * (p.margin - 50 * relu(p.reference_chosen - p.chosen)))


PAIRS: dict[str, Loss] = {
    "dpo": lambda p, beta: -logsigmoid(beta * p.margin),
    "ipo": lambda p, beta: (p.margin - 1 / (2 * beta)) ** 2,
    "slic": lambda p, beta: relu(1 - beta * p.margin),
    "cdpo": lambda p, beta: -0.9 * logsigmoid(beta * p.margin) - 0.1 * logsigmoid(-beta * p.margin),
    "robust_dpo": lambda p, beta: (
        (0.1 * logsigmoid(-beta * p.margin) - 0.9 * logsigmoid(beta * p.margin)) / 0.8
    ),
    "rpo": lambda p, beta: -logsigmoid(beta * p.margin) - p.chosen / p.chosen_tokens.mask.sum(1),
    "hypo": lambda p, beta: (
        -logsigmoid(
            beta * (p.chosen - p.rejected - relu(p.reference_chosen - p.reference_rejected))
        )
    ),
    "apo_zero": apo_zero,
    "apo_down": apo_down,
    "nca": nca,
    "sppo": sppo,
    "exo": exo,
    "chi_po": chi_po,
    "simpo": simpo,
    "wpo": wpo,
    "ld_dpo": ld_dpo,
    "dpop": dpop,
}


def kto(u: UnpairedLogprobs, beta: float) -> Tensor:
    kl = u.unrelated_ratio.mean().clamp(min=0)
    return 1 - (beta * (u.ratio - kl) * torch.where(u.liked, 1, -1)).sigmoid()


def bco(u: UnpairedLogprobs, beta: float) -> Tensor:
    logits = beta * u.ratio - beta * u.ratio.mean().detach()
    return -logsigmoid(torch.where(u.liked, logits, -logits))


def outcomes(kind: type) -> dict[str, tuple[str, str]]:
    found = {name: run_check(CHECKS[name], kind) for name in NAMES}
    return {name: (outcome.status, outcome.reason) for name, outcome in found.items()}


@pytest.mark.parametrize("beta", [0.05, 1.0, 10.0])
@pytest.mark.parametrize("name", PAIRS)
def test_losses_on_pairs_pass(name: str, beta: float) -> None:
    def loss(self: Good, logprobs: PairLogprobs) -> Tensor:
        return PAIRS[name](logprobs, self.beta)

    kind = make_dataclass(
        "Method", [("beta", float, beta)], bases=(Good,), namespace={"loss": loss}, frozen=True
    )
    assert kind().beta == beta
    assert {status for status, _ in outcomes(kind).values()} == {"passes"}


def unpaired_method(loss: Unpaired) -> type[UnpairedLoss]:
    @dataclass(frozen=True)
    class Method(UnpairedLoss):
        def loss(self, logprobs: UnpairedLogprobs) -> Tensor:
            return loss(logprobs, self.beta)

    return Method


@pytest.mark.parametrize("loss", [kto, bco])
def test_losses_on_single_responses_pass(loss: Unpaired) -> None:
    assert {status for status, _ in outcomes(unpaired_method(loss)).values()} == {"passes"}


def test_a_loss_on_single_responses_with_the_wrong_sign_fails() -> None:
    def wrong(u: UnpairedLogprobs, beta: float) -> Tensor:
        return -logsigmoid(beta * u.ratio)

    status, reason = outcomes(unpaired_method(wrong))["first_step_raises_chosen"]
    assert (status, reason) == (
        "fails",
        "at the reference, a step does not lower a disliked response",
    )


@pytest.mark.parametrize("penalty", [1.5, 5.0, 50.0])
def test_an_inverted_penalty_fails_whatever_its_size(penalty: float) -> None:
    @dataclass(frozen=True)
    class Inverted(RewardsTheFall):
        penalty: NonNegative = 2.5

        def loss(self, logprobs: PairLogprobs) -> Tensor:
            return RewardsTheFall(penalty=penalty).loss(logprobs)

    status, reason = outcomes(Inverted)["first_step_raises_chosen"]
    assert status == "fails"
    assert reason.startswith("where both responses have become less likely")


def test_the_shape_that_was_returned_is_said() -> None:
    status, reason = outcomes(ReturnsTheMean)["one_loss_for_each_label"]
    assert status == "fails"
    assert "the shape []; it must be [5]" in reason
    assert outcomes(ReturnsTheMean)["losses_are_separate"][0] == "does not apply"


@dataclass(frozen=True)
class Detached(Good):
    """Its losses have no gradient."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        return super().loss(logprobs).detach()


@dataclass(frozen=True)
class ReturnsNumber(Good):
    """Its loss is a number."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        return float(super().loss(logprobs).mean())  # type: ignore[return-value]


def test_losses_need_a_gradient_and_to_be_a_tensor() -> None:
    assert "no gradient" in outcomes(Detached)["losses_are_separate"][1]
    assert "of type float" in outcomes(ReturnsNumber)["one_loss_for_each_label"][1]


def test_synthetic_log_probabilities_are_consistent() -> None:
    wanted = torch.tensor([-3.0, -0.5, 0.0, 0.5, 3.0])
    pairs, leaves = synthetic_pairs(wanted, -wanted)
    assert torch.allclose(pairs.chosen - pairs.reference_chosen, wanted, atol=1e-5)
    assert torch.allclose(pairs.rejected - pairs.reference_rejected, -wanted, atol=1e-5)
    assert pairs.chosen_tokens.mask.sum(1).tolist() == list(CHOSEN)
    for tokens in (pairs.chosen_tokens, pairs.rejected_tokens):
        for values in (tokens.policy, tokens.reference, tokens.collision):
            assert bool((values[tokens.mask] < 0).all())
            assert bool((values[~tokens.mask] == 0).all())
    pairs.chosen.sum().backward()
    assert torch.equal(leaves[0].grad, pairs.chosen_tokens.mask.float())
    unpaired, _ = synthetic_unpaired(wanted)
    assert torch.allclose(unpaired.ratio, wanted, atol=1e-5)
    assert unpaired.liked.tolist() == list(LIKED) and len(LIKED) == ROWS
