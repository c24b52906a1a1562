"""DPO on the shuffled pairs of an online run: which pairs, what it learns, and what it counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from helpers.models import same, weights

from methods.base import Context
from methods.core.feedback import Pair
from methods.core.models.loading import Loading, Lora
from methods.dpo import DPO
from methods.shuffled_online_dpo import ShuffledOnlineDPO, ranked

MakeContext = Callable[..., Context]
METHOD = ShuffledOnlineDPO(
    episodes=384, batch_size=32, minibatches=2, epochs=2, beta=0.3, learning_rate=5e-3
)
# The same passes over as many pairs, in steps on as many.
SAME_DPO = DPO(examples=384, batch_size=8, beta=0.3, learning_rate=5e-3, warmup=0.0)


class Recorder:
    """A reward that keeps the pairs that it has labeled: the share of the letter a decides."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []

    def __call__(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        rewards = [response.split().count("a") / 3 for response in responses]
        for i in range(0, len(prompts), 2):
            assert prompts[i] == prompts[i + 1]
            better = i if rewards[i] >= rewards[i + 1] else i + 1
            worse = i + (i + 1) - better
            self.pairs.append(Pair(prompts[i], responses[better], responses[worse]))
        return rewards


def test_pairs_by_hand() -> None:
    found = ranked(["p", "q", "r"], ["a", "b", "c", "d", "e", "f"], [1.0, 2.0, 2.0, 1.0, 3.0, 3.0])
    assert found == [("p", "b", "a"), ("q", "c", "d"), ("r", "e", "f")]


@pytest.mark.parametrize("loading", [Loading(), Loading(lora=Lora(rank=2))])
def test_it_is_dpo_from_the_start_on_all_pairs_of_the_online_run(
    make_context: MakeContext, loading: Loading
) -> None:
    recorder = Recorder()
    context = make_context(reward=recorder, loading=loading, checkpoints=2)
    policy = METHOD.train(context)
    assert len(recorder.pairs) == 192

    online = make_context(reward=Recorder(), loading=loading)
    moved = METHOD.run(online).policy
    offline = make_context(labels=recorder.pairs, loading=loading, checkpoints=2)
    expected = SAME_DPO.train(offline)
    assert same(weights(policy), weights(expected))
    assert not same(weights(policy), weights(moved))
    assert context.curves == offline.curves
    kept = [folder / "checkpoints" for folder in (context.workdir, offline.workdir)]
    assert [f.name for f in sorted(kept[0].iterdir())] == ["1", "2"]
    for name in ("1/checkpoint.json", "2/checkpoint.json"):
        assert (kept[0] / name).read_text() == (kept[1] / name).read_text()

    # Both phases count.
    assert context.usage.responses_sampled == context.usage.reward_calls == 384
    for count in ("train_sequences", "train_tokens"):
        parts = getattr(online.usage, count), getattr(offline.usage, count)
        assert min(parts) > 0 and getattr(context.usage, count) == sum(parts)


def test_later_pairs_come_from_a_better_policy(make_context: MakeContext) -> None:
    """The data is that of an online run: a frozen policy's pairs would stay as they are."""
    recorder = Recorder()
    METHOD.train(make_context(reward=recorder))
    share = [(p.chosen + " " + p.rejected).split().count("a") / 6 for p in recorder.pairs]
    assert sum(share[-16:]) / 16 > sum(share[:16]) / 16 + 0.3
