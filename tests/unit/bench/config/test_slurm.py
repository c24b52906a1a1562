"""The section `slurm` of an experiment file."""

from __future__ import annotations

import pytest
from helpers.command import TINY

from bench.config.experiment import validated
from bench.config.slurm import Slurm
from bench.errors import UserError


def test_settings_of_slurm_are_read() -> None:
    section = {"partition": "gpu", "gpus": 1, "additional_parameters": {"account": "me"}}
    settings = validated(TINY | {"slurm": section}, "mine.yaml").slurm
    assert settings == Slurm(partition="gpu", gpus=1, additional_parameters={"account": "me"})
    assert validated(TINY, "mine.yaml").slurm == Slurm()


@pytest.mark.parametrize(
    ("section", "error"),
    [
        ({"time": 0}, "slurm.time"),
        ({"gpus": 2}, "slurm.gpus"),
        ({"memory": "much"}, "slurm.memory"),
        ({"memory": float("inf")}, "slurm.memory"),
        ({"cpus": True}, "slurm.cpus"),
        ({"time": "60"}, "slurm.time"),
        ({"queue": 3}, "slurm.queue"),
        ({"cluster": "pbs"}, "slurm.cluster"),
    ],
)
def test_a_wrong_setting_of_slurm_is_said(section: dict[str, object], error: str) -> None:
    with pytest.raises(UserError, match=f"mine.yaml.*{error}"):
        validated(TINY | {"slurm": section}, "mine.yaml")
