"""Which engine samples from a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from methods.core.models.engines import continuous, static, vllm
from methods.core.models.engines.base import QUEUED_ROWS, Engine
from methods.core.models.engines.memory import MOST_ROWS, rows_that_fit

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from methods.core.models.sampling import SamplingParams

Sampler = Literal["auto", "loop", "static", "continuous", "vllm"]
# Up to this size, a step takes less time than Python needs to launch it (parameters).
SMALL = 300_000_000
# From this size, vLLM's kernels are worth a second copy of the weights (parameters).
LARGE = 1_000_000_000
# Responses that may be this long have uneven lengths (tokens).
LONG = 128


class EngineChoice:
    """The engine of one policy, chosen when it is first asked for.

    Attributes:
        sampler: The engine's name, or "auto".
    """

    def __init__(self, sampler: Sampler = "auto") -> None:
        self.sampler = sampler
        self._engine: Engine | None = None
        self._is_chosen = False

    def chosen(self, model: PreTrainedModel, sampling: SamplingParams) -> Engine | None:
        """Return what samples from the model, None for the plain loop."""
        if self.sampler == "loop":
            return None
        if not self._is_chosen:
            self._engine, self._is_chosen = choose(model, self.sampler, sampling), True
        return self._engine

    def limits(
        self, model: PreTrainedModel, sampling: SamplingParams
    ) -> tuple[int, Callable[[int], int]]:
        """Return the most rows of a batch, and how many fit by the length of the longest."""
        engine = self.chosen(model, sampling)
        if engine is not None and engine.schedules:
            return QUEUED_ROWS, lambda _: QUEUED_ROWS
        return MOST_ROWS, partial(rows_that_fit, model)

    def settings(self) -> dict[str, Any]:
        """Return what is saved with the policy: nothing, unless a sampler was named."""
        return {} if self.sampler == "auto" else {"sampler": self.sampler}

    @contextmanager
    def only_loop(self) -> Iterator[None]:
        """Sample by the plain loop, the only one that sees hooks on the model, in this context."""
        sampler, self.sampler = self.sampler, "loop"
        try:
            yield
        finally:
            self.sampler = sampler


def choose(model: PreTrainedModel, sampler: Sampler, sampling: SamplingParams) -> Engine | None:
    """Return the engine that samples from a model, None for the plain loop.

    Args:
        model: A causal language model.
        sampler: The engine, or "auto".
        sampling: How it is sampled.

    Raises:
        ValueError: The engine does not work with this model.
        ModuleNotFoundError: Its library is not installed.
    """
    if sampler == "auto":
        sampler = automatic(model, sampling)
    if sampler == "vllm":
        vllm.check_installed()
    if sampler == "static" and not static.supports(model):
        raise ValueError(
            f"loading.sampler static does not work with {type(model).__name__}, which has no cache "
            "of fixed size: choose loop, continuous or vllm"
        )
    engines: dict[str, Callable[[], Engine]] = {
        "static": static.Static,
        "continuous": continuous.Continuous,
        "vllm": vllm.VLLM,
    }
    return engines[sampler]() if sampler in engines else None


def automatic(model: PreTrainedModel, sampling: SamplingParams) -> Sampler:
    """Return the sampler for a model by its device, its size, and what is installed."""
    if model.device.type != "cuda":
        return "loop"
    size = sum(weight.numel() for weight in model.parameters())
    if size <= SMALL and static.supports(model):
        return "static"
    if size >= LARGE and vllm.is_installed():
        return "vllm"
    if size > SMALL and sampling.max_new_tokens >= LONG and continuous.is_fast(model):
        return "continuous"
    return "loop"
