"""A job as it travels to another machine, and doing it there, if that machine has the same code."""

from __future__ import annotations

import os
import pickle
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.cache.code import code_digest
from bench.cache.keys import library_versions
from bench.execution.executors.process import prepare_process
from bench.execution.executors.sources import modules_in
from bench.execution.executors.worker import KEEP_MEMORY, perform_pickled
from bench.execution.scheduling.job import Job, Outcome

# Environment variables that other machines need. None of them is a secret: clusters show them.
TRAVELING = (
    "PREFRONTIER_CACHE",
    "PYTHONPATH",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "HF_HUB_CACHE",
    "HF_ENDPOINT",
)
# Seconds after which a shared folder shows what another machine has just written to it.
DELAYS = (0.0, 1.0, 3.0, 6.0)


@dataclass(frozen=True)
class Order:
    """A job that is sent somewhere.

    Attributes:
        pickled: The job.
        modules: Modules that it is made of, as far as no library's version says what they are.
        code: Their digest here.
        libraries: Versions of the libraries here.
        threads: Threads of its arithmetic.
        gpu_share: What share of its GPU's memory it may take.
    """

    pickled: bytes
    modules: tuple[str, ...]
    code: str
    libraries: dict[str, str]
    threads: int = 1
    gpu_share: float = 1.0

    @classmethod
    def of(cls, job: Job, threads: int, gpu_share: float = 1.0) -> Order:
        """Return the order of a job."""
        pickled = pickle.dumps(job)
        modules = modules_in(pickled)
        code = code_digest(*modules)
        return cls(pickled, modules, code, library_versions(), threads, gpu_share)


def do_order(order: Order) -> Outcome:
    """Do a job in the process at hand, unless it has other code than the one that ordered it."""
    prepare_process(order.threads)
    if difference := _difference(order):
        return Outcome("failed", difference)
    _limit_gpu(order.gpu_share)
    return perform_pickled(order.pickled)


def confirmed(job: Job, outcome: Outcome, is_made: Callable[[Job], bool]) -> Outcome:
    """Return how a job ended; failed if what it made elsewhere cannot be seen from here.

    Args:
        job: The job.
        outcome: As its process says.
        is_made: Whether what a job makes is in the cache.
    """
    if outcome.status != "ok":
        return outcome
    for seconds in DELAYS:
        time.sleep(seconds)
        if is_made(job):
            return outcome
    root = job.store.root if job.store else "the cache"
    error = f"{root}: lacks {job.name}, which was made elsewhere: all machines must share the cache"
    return outcome._replace(status="failed", error=error)


def traveling_environment() -> dict[str, str]:
    """Return the environment variables that workers on other machines need."""
    return KEEP_MEMORY | {name: os.environ[name] for name in TRAVELING if name in os.environ}


def _difference(order: Order) -> str:
    """Return how this machine's code differs from what the order was made with; "" if it does not.

    A job brings its keys along: with other code, it would put other results under them.
    """
    node, here = platform.node(), library_versions()
    for name, wanted in order.libraries.items():
        if here[name] != wanted:
            return f"{node}: has {name} {here[name]}, not {wanted} as where the command was started"
    try:
        same = code_digest(*order.modules) == order.code
    except ModuleNotFoundError as problem:
        return f"{node}: lacks the module {problem.name or problem}"
    return "" if same else f"{node}: its code differs from that where the command was started"


def _limit_gpu(share: float) -> None:
    """Let this process take no more than a share of its GPU's memory."""
    if share < 1:
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_per_process_memory_fraction(share)
