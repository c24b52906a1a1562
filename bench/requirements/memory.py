"""The memory of training, sampling and scoring, part by part, from a model's shape."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

from bench.requirements.shape import Shape, token_activations
from methods.core.models.engines.memory import BYTES_PER_LOGIT
from methods.core.models.loading import Loading
from methods.core.models.logprobs import LOGITS

FLOAT, BF16 = 4, 2
# Bytes of a frozen weight: in 4 bit with the scales of its block.
FROZEN = {"float32": 4.0, "bfloat16": 2.0, "4bit": 0.56}
# Copies of the logits that a loss needs at once: logits, log-probabilities, their gradients.
LOGIT_COPIES = 3


@dataclass(frozen=True)
class Memory:
    """Memory by what it is for (bytes).

    Attributes:
        weights: Weights of all models, and copies in bf16 that training computes with.
        gradients: Gradients of the trained weights.
        optimizer: Two averages for each trained weight (Adam).
        activations: What the forward pass of a micro-batch keeps for the backward pass, and logits.
        cache: Keys and values while sampling.
    """

    weights: float = 0.0
    gradients: float = 0.0
    optimizer: float = 0.0
    activations: float = 0.0
    cache: float = 0.0

    def __add__(self, other: Memory) -> Memory:
        return Memory(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )

    @property
    def total(self) -> float:
        """The most that is in use at once: sampling and training take turns."""
        training = self.gradients + self.activations
        return self.weights + self.optimizer + max(training, self.cache)


class Model(NamedTuple):
    """A model on a device.

    Attributes:
        name: As the user named it.
        shape: Its shape.
        loading: How it is loaded for training.
        bf16: Whether it computes in bf16, and is kept in bf16 where it is not trained.
    """

    name: str
    shape: Shape
    loading: Loading
    bf16: bool

    @property
    def trained(self) -> float:
        """The number of weights that are trained."""
        lora = self.loading.lora
        return lora.rank * self.shape.adapter_width if lora.rank else self.shape.parameters

    def activations(self, tokens: int) -> float:
        """Return what a training step keeps for each token of texts of this length (bytes)."""
        whole = token_activations(self.name, tokens, bf16=self.bf16)
        if not self.loading.gradient_checkpointing:
            return whole
        # The input of each layer, and one layer at a time.
        return FLOAT * self.shape.layers * self.shape.hidden + whole / self.shape.layers


def trained_model(model: Model) -> Memory:
    """Return the memory of a model's weights, gradients and optimizer."""
    loading, trained = model.loading, model.trained
    weights = FLOAT * trained
    if loading.adapters:
        kept_as = "4bit" if loading.quantization == "4bit" else loading.dtype
        weights += FROZEN[kept_as] * model.shape.parameters
    elif model.bf16:
        weights += BF16 * model.shape.body
    return Memory(weights=weights, gradients=FLOAT * trained, optimizer=2 * FLOAT * trained)


def frozen_model(model: Model) -> Memory:
    """Return the memory of a model that is only read."""
    return Memory(weights=(BF16 if model.bf16 else FLOAT) * model.shape.parameters)


def step(model: Model, tokens: int, length: int, scored: int) -> Memory:
    """Return the memory of a micro-batch of training.

    Args:
        model: The model.
        tokens: Tokens of the micro-batch, padding included.
        length: Tokens of its longest text.
        scored: Tokens whose logits are computed, part by part; 0 for a model that has none.
    """
    logits = min(scored * model.shape.vocabulary, LOGITS)
    # Gradients of the embeddings come from both ends of the model, and are added.
    embeddings = 0 if model.loading.adapters else model.shape.vocabulary * model.shape.hidden
    kept = tokens * model.activations(length)
    return Memory(activations=kept + LOGIT_COPIES * FLOAT * logits + 2 * FLOAT * embeddings)


def sampling(model: Model, rows: int, length: int) -> Memory:
    """Return the memory of keys and values, and of the logits of one token, while sampling.

    Args:
        model: The model.
        rows: Texts that are sampled at once.
        length: Tokens of the longest text, prompt included.
    """
    kept = rows * length * model.shape.cache_width * (BF16 if model.bf16 else FLOAT)
    return Memory(cache=kept + BYTES_PER_LOGIT * rows * model.shape.vocabulary)
