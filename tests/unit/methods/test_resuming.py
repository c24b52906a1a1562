"""Every online method resumes after a kill and ends where a training in one go ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.harm import noise
from helpers.models import same, weights
from helpers.online import METHODS, starts_with_a

from methods.base import Context
from methods.core.training.context import CHECKPOINTS
from methods.core.training.progress import folder_checksum

MakeContext = Callable[..., Context]
EPISODES = 1024


class Killed(Exception):
    """Stands for the kill signal."""


class DyingReward:
    """A reward that stops the program once it has rewarded so many responses."""

    def __init__(self, last: float) -> None:
        self.last, self.count = last, 0

    def __call__(self, prompts: object, responses: list[str]) -> list[float]:
        if self.count + len(responses) > self.last:
            raise Killed
        self.count += len(responses)
        return starts_with_a(prompts, responses)


def untimed(curves: list[dict[str, float]]) -> list[dict[str, float]]:
    """Return the curves without what the clock says."""
    return [{n: v for n, v in point.items() if not n.endswith("_seconds")} for point in curves]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "best_of_n_distilled"])
def test_resumed_equals_uninterrupted(make_context: MakeContext, tmp_path: Path, name: str) -> None:
    changes = {"examples": 256} if name == "expert_iteration" else {}
    method = replace(METHODS[name], **{"episodes": EPISODES, **changes})  # type: ignore[arg-type]
    whole = make_context(reward=starts_with_a)
    expected = weights(method.train(whole))

    workdir = tmp_path / "resumed"
    workdir.mkdir()
    with pytest.raises(Killed):
        method.train(make_context(reward=DyingReward(0.8 * EPISODES), workdir=workdir))
    rest = DyingReward(EPISODES)
    again = make_context(reward=rest, workdir=workdir)
    assert same(expected, weights(method.train(again)))
    assert untimed(again.curves) == untimed(whole.curves)
    assert again.usage.reward_calls == whole.usage.reward_calls
    assert again.usage.train_tokens == whole.usage.train_tokens
    assert rest.count < 0.7 * whole.usage.reward_calls, "it started again instead"


@pytest.mark.parametrize("name", ["remax", "rloo"])
@pytest.mark.parametrize("what", ["progress-*.pt", "check*/**/*.safetensors"])
def test_a_training_starts_anew_where_what_it_saved_is_damaged(
    make_context: MakeContext,
    tmp_path: Path,
    name: str,
    what: str,
) -> None:
    method = replace(METHODS[name], episodes=EPISODES)  # type: ignore[call-arg]
    whole = make_context(reward=starts_with_a, checkpoints=2)
    expected = weights(method.train(whole))

    workdir = tmp_path / "damaged"
    workdir.mkdir()
    with pytest.raises(Killed):
        method.train(
            make_context(reward=DyingReward(0.8 * EPISODES), workdir=workdir, checkpoints=2)
        )
    harmed = list(workdir.glob(what))
    assert harmed
    for file in harmed:
        noise(file)
    again = make_context(reward=starts_with_a, workdir=workdir, checkpoints=2)
    assert same(expected, weights(method.train(again)))
    assert untimed(again.curves) == untimed(whole.curves)
    assert again.usage.reward_calls == whole.usage.reward_calls
    for folder in (whole.workdir / CHECKPOINTS).iterdir():
        assert folder_checksum(folder) == folder_checksum(workdir / CHECKPOINTS / folder.name)


def test_distillation_keeps_what_it_sampled(
    make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = replace(METHODS["best_of_n_distilled"], examples=256, episodes=EPISODES)  # type: ignore[call-arg]
    expected = weights(method.train(make_context(reward=starts_with_a)))

    workdir = tmp_path / "resumed"
    workdir.mkdir()

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("methods.toolkit.imitation.train_on_responses", killed)
        method.train(make_context(reward=starts_with_a, workdir=workdir))
    never = DyingReward(0)
    assert same(expected, weights(method.train(make_context(reward=never, workdir=workdir))))
