"""The process that sends training curves to trackers. It is told on stdin which trainings run.

Trackers are those of accelerate. Points are counted, in files beside the logs, so that a training
that is resumed goes on in its log where it was.
"""

from __future__ import annotations

import contextvars
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TextIO

from bench.cache.files import write_json
from bench.errors import reason_of
from bench.execution.watching.tracking import Training
from methods.core.training.points import Point, read_points

# Seconds between two looks at what trainings have logged, and for what is left at the end.
EVERY, FINISHED_WITHIN = 1.0, 60


class Settings(NamedTuple):
    """What is known from the start.

    Attributes:
        trackers: Their names.
        project: What all trainings together are called.
        folder: For the logs that trackers keep in files.
    """

    trackers: list[str]
    project: str
    folder: str


class Log:
    """One training in one tracker.

    Args:
        tracker: The tracker's name.
        training: The training.
        settings: Where and how it is sent.
    """

    def __init__(self, tracker: str, training: Training, settings: Settings) -> None:
        self.tracker, self.training, self.settings = tracker, training, settings
        self._file = Path(settings.folder) / training.name / f"{tracker}.json"
        self._sent = self._sent_before()
        # Trackio knows one run in each context.
        self._context = contextvars.Context()
        self._opened: Any = None

    def send(self, points: Sequence[Point]) -> None:
        """Send the points that have not been sent, of all that there are."""
        new = points[self._sent :]
        if not new:
            return
        if self._opened is None:
            self._opened = self._context.run(self._open, int(new[0]["step"]))
        for point in new:
            values = {name: value for name, value in point.items() if name != "step"}
            self._context.run(self._opened.log, values, step=int(point["step"]))
        self._sent = len(points)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._file, {"key": self.training.key, "sent": self._sent})

    def finish(self) -> None:
        """Close the log."""
        if self._opened is not None:
            self._context.run(self._opened.finish)
            self._opened = None

    def _sent_before(self) -> int:
        try:
            before = json.loads(self._file.read_text(encoding="utf-8"))
            return int(before["sent"]) if before["key"] == self.training.key else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _open(self, first_step: int) -> Any:
        from accelerate import tracking

        training, folder = self.training, self.settings.folder
        tracker: Any
        if self.tracker == "tensorboard":
            # A training with other settings or code takes the place of the one before.
            purge = {} if self._sent else {"purge_step": first_step}
            tracker = tracking.TensorBoardTracker(training.name, folder, **purge)
        elif self.tracker == "wandb":
            tracker = tracking.WandBTracker(
                self.settings.project,
                name=training.name,
                id=training.id,
                config=training.about,
                dir=folder,
                resume="allow",
                # Several trainings run at once.
                reinit="create_new",
            )
        else:
            tracker = tracking.TrackioTracker(
                self.settings.project,
                name=training.name,
                config=training.about,
                resume="allow" if self._sent else "never",
                embed=False,
            )
        tracker.start()
        return tracker


class Sender:
    """Sends the curves of the trainings that run.

    Args:
        settings: Where and how they are sent.
        warn: Called with a line for each tracker that fails. It is not tried again.
    """

    def __init__(self, settings: Settings, warn: Callable[[str], object]) -> None:
        self.settings, self.warn = settings, warn
        self.trackers = list(settings.trackers)
        self._running: dict[str, tuple[Training, list[Log]]] = {}

    def start(self, training: Training) -> None:
        """Follow a training from now on."""
        logs = [Log(tracker, training, self.settings) for tracker in self.trackers]
        self._running.setdefault(training.name, (training, logs))

    def update(self) -> None:
        """Send what trainings have logged since the last time."""
        for training, logs in self._running.values():
            self._send(logs, read_points(Path(training.points)))

    def end(self, training: Training) -> None:
        """Send what is left of a training, and close its logs."""
        _, logs = self._running.pop(training.name, (training, []))
        try:
            points = json.loads(Path(training.curves).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # it failed
            points = read_points(Path(training.points))
        self._send(logs, points)
        self._try(logs, Log.finish)

    def stop(self) -> None:
        """End all that run."""
        for training, _ in list(self._running.values()):
            self.end(training)

    def _send(self, logs: list[Log], points: Sequence[Point]) -> None:
        self._try(logs, lambda log: log.send(points))

    def _try(self, logs: list[Log], action: Callable[[Log], None]) -> None:
        for log in logs:
            if log.tracker not in self.trackers:
                continue
            try:
                action(log)
            except Exception as problem:  # whatever a tracker raises
                self.trackers.remove(log.tracker)
                reason = f"{type(problem).__name__}: {reason_of(problem)}"
                self.warn(f"{log.tracker}: {reason}: training curves are no longer sent to it")


def main() -> None:
    """Send curves until stdin is closed."""
    # What trackers print is kept out of what is passed on.
    output = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    from accelerate import PartialState

    # accelerate's trackers ask it which process is the main one.
    PartialState(cpu=True)
    os.environ |= {"WANDB_SILENT": "true", "WANDB_CONSOLE": "off"}
    sender = Sender(Settings(**json.loads(sys.argv[1])), lambda line: print(line, file=output))
    messages: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin, messages), daemon=True).start()
    follow(sender, messages)


def follow(sender: Sender, messages: SimpleQueue[str]) -> None:
    """Do what the messages say, and send curves in between, until an empty message."""
    while True:
        try:
            message = messages.get(timeout=EVERY)
        except Empty:
            sender.update()
            continue
        if not message:
            break
        content = json.loads(message)
        training = Training(**content["training"])
        (sender.start if content["what"] == "start" else sender.end)(training)
    sender.stop()


def _read(stdin: TextIO, messages: SimpleQueue[str]) -> None:
    for line in stdin:
        messages.put(line)
    # A server that does not answer, now or since long ago, must not keep this process for ever.
    signal.alarm(FINISHED_WITHIN)
    messages.put("")


if __name__ == "__main__":
    main()
