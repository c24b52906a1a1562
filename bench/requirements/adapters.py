"""What a task's `loading` needs of its model and of the machine, checked before anything trains."""

from __future__ import annotations

from importlib.util import find_spec

from bench.errors import UserError, shown
from bench.requirements.shape import layer_names
from bench.tasks.base import Task
from methods.core.models.loading import Loading


def check_loading(name: str, task: Task, device: str | None) -> None:
    """Check that a task's model can be loaded as its options say, as far as that can be known.

    Args:
        name: The task's name in the experiment.
        task: The task.
        device: "cpu" or "cuda"; None for another machine, which is not checked.

    Raises:
        UserError: It cannot.
    """
    loading = getattr(task, "loading", None)
    if not isinstance(loading, Loading):
        return
    where = f"tasks.{name}.options.loading"
    if loading.quantization != "none" and device is not None:
        _check_quantization(f"{where}.quantization", loading.quantization, device)
    if loading.adapters:
        _check_targets(f"{where}.lora.targets", loading.lora.targets, getattr(task, "model", ""))


def _check_quantization(where: str, quantization: str, device: str) -> None:
    if device == "cpu":
        raise UserError(f"{where}: {quantization} needs a GPU; allowed on a CPU: none")
    if find_spec("bitsandbytes") is None:
        raise UserError(
            f"{where}: {quantization} needs bitsandbytes: pip install 'prefrontier[4bit]'"
        )


def _check_targets(where: str, targets: tuple[str, ...], model: str) -> None:
    names = layer_names(model) if targets else None
    if names is None:
        return
    for target in targets:
        # As peft matches them.
        if not any(name == target or name.endswith(f".{target}") for name in names.all):
            allowed = ", ".join(names.linear)
            raise UserError(f"{where}: {model} has no layer {shown(target)}; it has {allowed}")
