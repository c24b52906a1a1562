"""What every worker imports. The server from which workers are forked imports it once for all.

No worker then takes seconds to import torch and the trainers: it starts within milliseconds, and
shares their memory. Nothing here may start threads or touch a GPU, which a fork does not survive.
"""

from __future__ import annotations

import gc
import threading
from contextlib import suppress
from importlib import import_module

from tqdm import tqdm

from bench.execution.executors.process import silence_libraries

# Libraries import these when they are first used.
LAZY = (
    "accelerate",
    "bench.evaluation.measure",
    "bench.evaluation.metrics",
    "bench.pipeline.registry",
    "datasets",
    "evaluate",
    "peft",
    "safetensors.torch",
    "scipy.special",
    "torch",
    "torch._dynamo",
    "torch.optim",
    "transformers",
    "transformers.models.llama.modeling_llama",
    "transformers.trainer",
    "trl",
    "trl.trainer.dpo_trainer",
    "trl.trainer.sft_trainer",
)

silence_libraries()
for name in LAZY:
    with suppress(ImportError):
        import_module(name)
# By default it is one that other processes share, and that stays behind when a worker is ended.
tqdm.set_lock(threading.RLock())
# The garbage collector would touch, and so copy, what workers share.
gc.collect()
gc.freeze()
