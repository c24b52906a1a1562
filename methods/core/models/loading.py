"""How a model is loaded for training: all weights or adapters, and in which precision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt

from methods.core.models.engines.choice import Sampler
from methods.core.models.engines.vllm import check_installed

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (LoRA; Hu et al., 2021), by peft.

    Attributes:
        rank: Rank of the adapters. 0 means no adapters: all weights are trained.
        alpha: Adapters are scaled by alpha / rank.
        targets: Names of the layers with adapters. Empty means every linear layer except the head.
    """

    rank: Annotated[int, Ge(0)] = 0
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
    """

    lora: Lora = Lora()
    quantization: Literal["none", "4bit"] = "none"
    gradient_checkpointing: bool = False
    group_by_length: bool = False
    micro_batch_tokens: Annotated[int, Ge(0)] = 0
    dtype: Literal["float32", "bfloat16"] = "float32"
    sampler: Sampler = "auto"

    def __post_init__(self) -> None:
        if self.quantization != "none" and not self.lora.rank:
            raise ValueError("loading.quantization needs adapters: set loading.lora.rank")
        if self.dtype == "bfloat16" and not self.lora.rank:
            # bf16 is so coarse that small steps of the optimizer would be rounded away.
            raise ValueError("loading.dtype bfloat16 needs adapters: set loading.lora.rank")
        if self.sampler == "vllm":
            check_installed()

    @property
    def adapters(self) -> bool:
        """Whether adapters are trained instead of all weights."""
        return self.lora.rank > 0

    def options(self, device: str) -> dict[str, Any]:
        """Return keyword arguments for `from_pretrained` on this device."""
        options: dict[str, Any] = {"dtype": self.dtype, "use_safetensors": True}
        if self.quantization == "4bit":
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


def adapted(model: PreTrainedModel, loading: Loading, *, head: str = "") -> PreTrainedModel:
    """Return the model ready for training, with adapters and checkpointing as `loading` says.

    Args:
        model: The model to train.
        loading: How models are loaded.
        head: Name of a classifier's output layer, which is trained whole. Empty for causal models.
    """
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
    """Return the model with its adapters, if it has any, added to the weights."""
    if not has_adapters(model):
        return model
    merged_model: PreTrainedModel = model.merge_and_unload()
    is_quantized = getattr(merged_model, "is_quantized", False)
    return merged_model.dequantize() if is_quantized else merged_model


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


def load_adapter(folder: Path) -> PreTrainedModel:
    """Return the model of a folder of adapters, with the adapters on it, as peft loads it."""
    from peft import AutoPeftModelForCausalLM

    model: PreTrainedModel = AutoPeftModelForCausalLM.from_pretrained(folder)
    return model


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
