"""Prints the peak memory so far (MiB) after scoring and a backward pass over each of some batches.

Usage: python -m helpers.peak_memory LOGITS:BATCH_SIZE ...
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from methods.core.models import logprobs
from methods.core.models.batch import by_length, make_batch
from methods.core.models.logprobs import token_logprobs
from methods.core.models.sampling import SamplingParams
from methods.core.online.rollout import in_parts

VOCABULARY, TOKENS = 50_000, 96
SAMPLING = SamplingParams(max_new_tokens=TOKENS)


def main() -> None:
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    for argument in sys.argv[1:]:
        logprobs.LOGITS, size = map(int, argument.split(":"))
        responses = torch.randint(10, VOCABULARY, (size, TOKENS)).tolist()
        batch = make_batch([[1, 2, 3]] * size, responses, 0, "cpu")
        with torch.no_grad():
            in_parts(partial(token_logprobs, sampling=SAMPLING), model, batch)
        for rows in by_length(batch.lengths):
            token_logprobs(model, batch.rows(rows), SAMPLING).sum().backward()
        print(peak())


def peak() -> int:
    """Return the peak memory of this process; `getrusage` starts at that of its parent."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024


if __name__ == "__main__":
    main()
