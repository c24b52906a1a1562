"""What tests of policies share: the small policy's prompts and sampling, and comparisons."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import torch

from bench.evaluation.kl import model_kl
from methods.core.feedback import Pair
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.core.training.context import Context

# The small policy's words; its prompts and how it is sampled.
LETTERS = ["a", "b", "c", "d"]
PROMPTS = ["a", "b", "a b c"]
SAMPLING = SamplingParams(max_new_tokens=3)


def likes_a(prompts: object, responses: list[str]) -> list[float]:
    """A trivial reward: the share of the letter a in the response."""
    return [response.split().count("a") / 3 for response in responses]


def small_context(sft_folder: Path, workdir: Path, **changes: object) -> Context:
    """Return a context on the small policy, with pairs that prefer the letter a."""
    settings: dict[str, object] = {
        "sft": sft_folder,
        "prompts": PROMPTS,
        "labels": [Pair(prompt, "a a a", "b b b") for prompt in PROMPTS] * 50,
        "sampling": SAMPLING,
        "budget": 10**6,
        "seed": 0,
        "workdir": workdir,
        "device": "cpu",
        "reward_function": likes_a,
    }
    return Context(**(settings | changes))  # type: ignore[arg-type]


def weights(policy: ModelPolicy) -> list[torch.Tensor]:
    """Return a copy of all weights of a policy."""
    return [parameter.detach().clone() for parameter in policy.model.parameters()]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    """Return whether two lists of tensors are equal to the last bit."""
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def drawn_kl(
    policy: ModelPolicy, reference: ModelPolicy, prompts: list[str], seed: int
) -> tuple[list[float], list[float]]:
    """Sample a response to each prompt; return the estimates of KL and entropy (nats)."""
    kls, entropies = [0.0] * len(prompts), [0.0] * len(prompts)
    for places, batch in policy.sampled(prompts, seed, SAMPLING):
        for place, kl, entropy in zip(
            places, *model_kl(policy, reference, batch, SAMPLING), strict=True
        ):
            kls[place], entropies[place] = kl, entropy
    return kls, entropies


def load_module(file: Path) -> ModuleType:
    """Import a file that is in no package, under the name of its stem."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module
