"""Offline methods against TRL's trainers: the losses of 20 steps, and the policy after them.

The differences are printed: `pytest -rP tests/unit/methods/test_against_trl.py | grep differ`.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import torch
from helpers.models import PROMPTS, weights
from helpers.offline import SHORT, SIZE, STEPS, text
from helpers.trl_oracle import fit_by_dpo_trainer, fit_by_kto_trainer

from methods.apo import APO
from methods.base import Context
from methods.bco import BCO
from methods.core.feedback import Label, Pair, Unpaired
from methods.core.training.pairwise import fit_pairs
from methods.core.training.trainer import Schedule
from methods.dpo import DPO
from methods.exo import EXO
from methods.ipo import IPO
from methods.kto import KTO
from methods.ld_dpo import LDDPO
from methods.nca import NCA
from methods.robust_dpo import RobustDPO
from methods.rpo import RPO
from methods.slic import SLiC
from methods.sppo import SPPO
from methods.toolkit.offline import PairLogprobs, PairLoss, UnpairedLogprobs
from methods.tr_dpo import TRDPO
from methods.wpo import WPO

MakeContext = Callable[..., Context]
# Warm-up included.
SETTINGS: dict[str, Any] = SHORT | {"beta": 0.5, "warmup": 0.2}
SCHEDULE = Schedule(SHORT["learning_rate"], STEPS * SIZE, SIZE, 0.2)
METHODS: dict[str, tuple[PairLoss, dict[str, Any]]] = {
    "dpo": (DPO(**SETTINGS), {}),
    "dpo, forward KL": (
        DPO(**SETTINGS, divergence="forward_kl"),
        {"f_divergence_type": "forward_kl"},
    ),
    "dpo, Jensen-Shannon": (
        DPO(**SETTINGS, divergence="js_divergence"),
        {"f_divergence_type": "js_divergence"},
    ),
    "dpo, alpha": (
        DPO(**SETTINGS, divergence="alpha_divergence", alpha=0.3),
        {"f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": 0.3},
    ),
    "ipo": (IPO(**SETTINGS), {"loss_type": ["ipo"]}),
    "slic": (SLiC(**SETTINGS), {"loss_type": ["hinge"]}),
    "apo, zero": (APO(**SETTINGS), {"loss_type": ["apo_zero"]}),
    "apo, down": (APO(**SETTINGS, variant="down"), {"loss_type": ["apo_down"]}),
    "robust_dpo": (
        RobustDPO(**SETTINGS, flip_rate=0.2),
        {"loss_type": ["robust"], "label_smoothing": 0.2},
    ),
    "exo": (
        EXO(**SETTINGS, label_smoothing=0.01),
        {"loss_type": ["exo_pair"], "label_smoothing": 0.01},
    ),
    "nca": (NCA(**SETTINGS), {"loss_type": ["nca_pair"]}),
    "sppo": (SPPO(**SETTINGS), {"loss_type": ["sppo_hard"]}),
    "ld_dpo": (LDDPO(**SETTINGS, alpha=0.3), {"ld_alpha": 0.3}),
    "wpo": (WPO(**SETTINGS), {"use_weighting": True}),
    "rpo": (
        RPO(**SETTINGS, nll_weight=0.4),
        {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.4]},
    ),
    "tr_dpo, soft": (
        TRDPO(**SETTINGS, alpha=0.6, update_every=3),
        {"sync_ref_model": True, "ref_model_mixup_alpha": 0.6, "ref_model_sync_steps": 3},
    ),
    "tr_dpo, hard": (
        TRDPO(**SETTINGS, alpha=1.0, update_every=7),
        {"sync_ref_model": True, "ref_model_mixup_alpha": 1.0, "ref_model_sync_steps": 7},
    ),
}


def some_pairs(chosen: int | None) -> list[Pair]:
    """Return pairs, some cut off, with this many tokens in each chosen response or any number."""
    random = Random(0)
    return [
        Pair(
            random.choice(PROMPTS),
            text(random, chosen or random.randint(1, 4)),
            text(random, random.randint(1, 4)),
        )
        for _ in range(200)
    ]


class Comparison:
    """Trains on the same labels twice, and compares every loss and the final weights."""

    def __init__(self, make_context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
        self.make_context = make_context
        monkeypatch.setattr("methods.core.training.pairwise.LOGGING_STEPS", 1)

    def __call__(
        self,
        name: str,
        labels: list[Label],
        ours: Callable[[Context], Any],
        theirs: Callable[[Context], Any],
    ) -> None:
        our_context, their_context = (self.make_context(labels=labels) for _ in range(2))
        trained, expected = weights(ours(our_context)), weights(theirs(their_context))
        start = weights(our_context.start())
        losses = [
            [point["loss"] for point in context.curves] for context in (our_context, their_context)
        ]
        assert [len(of) for of in losses] == [STEPS, STEPS]
        assert our_context.usage.train_tokens == their_context.usage.train_tokens > 0
        loss = max(abs(a - b) for a, b in zip(*losses, strict=True))
        difference, moved = largest(trained, expected), largest(trained, start)
        print(f"{name} differs: loss {loss:.1e}, weights {difference:.1e}, moved {moved:.1e}")
        assert loss < 1e-5
        assert difference < 1e-4 and moved > 100 * difference and moved > 5e-3


def largest(first: list[torch.Tensor], second: list[torch.Tensor]) -> float:
    """Return the largest difference of two weights."""
    return max(float((a - b).abs().max()) for a, b in zip(first, second, strict=True))


@pytest.fixture
def compare(make_context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> Comparison:
    return Comparison(make_context, monkeypatch)


@pytest.mark.parametrize("name", METHODS)
def test_a_loss_on_pairs_is_trls(name: str, compare: Comparison) -> None:
    method, options = METHODS[name]
    # TRL's likelihood is a mean over the tokens of a batch, ours over those of each response.
    labels = some_pairs(chosen=3 if name == "rpo" else None)
    options = {"loss_type": ["sigmoid"], "beta": method.beta} | options
    compare(
        name,
        labels,
        method.train,
        lambda context: fit_by_dpo_trainer(context, SCHEDULE, **options),
    )


def test_bco_without_shift_is_trls_bco_pair(compare: Comparison) -> None:
    method = BCO(**SETTINGS)

    def loss(pairs: PairLogprobs) -> torch.Tensor:
        liked = torch.ones_like(pairs.chosen, dtype=torch.bool)
        chosen = UnpairedLogprobs(pairs.chosen, pairs.reference_chosen, liked)
        rejected = UnpairedLogprobs(pairs.rejected, pairs.reference_rejected, ~liked)
        return method.loss(chosen) + method.loss(rejected)

    compare(
        "bco",
        some_pairs(chosen=None),
        lambda context: fit_pairs(context, loss, SCHEDULE),
        lambda context: fit_by_dpo_trainer(
            context, SCHEDULE, loss_type=["bco_pair"], beta=method.beta
        ),
    )


def test_kto_is_trls(compare: Comparison) -> None:
    random = Random(0)
    labels = [
        Unpaired(random.choice(PROMPTS), text(random, random.randint(1, 4)), random.random() < 0.6)
        for _ in range(200)
    ]
    method = KTO(**SETTINGS, desirable_weight=1.5, undesirable_weight=0.75)
    options = {"desirable_weight": 1.5, "undesirable_weight": 0.75}
    compare(
        "kto",
        labels,
        method.train,
        lambda context: fit_by_kto_trainer(context, SCHEDULE, beta=method.beta, **options),
    )
