"""How jobs are submitted to SLURM."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, MinLen
from pydantic import BaseModel, ConfigDict

from bench.config.validation import StrictNumbers


class Slurm(StrictNumbers, BaseModel):
    """What `--executor slurm` asks of SLURM for each job.

    Attributes:
        partition: The partition; by default that of the cluster.
        time: The time limit (minutes). A job that reaches it is queued again, and resumes.
        gpus: GPUs; with 0, jobs run on the CPU.
        cpus: Cores.
        memory: Main memory (GiB); by default what the job is estimated to take, else the cluster's
            default.
        queued: The most jobs in the queue at once, those that run included.
        additional_parameters: Other options of `sbatch`, as in `{account: mine}`.
        cluster: "local" runs the jobs on this machine, without SLURM, to try all else.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    partition: Annotated[str, MinLen(1)] | None = None
    time: Annotated[int, Ge(1)] = 24 * 60
    gpus: Literal[0, 1] = 0
    cpus: Annotated[int, Ge(1)] = 1
    memory: Annotated[float, Gt(0)] | None = None
    queued: Annotated[int, Ge(1)] = 100
    additional_parameters: dict[Annotated[str, MinLen(1)], str | int | bool] = {}
    cluster: Literal["slurm", "local"] = "slurm"
