"""Trains offline methods on the small policy, in as many processes as it is started in.

Usage: python -m helpers.distributed_offline SFT_FOLDER OUT_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import Any

import torch
from helpers.models import PROMPTS, small_context, weights
from helpers.offline import SHORT, text

from methods.bco import BCO
from methods.core.feedback import Pair, Unpaired
from methods.core.models import distributed
from methods.core.models.loading import Loading
from methods.dpo import DPO
from methods.hypo import HyPO
from methods.kto import KTO
from methods.toolkit.offline import Offline
from methods.tr_dpo import TRDPO
from methods.wpo import WPO

SETTINGS: dict[str, Any] = SHORT | {"beta": 0.5}
METHODS: dict[str, Offline] = {
    "dpo": DPO(**SETTINGS),
    "wpo": WPO(**SETTINGS),
    "kto": KTO(**SETTINGS),
    "bco": BCO(**SETTINGS),
    "tr_dpo": TRDPO(**SETTINGS, update_every=3),
    "hypo": HyPO(**SETTINGS),
}


def some_labels(kind: str) -> list[Pair] | list[Unpaired]:
    random = Random(0)
    texts = [[text(random, random.randint(1, 5)) for _ in range(2)] for _ in range(100)]
    pairs = [Pair(random.choice(PROMPTS), *pair) for pair in texts]
    if kind == "pairs":
        return pairs
    return [Unpaired(p.prompt, p.chosen, number % 3 == 0) for number, p in enumerate(pairs)]


def main() -> None:
    sft, out = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    distributed.initialize("cpu")
    trained: dict[str, list[torch.Tensor]] = {}
    for name, method in METHODS.items():
        workdir = out / f"{name}-{distributed.rank()}"
        workdir.mkdir()
        loading = Loading(micro_batch_tokens=60)
        labels = some_labels(method.feedback)
        context = small_context(sft, workdir, labels=labels, loading=loading)
        policy = method.train(context)
        trained[name] = weights(policy)  # type: ignore[arg-type]
        trained["start"] = weights(context.start())
    if distributed.is_main():
        torch.save(trained, out / "weights.pt")
    distributed.finalize()


if __name__ == "__main__":
    main()
