"""Every kind of feedback, against the sampling that it should follow, and TRL's trainers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from conftest import PROMPTS

from bench.pipeline.embedded import EmbeddedPipeline
from bench.pipeline.feedback import Asked, choose, compare, rank, unpaired
from bench.pipeline.reward_model import choice_loss, train_reward_model
from bench.cache.store import Store
from bench.tasks.base import Annotator, FeedbackFormat, RewardTraining
from bench.tasks.exact import Exact
from methods.core.training.context import Context
from methods.core.feedback import Choice, Pair, Ranking, Unpaired, derive
from methods.core.training.pairwise import PairLogprobs, fit_pairs
from methods.core.models.policy import ModelPolicy
from methods.core.training.trainer import Schedule, trainer_arguments
from methods.dpo import DPO

GOLD = (1.0, 0.0, -0.5)
DRAWS = 20_000


def softmax(values: tuple[float, ...]) -> np.ndarray:
    weights = np.exp(values)
    return weights / weights.sum()


def test_a_choice_among_several_is_a_softmax() -> None:
    random = Random(0)
    chosen = Counter(choose(Annotator(), GOLD, random) for _ in range(DRAWS))
    shares = [chosen[i] / DRAWS for i in range(3)]
    assert shares == pytest.approx(softmax(GOLD), abs=0.012)


def test_a_flip_takes_one_of_the_others() -> None:
    annotator = Annotator(temperature=0.01, flip_rate=0.3)
    random = Random(0)
    chosen = Counter(choose(annotator, GOLD, random) for _ in range(DRAWS))
    assert [chosen[i] / DRAWS for i in range(3)] == pytest.approx([0.7, 0.15, 0.15], abs=0.012)


def test_a_ranking_is_plackett_luce() -> None:
    random = Random(0)
    orders = Counter(tuple(rank(Annotator(), GOLD, 2, random)) for _ in range(DRAWS))
    p = softmax(GOLD)
    for order in [(0, 1, 2), (2, 1, 0), (1, 0, 2)]:
        first, second, _ = order
        expected = p[first] * p[second] / (1 - p[first])
        assert orders[order] / DRAWS == pytest.approx(expected, abs=0.012)


def test_pairs_from_rankings_and_choices_follow_bradley_terry() -> None:
    questions = [Asked("a", ("x", "y", "z"), GOLD)] * DRAWS
    for kind in ("rankings", "choices"):
        answers = compare(questions, FeedbackFormat(kind, 3), Annotator(), Random(0))
        pairs = Counter((pair.chosen, pair.rejected) for pair in derive(answers, "pairs"))
        won, lost = pairs["x", "y"], pairs["y", "x"]
        assert won / (won + lost) == pytest.approx(1 / (1 + math.exp(-1.0)), abs=0.015)


def test_thumbs_go_up_against_the_mean() -> None:
    questions = [Asked("a", ("x",), (0.5,)), Asked("a", ("y",), (-0.5,))] * DRAWS
    given = unpaired(questions, Annotator(temperature=2.0), Random(0))
    ups = sum(unpaired.up for unpaired in given if unpaired.response == "x") / DRAWS
    assert ups == pytest.approx(1 / (1 + math.exp(-0.25)), abs=0.012)


def test_what_is_derived() -> None:
    ranking = Ranking("a", ("x", "y", "z"))
    assert derive([ranking], "pairs") == [
        Pair("a", "x", "y"),
        Pair("a", "x", "z"),
        Pair("a", "y", "z"),
    ]
    assert derive([ranking], "choices") == [Choice("a", "x", ("y", "z")), Choice("a", "y", ("z",))]
    assert derive([Choice("a", "x", ("y", "z"))], "pairs") == [
        Pair("a", "x", "y"),
        Pair("a", "x", "z"),
    ]
    assert derive([Pair("a", "x", "y")], "choices") == [Choice("a", "x", ("y",))]


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        (Pair("a", "x", "y"), "unpaired"),
        (Unpaired("a", "x", True), "pairs"),
        (Choice("a", "x", ("y", "z")), "rankings"),
    ],
)
def test_what_is_not_derived(label: Pair, kind: str) -> None:
    with pytest.raises(ValueError, match="cannot be derived"):
        derive([label], kind)


@pytest.mark.parametrize(
    ("feedback_format", "given"),
    [
        (FeedbackFormat(), {"pairs": 60, "choices": 60, "unpaired": 60}),
        (FeedbackFormat("choices", 4), {"pairs": 180, "choices": 60, "unpaired": 60}),
        (FeedbackFormat("rankings", 4), {"pairs": 120, "choices": 60, "rankings": 20, "unpaired": 60}),
    ],
)
def test_all_kinds_cost_the_same_judgements(
    tiny_exact: Exact, tmp_path: Path, feedback_format: FeedbackFormat, given: dict[str, int]
) -> None:
    from dataclasses import replace

    task = replace(tiny_exact, labels=60, feedback_format=question)
    pipeline = EmbeddedPipeline(task, 0, "cpu", Store(tmp_path))
    pipeline.prepare()
    for kind, count in given.items():
        assert len(pipeline.feedback(kind)) == count
        assert pipeline.labels(kind) == 60


def test_choices_of_one_among_two_are_bradley_terry() -> None:
    scores = torch.tensor([[1.0, -2.0], [0.5, 0.7]])
    plain = -torch.nn.functional.logsigmoid(scores[:, 0] - scores[:, 1]).mean()
    assert torch.allclose(choice_loss(scores, 0.0), plain)
    missing = torch.cat([scores, torch.full((2, 1), -torch.inf)], dim=1)
    assert torch.allclose(choice_loss(missing), choice_loss(scores))


def test_reward_model_of_pairs_is_that_of_trl(sft_folder: Path, tmp_path: Path) -> None:
    """Same scores after 12 steps as TRL's RewardTrainer, and so the same loss on the way."""
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    from bench.pipeline.reward_model import CENTER, new_reward_model

    random = Random(0)
    texts = [" ".join(random.choices("abcd", k=random.randint(1, 3))) for _ in range(192)]
    choices = [
        Choice(random.choice(PROMPTS), f"{a} </answer>", (b,))
        for a, b in zip(texts[::2], texts[1::2], strict=True)
    ]
    ours = train_reward_model(
        sft_folder,
        choices,
        RewardTraining(2, 16, 1e-3),
        device="cpu",
        seed=0,
        workdir=tmp_path,
    )
    model, tokenizer = new_reward_model(sft_folder, 0), ours.tokenizer
    start = [p.detach().clone() for p in model.parameters()]

    def tokens(prompt: str, response: str) -> list[int]:
        from methods.core.models.text import encode_prompts, encode_responses

        return encode_prompts(tokenizer, [prompt])[0] + encode_responses(tokenizer, [response])[0]

    rows = [
        {"chosen_ids": tokens(c.prompt, c.chosen), "rejected_ids": tokens(c.prompt, c.rejected[0])}
        for c in choices
    ]
    arguments = RewardConfig(
        **trainer_arguments(model, "cpu", 0, tmp_path),
        num_train_epochs=2,
        per_device_train_batch_size=16,
        learning_rate=1e-3,
        warmup_steps=20,
        center_rewards_coefficient=CENTER,
        max_length=None,
        logging_strategy="no",
    )
    RewardTrainer(
        model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    ).train()
    for before, mine, theirs in zip(
        start, ours.model.parameters(), model.parameters(), strict=True
    ):
        assert torch.allclose(mine, theirs, atol=1e-5)
        assert not torch.allclose(mine, before, atol=1e-5)


def dpo_loss(logprobs: PairLogprobs) -> torch.Tensor:
    return -torch.nn.functional.logsigmoid(0.5 * logprobs.margin)


def test_fit_pairs_with_dpos_loss_is_trls_dpo(
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
    asked, chosen = [p.prompt for p in pairs], [p.chosen for p in pairs]
    start = reference.logprobs(asked, chosen, ours.sampling)
    assert by_fit.logprobs(asked, chosen, ours.sampling) != pytest.approx(start, abs=0.1)
    assert ours.usage.train_tokens == theirs.usage.train_tokens
