"""Sampling by vLLM on the same GPU as the training.

vLLM has weights of its own. They are loaded anew for each batch, and its cache of prompts is
emptied with them. Its sleep mode stays off: it drops the weights.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from methods.core.models.engines.base import QUEUED_ROWS, Engine, Request, laid_out
from methods.core.models.engines.weights import merged_weights

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

# Of the memory that is free when vLLM starts. The optimizer and the activations need the rest.
SHARE_OF_FREE = 0.4
MISSING = "loading.sampler vllm needs vLLM: .venv/bin/pip install '.[vllm]'"
# The running instances of vLLM, by the architecture of their model. Each batch loads its weights.
_LLMS: dict[str, Any] = {}
# vLLM takes rows of at least this length (tokens), so that later prompts may be longer.
LENGTH = 4096
# vLLM adds something to the logits of at most this many tokens, and at least this (nats).
MOST_BIASED, LEAST_BIAS = 1024, -100.0


class VLLM(Engine):
    """Samples by vLLM's `LLM`, in this process."""

    exact: ClassVar = False
    schedules: ClassVar = True

    def __init__(self) -> None:
        self._llm: Any = None

    def respond(
        self, model: PreTrainedModel, input_ids: Tensor, request: Request
    ) -> tuple[Tensor, Tensor]:
        sampling_params = _sampling_params(model, request)
        length = max(map(len, request.prompts)) + request.sampling.max_new_tokens
        self._llm = self._llm or _running(model, length)
        _load_weights(self._llm, model)
        outputs = self._llm.generate(
            [{"prompt_token_ids": list(prompt)} for prompt in request.prompts],
            sampling_params=sampling_params,
            use_tqdm=False,
        )
        sampled = [output.outputs[0] for output in outputs]
        ids = [list(response.token_ids) for response in sampled]
        logprobs = [
            [
                at[token].logprob
                for token, at in zip(response.token_ids, response.logprobs, strict=True)
            ]
            for response in sampled
        ]
        if request.sampling.temperature == 0:
            # The likeliest token is the only one that can be sampled.
            logprobs = [[0.0] * len(response) for response in ids]
        return laid_out(ids, logprobs, request.ends[0], input_ids.device)


def is_installed() -> bool:
    """Return whether vLLM can be imported."""
    from importlib.util import find_spec

    return find_spec("vllm") is not None


def check_installed() -> None:
    """Raise ModuleNotFoundError, with what to do, if vLLM is not installed."""
    if not is_installed():
        raise ModuleNotFoundError(MISSING, name="vllm")


def memory_share(free: int, total: int) -> float:
    """Return the share of a GPU's memory that vLLM may take.

    Args:
        free: Bytes that are free.
        total: Bytes that there are.
    """
    return round(SHARE_OF_FREE * free / total, 3)


def _running(model: PreTrainedModel, length: int) -> Any:
    """Return vLLM with the model's architecture, started once for all policies of this process.

    Args:
        model: The model, loaded from a folder.
        length: Tokens of the longest row.
    """
    settings = {name: str(value) for name, value in model.config.to_dict().items()}
    # vLLM computes in bf16 whatever the model is stored in.
    for name in ("_name_or_path", "dtype", "quantization_config"):
        settings.pop(name, None)
    architecture = json.dumps(settings, sort_keys=True)
    if architecture not in _LLMS:
        _LLMS[architecture] = _started(model, length)
    return _LLMS[architecture]


def _started(model: PreTrainedModel, length: int) -> Any:
    """Return vLLM with the model's architecture.

    Args:
        model: The model, loaded from a folder.
        length: Tokens of the longest row.

    Raises:
        ModuleNotFoundError: vLLM is not installed.
    """
    import torch

    check_installed()
    from vllm import LLM

    free, total = torch.cuda.mem_get_info(model.device) if torch.cuda.is_available() else (1, 1)
    most = getattr(model.config.get_text_config(), "max_position_embeddings", None) or LENGTH
    with _launched():
        return LLM(
            model=model.name_or_path,
            skip_tokenizer_init=True,
            # Nothing of the model's own generation config.
            generation_config="vllm",
            dtype="bfloat16",
            tensor_parallel_size=1,
            gpu_memory_utilization=memory_share(free, total),
            max_model_len=min(most, max(LENGTH, 2 * length)),
            max_num_batched_tokens=4096,
            enable_sleep_mode=False,
            # In this process, where the weights are.
            distributed_executor_backend="external_launcher",
            seed=0,
            # Log-probabilities under the sampling parameters.
            logprobs_mode="processed_logprobs",
            trust_remote_code=False,
        )


@contextmanager
def _launched() -> Iterator[None]:
    """Set what vLLM reads to join a group of processes, where no launcher has set it.

    It reads that while it starts. Later trainings must not find it: accelerate would take this
    process for one of several.
    """
    variables = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost"}
    with socket.socket() as free:
        free.bind(("localhost", 0))
        variables["MASTER_PORT"] = str(free.getsockname()[1])
    missing = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]


def _load_weights(llm: Any, model: PreTrainedModel) -> None:
    """Give vLLM the model's present weights, and forget what it computed with others."""
    target = llm.llm_engine.model_executor.driver_worker.model_runner.model
    for name, weight in merged_weights(model):
        target.load_weights([(name, weight)])
    llm.reset_prefix_cache()


def _sampling_params(model: PreTrainedModel, request: Request) -> list[Any]:
    """Return the sampling parameters of each prompt, which differ in their seed.

    vLLM draws from the seed of each prompt. What is seeded in this process has no effect.

    Raises:
        ValueError: The model has too many embedding rows that belong to no token.
    """
    from vllm import SamplingParams

    sampling = request.sampling
    rows = model.get_output_embeddings().weight.shape[0]
    logit_bias = _without_rows(request.vocabulary(), rows)
    return [
        SamplingParams(
            n=1,
            # No two rows share it, of this batch or of any other.
            seed=request.seed * QUEUED_ROWS + row,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            # The end tokens are ours alone, and not the model's own.
            stop_token_ids=list(request.ends),
            ignore_eos=True,
            logit_bias=logit_bias,
            # That of the sampled token, and of no others.
            logprobs=0,
            detokenize=False,
        )
        for row in range(len(request.prompts))
    ]


def _without_rows(tokens: int, rows: int) -> dict[int, float] | None:
    """Return what keeps embedding rows that belong to no token from being sampled.

    Args:
        tokens: How many token ids text can hold.
        rows: How many embedding rows there are.

    Raises:
        ValueError: There are too many of them.
    """
    if rows - tokens > MOST_BIASED:
        raise ValueError(
            f"loading.sampler vllm cannot keep {rows - tokens:,} embedding rows that belong to no "
            f"token from being sampled, only {MOST_BIASED:,}: choose loop or continuous"
        )
    return dict.fromkeys(range(tokens, rows), LEAST_BIAS) or None
