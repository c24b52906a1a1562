"""Trains online methods on the small policy, in as many processes as it is started in.

Usage: python -m helpers.distributed_online SFT_FOLDER OUT_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from helpers.models import small_context, weights
from helpers.online import starts_with_a

from methods.core.models import distributed
from methods.core.models.loading import Loading
from methods.core.models.sampling import SamplingParams
from methods.dapo import DAPO
from methods.gspo import GSPO
from methods.nash_md import NashMD
from methods.ppo import PPO
from methods.rebel import REBEL
from methods.reinforce_pp import ReinforcePP
from methods.remax import ReMax
from methods.shuffled_online_dpo import ShuffledOnlineDPO
from methods.toolkit.online import Online
from methods.xpo import XPO

SETTINGS: dict[str, Any] = {"batch_size": 16, "episodes": 64, "minibatches": 3}
METHODS: dict[str, Online] = {
    "reinforce_pp": ReinforcePP(**SETTINGS),
    # Of 4 groups, those whose rewards are equal are left out: a process may have none.
    "dapo": DAPO(**SETTINGS),
    "gspo": GSPO(**SETTINGS),
    "remax": ReMax(**SETTINGS),
    "nash_md": NashMD(**SETTINGS),
    "rebel": REBEL(**SETTINGS),
    "xpo": XPO(**SETTINGS),
    "shuffled_online_dpo": ShuffledOnlineDPO(**SETTINGS | {"minibatches": 2}),
    "ppo, following": PPO(**SETTINGS, reference_decay=0.5),
}


def main() -> None:
    sft, out = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    distributed.initialize("cpu")
    trained: dict[str, list[torch.Tensor]] = {}
    for name, method in METHODS.items():
        workdir = out / f"{name}-{distributed.rank()}"
        workdir.mkdir()
        context = small_context(
            sft,
            workdir,
            reward_function=starts_with_a,
            sampling=SamplingParams(max_new_tokens=8),
            loading=Loading(micro_batch_tokens=50),
        )
        policy = method.train(context)
        trained[name] = weights(policy)  # type: ignore[arg-type]
        trained["start"] = weights(context.start())
    if distributed.is_main():
        torch.save(trained, out / "weights.pt")
    distributed.finalize()


if __name__ == "__main__":
    main()
