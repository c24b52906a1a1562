"""How a model is loaded for training: all weights or adapters, and in which precision."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from methods.core.models.chat_template import TemplateValue, check_name
from methods.core.models.engines.choice import Sampler
from methods.core.models.pretrained import HEADS, WeightsError, load_causal_model

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


# Smaller models lose precision in bf16 and gain no time.
BF16_FROM_PARAMETERS = 50_000_000
Quantization = Literal["none", "4bit"]
Dtype = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (LoRA; Hu et al., 2021), by peft.

    Attributes:
        rank: Rank of the adapters. 0 means no adapters: all weights are trained.
        alpha: Adapters are scaled by alpha / rank.
        targets: Names of the layers with adapters. Empty means every linear layer except the head.
    """

    rank: Annotated[int, Ge(0), Le(4096)] = 0
    alpha: Annotated[int, Gt(0)] = 32
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loading:
    """How the model of the policies is loaded.

    Attributes:
        lora: Adapters, trained instead of all weights.
        quantization: Of the frozen weights under the adapters, by bitsandbytes. Needs a GPU.
        gradient_checkpointing: Whether to save memory by computing activations twice.
        group_by_length: Whether to put texts of similar length into one batch.
        micro_batch_tokens: The most tokens that go through a trained model at once, padding
            included. It changes the memory that is used, not the result. 0 chooses by the model.
        dtype: Precision of the loaded weights. Trained weights need float32. On a GPU, large models
            compute in bf16 either way.
        sampler: What samples responses: our loop; the same with a static cache and CUDA graphs, for
            small models; transformers' continuous batching; or vLLM. "auto" chooses by device and
            size, and takes the loop on a CPU.
        chat_template_kwargs: Values of variables of the model's chat template, such as
            `enable_thinking: false`.
    """

    lora: Lora = Lora()
    quantization: Quantization = "none"
    gradient_checkpointing: bool = False
    group_by_length: bool = False
    micro_batch_tokens: Annotated[int, Ge(0)] = 0
    dtype: Literal["float32", "bfloat16"] = "float32"
    sampler: Sampler = "auto"
    chat_template_kwargs: dict[str, TemplateValue] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in self.chat_template_kwargs:
            check_name(name)
        if self.quantization != "none" and not self.lora.rank:
            raise ValueError("loading.quantization needs adapters: set loading.lora.rank")
        if self.dtype == "bfloat16" and not self.lora.rank:
            # bf16 is so coarse that small steps of the optimizer would be rounded away.
            raise ValueError("loading.dtype bfloat16 needs adapters: set loading.lora.rank")

    @property
    def adapters(self) -> bool:
        """Whether adapters are trained instead of all weights."""
        return self.lora.rank > 0

    def options(self, device: str) -> dict[str, Any]:
        """Return keyword arguments for `from_pretrained` on this device."""
        return loading_options(device, **self.weights)

    @property
    def weights(self) -> dict[str, Any]:
        """How the weights are kept in memory: arguments of `loading_options`."""
        return {"dtype": self.dtype, "quantization": self.quantization}


def loading_options(
    device: str, dtype: Dtype = "auto", quantization: Quantization = "none"
) -> dict[str, Any]:
    """Return keyword arguments for `from_pretrained`.

    Args:
        device: Where a quantized model is put.
        dtype: Precision of the weights. "auto" is that of the file.
        quantization: See `Loading`.
    """
    options: dict[str, Any] = {"dtype": dtype}
    if quantization == "4bit":
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype="bfloat16",
        )
        options["device_map"] = {"": device}
    return options


ADAPTER_FILE = "adapter_config.json"


def adapted(
    model: PreTrainedModel, loading: Loading, *, head: str = "", seed: int | None = None
) -> PreTrainedModel:
    """Return the model ready for training, with adapters and checkpointing as `loading` says.

    Args:
        model: The model to train.
        loading: How models are loaded.
        head: Name of a classifier's output layer, which is trained whole. Empty for causal models.
        seed: Of the adapters' first weights. By default they depend on the global random state.
    """
    import torch

    if loading.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if not loading.adapters:
        return model
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if loading.quantization != "none":
        model = prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=loading.gradient_checkpointing
        )
    elif loading.gradient_checkpointing:
        model.enable_input_require_grads()
    lora = loading.lora
    config = LoraConfig(
        task_type="SEQ_CLS" if head else "CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=list(lora.targets) or "all-linear",
        modules_to_save=[head] if head else None,
    )
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices, enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        wrapped: PreTrainedModel = get_peft_model(model, config)
    for weight in wrapped.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return wrapped


def without_dropout(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model with all dropout off, also in training mode."""
    from torch import nn

    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0
    return model


def merged(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model with its adapters, if it has any, added to the weights in float32.

    In bf16 or 4 bit, most of a small change would be rounded away.
    """
    if not has_adapters(model):
        return model
    from peft.tuners.lora import LoraLayer

    layers: dict[str, Any] = {
        name: layer for name, layer in inner(model).named_modules() if isinstance(layer, LoraLayer)
    }
    changes = {name: layer.get_delta_weight("default").float() for name, layer in layers.items()}
    base: PreTrainedModel = model.unload()
    if getattr(base, "is_quantized", False):
        base = base.dequantize()
    base = base.float()
    for name, change in changes.items():
        base.get_submodule(name).weight.data += change
    return base


def has_adapters(model: nn.Module) -> bool:
    """Return whether peft has put adapters on the model."""
    return hasattr(model, "peft_config")


def inner(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model of transformers inside peft's wrapper, its adapters still active."""
    unwrapped: PreTrainedModel = model.get_base_model() if has_adapters(model) else model
    return unwrapped


def trainable_weights(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    """Return the weights that are trained, by name: all weights, or those of the adapters."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def load_adapter(folder: Path, **options: Any) -> PreTrainedModel:
    """Return the model of a folder of adapters, with the adapters on it.

    Args:
        folder: As peft saves it.
        **options: Of `from_pretrained`, for the model under the adapters.

    Raises:
        WeightsError: A weight is missing.
    """
    from peft import PeftConfig, PeftModel

    base = load_causal_model(
        Path(PeftConfig.from_pretrained(str(folder)).base_model_name_or_path), **options
    )
    with warnings.catch_warnings():
        # peft only warns of it, and leaves these adapters as they are drawn at first.
        warnings.filterwarnings("error", message="Found missing adapter keys")
        try:
            model: PreTrainedModel = PeftModel.from_pretrained(base, str(folder))
        except UserWarning as warning:
            names = str(warning).partition(": ")[2]
            raise WeightsError(f"{folder}: weights of adapters are missing: {names}") from None
    return model


def use_bf16(model: PreTrainedModel, device: str) -> bool:
    """Return whether the model computes in bf16 on this device."""
    import torch

    large = sum(p.numel() for p in model.parameters()) >= BF16_FROM_PARAMETERS
    return large and device.startswith("cuda") and torch.cuda.is_bf16_supported()


def for_inference(model: PreTrainedModel, device: str) -> PreTrainedModel:
    """Return a model on the device that is not to be trained: in bf16, where it computes in that.

    The linear head of a classifier stays in its precision; a classifier with another head as a
    whole.
    """
    from methods.core.models.heads import Float32Linear

    model = model.eval()
    if getattr(model, "is_quantized", False):
        return model
    heads = [getattr(model, name) for name in HEADS if hasattr(model, name)]
    if use_bf16(model, device) and all(isinstance(head, Float32Linear) for head in heads):
        for child in model.children():
            if child not in heads:
                # Not the buffers: rotary embeddings need their precision.
                for weight in child.parameters():
                    weight.data = weight.data.bfloat16()
    return model.to(device)


class AdapterOff:
    """A model with its adapters switched off: a reference that shares the policy's memory."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    def __call__(self, *args: Any, **options: Any) -> Any:
        with self._model.disable_adapter():
            return self._model(*args, **options)

    def generate(self, *args: Any, **options: Any) -> Any:
        with self._model.disable_adapter():
            return self._model.generate(*args, **options)

    def eval(self) -> AdapterOff:
        """Do nothing: the training sets the model's mode."""
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)
