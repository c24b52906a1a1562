"""What workers are given to do: they import it by name, so it stands in a module of its own."""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.execution.scheduling.graph import Ended, Graph
from bench.execution.scheduling.job import Executor, Job, Outcome
from bench.execution.scheduling.scheduler import run_jobs

# Seconds that something may take which happens in moments where nothing else runs.
PATIENCE = 300.0


def job(
    name: str,
    work: Callable[[Any], object],
    argument: object = None,
    *,
    needs: Sequence[str] = (),
    **fields: Any,
) -> Job:
    """Return a job that makes one artifact, named as the job is."""
    return Job((name,), work, argument, tuple(needs), label=name, **fields)


def run(executor: Executor, *jobs: Job) -> dict[str, Outcome]:
    """Return how each job ended, by name, in the order in which they ended."""
    events = run_jobs(Graph(jobs), executor)
    return {event.job.name: event.outcome for event in events if isinstance(event, Ended)}


def nothing(_: object) -> None:
    """Do nothing."""


class Unloadable:
    """An argument that a worker cannot load."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return _unload, ("gone",)


def _unload(text: str) -> None:
    raise ImportError(text)


def fail(text: str) -> None:
    raise ValueError(text)


def exit_with(code: int) -> None:
    # Others are at work by then.
    time.sleep(0.3)
    os._exit(code)


def kill_itself(signal: int) -> None:
    os.kill(os.getpid(), signal)


def die_once(folder: Path) -> None:
    """End the process at the first call, and note how many processes are at work at the second."""
    if not (folder / "died").exists():
        (folder / "died").touch()
        os._exit(9)
    (folder / "alone").write_text(str(len(list(folder.glob("at-work-*")))))


def be_at_work(place: tuple[Path, float]) -> None:
    """Leave a mark in a folder for some seconds."""
    folder, seconds = place
    mark = folder / f"at-work-{os.getpid()}"
    mark.touch()
    time.sleep(seconds)
    mark.unlink()


def run_out_of_memory(_: object) -> None:
    raise MemoryError


def rest(seconds: float) -> None:
    time.sleep(seconds)


def touch(file: Path) -> None:
    file.touch()


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not file.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(file.name)
        time.sleep(0.02)


def change_torch(_: object) -> None:
    """Do to a library what no plug-in should."""
    import torch

    torch.nn.functional.logsigmoid = torch.abs  # type: ignore[assignment]


def check_torch(_: object) -> None:
    import torch

    loss = float(torch.nn.functional.logsigmoid(torch.zeros(1)))
    assert math.isclose(loss, -math.log(2), rel_tol=1e-5), loss


def have_a_child(file: Path) -> None:
    """Start a process as libraries do, leave its number, and wait for it."""
    child = multiprocessing.get_context("fork").Process(target=rest, args=(600,))
    child.start()
    partial = file.with_name("partial")
    partial.write_text(str(child.pid))
    partial.rename(file)
    child.join()


def note_process(folder: Path) -> None:
    """Leave the number of the process that does a job, and the GPUs that it sees."""
    (folder / str(os.getpid())).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""))


def hold_gpu(place: tuple[Path, str]) -> None:
    """Count on a GPU how many jobs are on it at once, and leave the count."""
    folder, name = place
    gpu = os.environ["CUDA_VISIBLE_DEVICES"]
    mark = folder / f"gpu-{gpu}-{name}"
    mark.touch()
    time.sleep(0.3)
    (folder / f"count-{name}").write_text(f"{gpu} {len(list(folder.glob(f'gpu-{gpu}-*')))}")
    mark.unlink()


def meet(place: tuple[Path, str, int]) -> None:
    """Wait until so many jobs are at work at once, and leave which GPU this one sees."""
    folder, name, count = place
    (folder / f"met-{name}").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    deadline = time.monotonic() + PATIENCE
    while len(list(folder.glob("met-*"))) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{count} jobs were never at work at once")
        time.sleep(0.05)


def leave_environment(file: Path) -> None:
    """Leave the process's environment variables in a file."""
    file.write_text("\n".join(f"{name}={value}" for name, value in os.environ.items()))
