"""Trains methods on a stand-in for a GPU, and says where the host waits in their loops.

It prints a line of JSON for each training: its name, its gradient steps, where the host waits, and
the error that ended it.

Usage: python -m helpers.gpu_training SFT_FOLDER WORKDIR
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from helpers.models import PROMPTS, small_context, weights
from helpers.online import starts_with_a
from helpers.stand_in_gpu import NAME, stand_in_gpu
from transformers import masking_utils

from bench.config.catalog import catalog
from bench.execution.executors.process import silence_libraries
from methods.base import Context, Method
from methods.core.feedback import Pair, Unpaired
from methods.core.models import loading, logprobs
from methods.core.models.loading import Loading, Lora
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.core.online.agreement import Agreement
from methods.core.online.run import OnlineRun
from methods.core.training import pairwise
from methods.core.training.optimization import Optimization
from methods.core.training.trainer import autocast
from methods.dpo import DPO
from methods.ppo import PPO
from methods.reinforce import Reinforce
from methods.toolkit.offline import PairLogprobs, Tensor
from methods.toolkit.policy_gradient import Rollout

# What may make the host wait inside the loops.
BOUNDARIES: tuple[Any, ...] = (
    # Between steps, when it is time to log or to save.
    pairwise._Run.log,
    Context.checkpoint,
    # Sampling asks at each token which responses go on.
    ModelPolicy.sample,
    # Once in a training: the reference is loaded when it is first used, and the sampler checked.
    ModelPolicy.load,
    Agreement.check_start,
    # transformers asks in each forward pass whether there is padding.
    masking_utils.create_causal_mask,
)
# These train nothing.
WITHOUT_TRAINING = {"best_of_n", "sft"}
SHORT = {
    "batch_size": 8,
    "episodes": 16,
    "examples": 24,
    "minibatches": 2,
    "epochs": 1,
    "update_every": 2,
}
LABELS = {
    "pairs": [Pair(prompt, "a a a", "b b") for prompt in PROMPTS],
    "unpaired": [Unpaired(p, text, text < "b") for p in PROMPTS for text in ("a a a", "b")],
}
# Small enough that a batch is split.
LOADING = Loading(micro_batch_tokens=60)


class ReadsItsLoss(DPO):
    """DPO that looks at each loss."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        losses = super().loss(logprobs)
        return losses if float(losses.mean()) > 0 else -losses


class SelectsByMask(Reinforce):
    """REINFORCE with a shape that depends on numbers."""

    def loss(self, logprobs: Tensor, rollout: Rollout) -> Tensor:
        losses = super().loss(logprobs, rollout)
        return losses + losses[rollout.mask].mean()


class SelectsInBackward(DPO):
    """DPO whose gradient has a shape that depends on numbers."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        losses = super().loss(logprobs)
        return losses.masked_scatter(losses > 0, losses)


class CopiesInItsLoss(DPO):
    """DPO that copies numbers to the device."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        losses = super().loss(logprobs)
        return losses * torch.tensor([2.0] * len(losses), device=losses.device)


class ForgetsTheDevice(DPO):
    """DPO with a tensor on the CPU."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        return super().loss(logprobs) + torch.zeros(len(logprobs.chosen))


WRONG = (ReadsItsLoss, SelectsByMask, SelectsInBackward, CopiesInItsLoss, ForgetsTheDevice)


class Loops:
    """Watches the training loops.

    Attributes:
        running: Whether a loop is running.
        steps: Gradient steps so far.
        waits: What makes the host wait in the loops outside the boundaries, and where.
    """

    def __init__(self) -> None:
        self.running, self.steps = False, 0
        self.waits: dict[str, None] = {}
        self._boundaries = {inspect.unwrap(function).__code__ for function in BOUNDARIES}

    def on_sync(self, operation: str) -> None:
        # Without this function itself.
        frames = list(callers())[1:]
        if self.running and not any(frame.f_code in self._boundaries for frame in frames):
            self.waits[f"{operation} in {place(frames)}"] = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch all loops while the context lasts."""
        train, minibatches, step = pairwise._Run.train, OnlineRun.minibatches, Optimization.step

        def watched_train(run: Any) -> None:
            self.running = True
            train(run)
            self.running = False

        def watched_minibatches(*args: Any, **options: Any) -> Iterator[Rollout]:
            # It runs while the method computes the loss of a minibatch, too.
            self.running = True
            yield from minibatches(*args, **options)
            self.running = False

        def counted_step(optimization: Optimization) -> None:
            self.steps += 1
            step(optimization)

        pairwise._Run.train, OnlineRun.minibatches = watched_train, watched_minibatches
        Optimization.step = counted_step
        try:
            yield
        finally:
            pairwise._Run.train, OnlineRun.minibatches = train, minibatches
            Optimization.step = step


def callers() -> Iterator[FrameType]:
    """Yield the frames of this thread, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame:
        yield frame
        frame = frame.f_back


def place(frames: list[FrameType]) -> str:
    """Return the innermost line that is not torch's. Backward passes have a thread of their own."""
    for frame in frames:
        file = Path(frame.f_code.co_filename)
        if "torch" not in file.parts and file.name != "stand_in_gpu.py":
            return f"{file.parent.name}/{file.name}:{frame.f_lineno}"
    return "a backward pass"


def make_context(method: Method, sft: Path, workdir: Path, device: str, load: Loading) -> Context:
    """Return a context in which a method trains for a few steps."""
    workdir.mkdir()
    return small_context(
        sft,
        workdir,
        device=device,
        labels=LABELS.get(method.feedback, []),
        reward_function=starts_with_a,
        sampling=SamplingParams(max_new_tokens=4),
        loading=load,
    )


def shortened(method: type[Method]) -> Method:
    """Return a method that trains for a few steps."""
    names = {field.name for field in dataclasses.fields(method)}
    return method(**{name: value for name, value in SHORT.items() if name in names})


def train(name: str, method: Method, sft: Path, out: Path, load: Loading = LOADING) -> None:
    """Train a method on the device, and print a line."""
    loops, error = Loops(), ""
    try:
        with stand_in_gpu(loops.on_sync), loops.watched():
            method.train(make_context(method, sft, out / name, NAME, load))
    except Exception as raised:  # all methods are to be tried
        error = f"{type(raised).__name__}: {str(raised)[:500]}"
    line = {"name": name, "steps": loops.steps, "waits": list(loops.waits), "error": error}
    print(json.dumps(line), flush=True)


def compare(method: Method, sft: Path, out: Path) -> None:
    """Train a method in float32 on the device and on the CPU; print how the weights differ."""
    name = type(method).__name__
    context = make_context(method, sft, out / f"{name}-cpu", "cpu", LOADING)
    start, on_cpu = weights(context.start()), weights(method.train(context))
    with stand_in_gpu(lambda _: None):
        context = make_context(method, sft, out / f"{name}-device", NAME, LOADING)
        on_device = [weight.cpu() for weight in weights(method.train(context))]
    line = {"name": f"{name}-compared", "moved": largest_difference(start, on_cpu)}
    print(json.dumps(line | {"difference": largest_difference(on_cpu, on_device)}), flush=True)


def precisions() -> None:
    """Print in which precision a trained model computes on the device."""
    model = torch.nn.Linear(2, 2)
    with stand_in_gpu(lambda _: None), autocast(model.to(NAME), NAME):
        outputs = model(torch.ones(1, 2, device=NAME))
        line = {"linear": str(outputs.dtype), "softmax": str(outputs.softmax(-1).dtype)}
    print(json.dumps({"name": "precisions"} | line), flush=True)


def largest_difference(first: list[torch.Tensor], second: list[torch.Tensor]) -> float:
    """Return how far two lists of tensors are apart at most."""
    return max(float((a - b).abs().max()) for a, b in zip(first, second, strict=True))


def by_trl(method: type[Method]) -> bool:
    """Return whether a method trains by TRL's trainers: whether its modules import them."""
    modules = {inspect.getmodule(kind) for kind in method.__mro__ if issubclass(kind, Method)}
    return any("methods.core.trl" in inspect.getsource(module) for module in modules if module)


def ours() -> dict[str, type[Method]]:
    """Return the methods of the catalog that train in our own loops."""
    classes = {name: entry for name, entry in catalog().items() if not isinstance(entry, str)}
    return {
        name: method
        for name, method in classes.items()
        if not by_trl(method) and name not in WITHOUT_TRAINING
    }


def main() -> None:
    sft, out = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    silence_libraries()
    torch.cuda.is_bf16_supported = lambda *_: True
    # Subclasses of tensors and inference mode do not go together.
    torch.inference_mode = torch.no_grad
    for method in (DPO, PPO):
        compare(shortened(method), sft, out)
    loading.BF16_FROM_PARAMETERS = 0
    precisions()
    for name, method in ours().items():
        train(name, shortened(method), sft, out)
    for method in (DPO, PPO):
        lora, name = dataclasses.replace(LOADING, lora=Lora(rank=2)), method.__name__
        train(f"{name}-lora", shortened(method), sft, out, lora)
        checkpointing = dataclasses.replace(LOADING, gradient_checkpointing=True)
        train(f"{name}-checkpointing", shortened(method), sft, out, checkpointing)
    logprobs.LOGITS = 256
    for method in (DPO, PPO):
        train(f"{method.__name__}-logits_in_parts", shortened(method), sft, out)
    for method in WRONG:
        train(method.__name__, shortened(method), sft, out)


if __name__ == "__main__":
    main()
