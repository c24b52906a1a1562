"""How a model is loaded for training: whole or by an adapter, in which precision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (Hu et al., 2021), by peft.

    rank: 0 is none: all weights are trained. alpha: of the scaling alpha / rank. targets: names of
    the layers that get one; all linear ones but the head where empty.
    """

    rank: Annotated[int, Ge(0)] = 0
    alpha: Annotated[int, Gt(0)] = 32
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loading:
    """How the policies' model is loaded.

    lora: adapters instead of all weights. quantization: of the frozen weights under them, by
    bitsandbytes, on a GPU. gradient_checkpointing: less memory for more time. group_by_length:
    texts of like length go into one batch. dtype: of the weights that are loaded; trained ones want
    float32, and a GPU computes in bf16 whatever they are.
    """

    lora: Lora = Lora()
    quantization: Literal["none", "4bit"] = "none"
    gradient_checkpointing: bool = False
    group_by_length: bool = False
    dtype: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        if self.quantization != "none" and not self.lora.rank:
            raise ValueError("loading.quantization needs adapters: set loading.lora.rank")
        if self.dtype == "bfloat16" and not self.lora.rank:
            # So coarse that small steps are rounded away.
            raise ValueError("loading.dtype bfloat16 needs adapters: set loading.lora.rank")

    @property
    def adapters(self) -> bool:
        return self.lora.rank > 0

    def options(self, device: str) -> dict[str, Any]:
        """Return keyword arguments for `from_pretrained`."""
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
    """Return the model ready for training: with adapters, if asked for, and checkpointing.

    head: the name of a layer that is trained whole, that of a classifier's.
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
    whole: PreTrainedModel = model.merge_and_unload()
    return whole.dequantize() if getattr(whole, "is_quantized", False) else whole


def has_adapters(model: nn.Module) -> bool:
    return hasattr(model, "peft_config")


def inner(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model as transformers made it, its adapters within."""
    whole: PreTrainedModel = model.get_base_model() if has_adapters(model) else model
    return whole


def load_adapter(folder: Path) -> PreTrainedModel:
    """Return the model that a folder's adapters were trained for, with them, as peft loads it."""
    from peft import AutoPeftModelForCausalLM

    model: PreTrainedModel = AutoPeftModelForCausalLM.from_pretrained(folder)
    return model


class AdapterOff:
    """A model with its adapters off: the reference, in the memory of the policy itself."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    def __call__(self, *args: Any, **options: Any) -> Any:
        with self._model.disable_adapter():
            return self._model(*args, **options)

    def generate(self, *args: Any, **options: Any) -> Any:
        with self._model.disable_adapter():
            return self._model.generate(*args, **options)

    def eval(self) -> AdapterOff:
        """Leave the model's mode to whoever trains it."""
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)
