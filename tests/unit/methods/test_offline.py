"""Offline methods minimize the losses of their papers."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from random import Random
from statistics import mean
from typing import Any

import pytest
import torch
from helpers.models import PROMPTS, weights
from torch.nn.functional import logsigmoid

from methods.apo import APO
from methods.base import Context, Method
from methods.bco import BCO, RewardShift, classifier_loss
from methods.cdpo import CDPO
from methods.core.feedback import Pair, Unpaired
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import make_batch, token_logprobs
from methods.core.models.text import encode_prompts, encode_responses
from methods.core.training.pairwise import PLAIN, PairLogprobs, UnpairedLogprobs, fit_pairs
from methods.core.training.trainer import Schedule
from methods.core.trl.experimental import experimental
from methods.core.trl.kto import UnpairedCollator, passes, unpaired_rows
from methods.core.trl.pair_rows import token_rows
from methods.core.trl.reference_free import TokenCollator
from methods.dpo import DPO
from methods.filtered_sft import FilteredSFT
from methods.ipo import IPO
from methods.kto import KTO
from methods.orpo import ORPO
from methods.robust_dpo import RobustDPO
from methods.simpo import SimPO
from methods.slic import SLiC

MakeContext = Callable[..., Context]
STEPS, SIZE = 20, 16
SHORT: dict[str, Any] = {"learning_rate": 1e-3, "examples": STEPS * SIZE, "batch_size": SIZE}


def text(random: Random, tokens: int) -> str:
    """Return a response of this many tokens, cut off or ended."""
    words = random.choices("abcd", k=tokens - 1)
    return " ".join([*words, random.choice(["</answer>", "d"])])


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


def test_binary_classifier_by_hand() -> None:
    shift = RewardShift()
    first = shift.update(torch.tensor([2.0, 1.0, -1.0]), torch.tensor([True, True, False]))
    assert float(first) == pytest.approx((1.5 - 1.0) / 2)
    second = shift.update(torch.tensor([-2.0], requires_grad=True), torch.tensor([False]))
    assert float(second) == pytest.approx((1.5 - 1.5) / 2) and not second.requires_grad
    losses = classifier_loss(
        torch.tensor([2.0, 2.0]), torch.tensor([True, False]), torch.tensor(0.5)
    )
    # log(1 + e^-1.5) where liked, log(1 + e^1.5) where not.
    assert losses.tolist() == pytest.approx([0.2014133, 1.7014133])


def test_binary_classifier_trains_on_its_loss(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """beta and the batch's own shift enter; nothing is left over from an earlier training."""
    seen: list[Callable[[UnpairedLogprobs], torch.Tensor]] = []
    monkeypatch.setattr(
        "methods.bco.fit_unpaired", lambda context, loss, schedule: seen.append(loss)
    )
    method, context = BCO(beta=0.5), make_context()
    method.train(context)
    method.train(context)
    batch = UnpairedLogprobs(
        torch.tensor([-1.0, -3.0]), torch.tensor([-3.0, -1.0]), torch.tensor([True, False])
    )
    unbalanced = UnpairedLogprobs(torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([True]))
    # Rewards 1 and -1, shift 0: log(1 + e^-1). Alone, 0.5 with shift 0.25: log(1 + e^-0.25).
    assert seen[0](batch).tolist() == pytest.approx([0.3132617, 0.3132617])
    assert seen[1](unbalanced).tolist() == pytest.approx([0.5759394])


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


def logprobs_of(model: Any, tokenizer: Any, prompts: Any, responses: Any) -> torch.Tensor:
    asked, given = encode_prompts(tokenizer, prompts), encode_responses(tokenizer, responses)
    return token_logprobs(model, make_batch(asked, given, 0, "cpu"), PLAIN).sum(1)


def test_kto_is_the_papers(make_context: MakeContext, reference: ModelPolicy) -> None:
    """Weights after 20 steps are those of a plain loop over the formula, by batches of 16."""
    random = Random(0)
    unpaired = [
        Unpaired(random.choice(PROMPTS), text(random, random.randint(1, 3)), random.random() < 0.6)
        for _ in range(100)
    ]
    method = KTO(
        beta=0.5, desirable_weight=1.5, undesirable_weight=0.75, warmup=0.0, **SHORT
    )  # fmt: skip
    context = make_context(labels=unpaired)
    trained = method.train(context)
    model, tokenizer = context.start().model, reference.tokenizer
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    order, losses = passes(unpaired, STEPS * SIZE, context.seed), []
    for step in range(STEPS):
        batch = order[step * SIZE : (step + 1) * SIZE]
        prompts, responses = [t.prompt for t in batch], [t.completion for t in batch]
        liked = torch.tensor([t.label for t in batch])
        others = [responses[-1], *responses[:-1]]
        with torch.no_grad():
            kl = (
                logprobs_of(model, tokenizer, prompts, others)
                - logprobs_of(reference.model, tokenizer, prompts, others)
            ).mean().clamp(min=0)  # fmt: skip
            start = logprobs_of(reference.model, tokenizer, prompts, responses)
        above = 0.5 * (logprobs_of(model, tokenizer, prompts, responses) - start - kl)
        losses_of = (1.5 * (1 - above.sigmoid()), 0.75 * (1 - (-above).sigmoid()))
        loss = torch.where(liked, *losses_of).mean()
        losses.append(float(loss))
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / STEPS)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert isinstance(trained, ModelPolicy)
    for a, b in zip(weights(trained), model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-4)
    shown = [point["loss"] for point in context.curves]
    assert shown == pytest.approx([mean(losses[:10]), mean(losses[10:])], abs=1e-4)


def test_unpaired_labels_come_in_another_order_with_another_seed() -> None:
    unpaired = [Unpaired("a", str(i), True) for i in range(10)]
    first = passes(unpaired, 25, 0)
    assert sorted(first[:10]) == sorted(first[10:20]) == unpaired
    assert first[:10] != first[10:20] and first == passes(unpaired, 25, 0) != passes(
        unpaired, 25, 1
    )


def test_a_response_that_was_cut_off_has_no_end(reference: ModelPolicy) -> None:
    tokenizer = reference.tokenizer
    end = tokenizer.eos_token_id
    # What the trainer itself makes of the text: an end everywhere.
    theirs = {"chosen_input_ids": [3, 6, 7, end], "completion_ids": [6, 7, end]}
    pairs = token_rows(tokenizer, [Pair("a", "a b c", "c b </answer>")])
    batch = TokenCollator(tokenizer.pad_token_id)([row | theirs for row in pairs])
    assert (batch["chosen_input_ids"] == end).sum() == 0
    assert (batch["rejected_input_ids"] == end).sum() == 1
    assert (batch["chosen_labels"] != -100).sum() == (batch["rejected_labels"] != -100).sum() == 3
    unpaired = [Unpaired("a", "a b c", True), Unpaired("b", "c </answer>", False)]
    rows = [row | theirs for row in unpaired_rows(tokenizer, unpaired, 2)]
    batch = UnpairedCollator(tokenizer.pad_token_id)(rows)
    assert (batch["input_ids"] == end).sum(1).tolist() == [0, 1]
    assert (batch["KL_input_ids"] == end).sum(1).tolist() == [1, 0]
    assert batch["completion_mask"].sum(1).tolist() == [3, 2]
    assert batch["KL_completion_mask"].sum(1).tolist() == [2, 3]


def test_a_trl_without_the_trainer_says_so(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trl.experimental.cpo", None)
    with pytest.raises(
        ImportError,
        match=r"^this method needs trl\.experimental\.cpo, which TRL [\d.]+ does not have$",
    ):
        replace(SimPO(), examples=32).train(make_context())


def test_an_experimental_trainer_comes_without_its_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "trl.experimental", raising=False)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        assert experimental("utils").DPODataCollatorWithPadding
    assert [str(w.message) for w in shown if "experimental" in str(w.message)] == []
