"""A device that computes on the CPU but is as strict as a GPU.

Its tensors do not mix with those of the CPU, and it knows which operations make the host wait for a
GPU. Its name starts with "cuda", so that code takes the branches of a GPU. Importing this module
registers the device for the whole process, for good: import it in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

NAME = "cudafake"
aten = torch.ops.aten
# The host waits for their results: numbers, or tensors whose shapes depend on numbers.
SYNCS = {
    aten._local_scalar_dense,
    aten._unique2,
    aten.bincount,
    aten.equal,
    aten.is_nonzero,
    aten.item,
    aten.masked_scatter_backward,
    aten.masked_select,
    aten.nonzero,
    aten.unique_consecutive,
    aten.unique_dim,
}
COPIES = {aten._to_copy, aten.copy_}
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
# What autocast computes in bf16 and in float32, as far as these models use it: from torch's lists
# for GPUs.
IN_BF16 = ("addmm", "bmm", "linear", "matmul", "mm", "scaled_dot_product_attention")
IN_FLOAT32 = (
    *("cumsum", "exp", "layer_norm", "log_softmax.int", "logsumexp", "norm.Scalar"),
    *("pow.Tensor_Scalar", "prod", "rsqrt", "softmax.int", "softplus", "sum", "sum.dim_IntList"),
)


class MixedDevicesError(RuntimeError):
    """An operation got tensors of the device and of the CPU."""


class DeviceTensor(torch.Tensor):
    """A tensor on the device. It holds a tensor of the CPU."""

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> DeviceTensor:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=torch.device(NAME, 0),
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    def __repr__(self) -> str:
        return f"DeviceTensor({self.held})"

    # With these two, modules move to the device like those of other subclasses of tensors.
    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(held: dict[str, torch.Tensor], *_: Any) -> DeviceTensor:
        return DeviceTensor(held["held"])

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @property
    def data(self) -> torch.Tensor:
        return self.detach()

    @data.setter
    def data(self, new: DeviceTensor) -> None:
        torch.Tensor.data.__set__(self, new)
        self.held = new.held

    @classmethod
    def __torch_dispatch__(cls, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {}, lambda _: None)


class _Mode(TorchDispatchMode):
    """Computes all operations, also those that make a tensor."""

    def __init__(self, on_sync: Callable[[str], None]) -> None:
        super().__init__()
        self.on_sync = on_sync

    def __torch_dispatch__(self, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {}, self.on_sync)


@contextmanager
def stand_in_gpu(on_sync: Callable[[str], None]) -> Iterator[None]:
    """Let the device be used while the context lasts.

    Args:
        on_sync: Called with a description of each operation that makes the host wait.
    """
    # torch.tensor then makes its tensor on the CPU and copies it, as for a GPU.
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with _Mode(on_sync):
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(False)


def compute(func: Any, args: Any, kwargs: dict[str, Any], on_sync: Callable[[str], None]) -> Any:
    """Compute an operation on the tensors that are held, and put its results on the device.

    Raises:
        MixedDevicesError: Some tensors are on the device, others on the CPU.
    """
    ours: list[torch.Tensor] = []
    theirs: list[torch.Tensor] = []

    def held(tensor: torch.Tensor) -> torch.Tensor:
        if isinstance(tensor, DeviceTensor):
            ours.append(tensor)
            return tensor.held
        theirs.append(tensor)
        return tensor

    held_args, held_kwargs = mapped(args, held), mapped(kwargs, held)
    target = kwargs.get("device")
    to_device = target is not None and torch.device(target).type == NAME
    if not ours and not to_device:
        return func(*args, **kwargs)
    operation = func.overloadpacket
    to_cpu = target is not None and not to_device
    if operation is aten.copy_:
        to_cpu = not isinstance(args[0], DeviceTensor)
    if operation in COPIES:
        crosses = to_cpu or bool(theirs)
        non_blocking = kwargs.get("non_blocking") or args[2:3] == (True,)
        if crosses and not non_blocking:
            on_sync(f"{func}, a copy that waits,")
    else:
        indices = [i for i in args[1] if i is not None] if operation in INDEXING else []
        if operation in SYNCS:
            on_sync(str(func))
        if any(index.dtype in (torch.bool, torch.uint8) for index in indices):
            on_sync(f"{func} with a mask")
        if any(not isinstance(index, DeviceTensor) for index in indices):
            on_sync(f"{func} with indices of the CPU")
        # A GPU takes single numbers and indices of the CPU.
        if any(t.dim() and not any(t is index for index in indices) for t in theirs):
            raise MixedDevicesError(f"{func} got tensors of {NAME} and of the CPU")
    if to_device:
        held_kwargs["device"] = "cpu"
    results = func(*held_args, **held_kwargs)
    if to_cpu:
        return results
    wrapped = mapped(results, DeviceTensor)
    return return_and_correct_aliasing(func, args, kwargs, wrapped)


def mapped(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return arguments or results of an operation with other tensors in the place of its own."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, (tuple, list)):
        return type(value)([mapped(part, change) for part in value])
    if isinstance(value, dict):
        return {name: mapped(part, change) for name, part in value.items()}
    return value


class _Module(_DummyBackendModule):
    """What torch asks about the device."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


def _autocast(name: str, dtype: torch.dtype) -> Callable[..., Any]:
    """Return an operation that computes in another precision."""
    packet, _, overload = name.partition(".")
    operation = getattr(getattr(aten, packet), overload or "default")
    autocasts = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)

    def cast(tensor: torch.Tensor) -> torch.Tensor:
        is_cast = tensor.is_floating_point() and tensor.dtype != torch.float64
        return tensor.to(dtype) if is_cast else tensor

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(autocasts):
            return operation(*mapped(args, cast), **kwargs)

    return run


_setup_privateuseone_for_python_backend(NAME, _Module())
# Kept, as they last as long as these objects.
_PRECISION = torch.library.Library("aten", "IMPL")
for _names, _dtype in ((IN_BF16, torch.bfloat16), (IN_FLOAT32, torch.float32)):
    for _name in _names:
        _PRECISION.impl(_name, _autocast(_name, _dtype), "AutocastPrivateUse1")
_UNCHANGED = torch.library.Library("_", "IMPL", "AutocastPrivateUse1")
_UNCHANGED.fallback(torch.library.fallthrough_kernel)
