"""How a process is set up for jobs: quiet libraries, threads, fast and repeatable arithmetic."""

from __future__ import annotations

import os
from collections.abc import Mapping


def prepare_process(threads: int) -> None:
    """Set up the process at hand for jobs.

    Args:
        threads: Threads of its arithmetic.
    """
    silence_libraries()
    import torch

    torch.set_num_threads(threads)
    multiply_fast()


def multiply_fast() -> None:
    """Let GPUs multiply float32 matrices in TF32: with 10 bits of precision, and far faster."""
    import torch

    # Not `set_float32_matmul_precision`, by which CPUs that can would do it too.
    torch.backends.cuda.matmul.allow_tf32 = True


def silence_libraries() -> None:
    """Turn off the libraries' progress bars, warnings and telemetry."""
    import warnings

    os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.simplefilter("ignore")
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def set_environment(variables: Mapping[str, str]) -> None:
    """Make these the variables of the process's environment, and no others."""
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
