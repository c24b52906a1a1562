"""Sending training curves to TensorBoard, Weights & Biases or Trackio while trainings run.

Another process sends them (`sending.py`): trackers print, wait for servers, start threads and use
random numbers, and nothing of that may reach a training.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from bench.execution.run import METRICS, Run
from bench.execution.scheduling.graph import Ended
from bench.execution.scheduling.job import Job
from bench.execution.training import CURVES_FILE
from bench.execution.watching.progress import harmlessly

# Seconds that the last points may take. What is not sent by then is sent after the command's end.
PATIENCE = 10.0
LONGEST_NAME = 200


class Training(NamedTuple):
    """A training whose curves are sent.

    Attributes:
        name: Task, method, params and seed, as the name of a folder.
        key: Trainings with the same key have the same curves.
        id: The run's key, which no other run has.
        points: The folder where it writes its points while it runs.
        curves: The file with all its points, once it has ended well.
        about: Task, method, params and seed.
    """

    name: str
    key: str
    id: str
    points: str
    curves: str
    about: dict[str, Any]

    @classmethod
    def of(cls, run: Run) -> Training:
        """Return the training of a run."""
        pipeline, params = run.pipeline, dict(run.params)
        words = [f"{name}={value}" for name, value in params.items()]
        name = "-".join([pipeline.name, run.name, *words, f"seed{pipeline.seed}"])
        curves = pipeline.store.folder(METRICS, run.key) / CURVES_FILE
        about = {"task": pipeline.name, "method": run.name, "seed": pipeline.seed, **params}
        return cls(
            re.sub(r"[^\w.=+-]+", "_", name)[-LONGEST_NAME:],
            run.train_key,
            run.key,
            str(run.training_folder),
            str(curves),
            about,
        )


class Tracking:
    """Lets another process send the curves of all trainings. What it cannot send is no failure.

    Args:
        trackers: Some of `bench.execution.watching.trackers.TRACKERS`.
        project: What all trainings together are called.
        folder: For the logs that trackers keep in files.
        console: Where it is said, once for each tracker, that it cannot be reached.
    """

    def __init__(
        self, trackers: Sequence[str], project: str, folder: Path, console: Console
    ) -> None:
        self.console = console
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "trackers": [*dict.fromkeys(trackers)],
            "project": project,
            "folder": str(folder),
        }
        with (folder / "trackers.log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.execution.watching.sending", json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # It needs no GPU, and Ctrl-C is for the process that started it.
                env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
                start_new_session=True,
            )
        self._thread = threading.Thread(target=self._pass_on, name="tracking", daemon=True)
        self._thread.start()

    def start(self, job: Job) -> None:
        """Send what a training logs from now on."""
        if isinstance(job.argument, Run):
            self._tell("start", job.argument)

    def end(self, ended: Ended) -> None:
        """Send what is left of a training's curves."""
        if isinstance(ended.job.argument, Run) and not ended.outcome.skipped:
            self._tell("end", ended.job.argument)

    def stop(self) -> None:
        """Wait until all is sent, but not long."""
        assert self._process.stdin is not None
        harmlessly(self._process.stdin.close)
        harmlessly(lambda: self._process.wait(PATIENCE))
        self._thread.join(1.0)

    def _tell(self, what: str, run: Run) -> None:
        message = {"what": what, "training": Training.of(run)._asdict()}
        assert self._process.stdin is not None
        stdin = self._process.stdin
        harmlessly(lambda: stdin.write(json.dumps(message, default=str) + "\n"))
        harmlessly(stdin.flush)

    def _pass_on(self) -> None:
        """Print what the other process says."""
        for line in self._process.stdout or ():
            harmlessly(partial(self.console.print, line.rstrip(), style="yellow", markup=False))
