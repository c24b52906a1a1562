"""Sending training curves: TensorBoard reads back what was logged, each point once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from queue import SimpleQueue

import pytest
from helpers.tensorboard import scalars

from bench.errors import UserError
from bench.execution.watching.sending import (
    FINISHED_WITHIN,
    Sender,
    Settings,
    _read,
    follow,
)
from bench.execution.watching.trackers import check_trackers
from bench.execution.watching.tracking import Training
from methods.core.training.points import Point, write_points


@pytest.fixture(autouse=True)
def main_process() -> Iterator[None]:
    from accelerate import PartialState

    PartialState(cpu=True)
    yield
    PartialState._reset_state()


@pytest.fixture
def sender_to(tmp_path: Path) -> Callable[..., Sender]:
    def make(*trackers: str, warn: Callable[[str], object] = pytest.fail) -> Sender:
        return Sender(Settings([*trackers], "tiny", str(tmp_path / "logs")), warn)

    return make


def training_in(folder: Path, name: str = "ppo", key: str = "a1") -> Training:
    work = folder / f"work-{name}"
    work.mkdir(exist_ok=True)
    return Training(name, key, key, str(work), str(folder / f"{name}.json"), {"seed": 0})


def log(training: Training, *losses: float) -> list[Point]:
    """Let a training have logged so many points."""
    points: list[Point] = [
        {"step": 16 * number, "loss": loss, "kl": loss / 2} for number, loss in enumerate(losses, 1)
    ]
    write_points(Path(training.points), points)
    return points


def losses_in(folder: Path) -> dict[int, float]:
    found = scalars(folder / "logs")
    return {step: value for (_, metric, step), value in found.items() if metric == "loss"}


def test_points_are_sent_as_they_come_and_the_rest_at_the_end(
    tmp_path: Path, sender_to: Callable[..., Sender]
) -> None:
    sender, ppo, dpo = sender_to("tensorboard"), training_in(tmp_path), training_in(tmp_path, "dpo")
    sender.start(ppo)
    sender.start(dpo)
    log(ppo, 4.0, 3.0)
    log(dpo, 9.0)
    sender.update()
    early = scalars(tmp_path / "logs")
    assert early["ppo", "loss", 32] == 3.0 and early["dpo", "kl", 16] == 4.5 and len(early) == 6
    # The artifact has them all; the working folder is gone.
    Path(ppo.curves).write_text(json.dumps(log(ppo, 4.0, 3.0, 2.0)))
    write_points(Path(ppo.points), [])
    sender.end(ppo)
    sender.stop()
    late = scalars(tmp_path / "logs")
    assert late.items() >= early.items() and late["ppo", "kl", 48] == 1.0 and len(late) == 8


def test_a_training_that_is_resumed_goes_on_in_its_log(
    tmp_path: Path, sender_to: Callable[..., Sender]
) -> None:
    training = training_in(tmp_path)
    for losses in ((4.0, 3.0, 2.0), (4.0, 3.0), (4.0, 3.0, 2.0, 1.0)):
        sender = sender_to("tensorboard")
        sender.start(training)
        log(training, *losses)
        sender.update()
        sender.stop()
    assert losses_in(tmp_path) == {16: 4.0, 32: 3.0, 48: 2.0, 64: 1.0}


def test_a_training_with_other_settings_takes_the_place_of_the_one_before(
    tmp_path: Path, sender_to: Callable[..., Sender]
) -> None:
    for key, losses in (("a1", (4.0, 3.0, 2.0)), ("b2", (5.0, 6.0))):
        sender, training = sender_to("tensorboard"), training_in(tmp_path, key=key)
        sender.start(training)
        log(training, *losses)
        sender.stop()
    assert losses_in(tmp_path) == {16: 5.0, 32: 6.0}


def test_a_tracker_that_fails_is_warned_of_once_and_others_go_on(
    tmp_path: Path, sender_to: Callable[..., Sender], monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    # Without a server, it fails as it does when it is not installed: by an exception.
    monkeypatch.setitem(sys.modules, "wandb", None)
    sender = sender_to("wandb", "tensorboard", warn=warnings.append)
    for name in ("ppo", "dpo"):
        training = training_in(tmp_path, name)
        sender.start(training)
        log(training, 1.0)
        sender.update()
    sender.stop()
    assert len(warnings) == 1 and warnings[0].startswith("wandb: ModuleNotFoundError: ")
    assert {name for name, _, _ in scalars(tmp_path / "logs")} == {"ppo", "dpo"}


def test_messages_are_followed_until_the_empty_one(
    tmp_path: Path, sender_to: Callable[..., Sender]
) -> None:
    messages: SimpleQueue[str] = SimpleQueue()
    training = training_in(tmp_path)
    log(training, 2.0)
    for message in ("start", "end"):
        messages.put(json.dumps({"what": message, "training": training._asdict()}))
    messages.put("")
    follow(sender_to("tensorboard"), messages)
    assert losses_in(tmp_path) == {16: 2.0}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["tensorboard"], ""),
        (["aim"], "unknown 'aim'; allowed: tensorboard, wandb, trackio"),
        (["tensorboard", "trackio"], "trackio is not installed: pip install trackio"),
    ],
)
def test_trackers_are_checked_beforehand(
    names: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.util import find_spec

    monkeypatch.setattr(
        "bench.execution.watching.trackers.find_spec",
        lambda name: None if name == "trackio" else find_spec(name),
    )
    if not message:
        check_trackers(names)
        return
    with pytest.raises(UserError, match=message):
        check_trackers(names)


def test_time_is_limited_from_the_end_of_the_messages_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """By then, a tracker may have been waiting for its server for ever."""
    limits: list[int] = []
    monkeypatch.setattr("signal.alarm", limits.append)
    messages: SimpleQueue[str] = SimpleQueue()
    _read(StringIO("first\nsecond\n"), messages)
    assert [messages.get() for _ in range(3)] == ["first\n", "second\n", ""]
    assert limits == [FINISHED_WITHIN]
