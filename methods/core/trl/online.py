"""Training with TRL's online trainers, which sample responses and call our reward on their text."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from methods.core.models import distributed
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import derive_seed
from methods.core.models.text import (
    Turns,
    decode_responses,
    end_token_ids,
    to_prompt,
    to_turns,
)
from methods.core.online.rewards import finite_rewards
from methods.core.online.rollout import draw_prompts
from methods.core.training.context import Context
from methods.core.training.progress import folder_checksum
from methods.core.training.trainer import (
    LOWER_LEARNING_RATE,
    Diverged,
    every_log,
    every_save,
    every_step,
    train_quietly,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


# Batches between saves for resuming.
SAVE_EVERY = 10


def fit_by_online_trainer(
    context: Context,
    trainer: Any,
    config: Any,
    *,
    batches: int,
    batch_size: int,
    group: int,
    steps_per_batch: int = 1,
    curve: Callable[[dict[str, float]], dict[str, float]],
    **options: Any,
) -> ModelPolicy:
    """Train a fresh copy of the SFT policy with a trainer of TRL that takes a reward function.

    The trainer's reference is the SFT policy: TRL copies the model before it trains it. A run that
    was killed resumes from the trainer's last checkpoint.

    Args:
        context: The context, with an open reward.
        trainer: The trainer's class.
        config: The class of its config.
        batches: How many batches of responses to sample.
        batch_size: Responses of a batch.
        group: Responses to each prompt.
        steps_per_batch: Optimizer steps on each batch.
        curve: Turns a log entry of the trainer into our metrics.
        **options: Settings of the config.

    Returns:
        The trained policy.

    Raises:
        Diverged: A loss, a weight or a reward is not finite.
    """
    from datasets import Dataset
    from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

    policy = context.start()
    steps = batches * steps_per_batch
    if steps == 0:
        return policy
    prompts = [
        prompt
        for number in range(batches)
        for prompt in draw_prompts(context, number, batch_size // group)
    ]
    total = batches * batch_size

    def episodes(step: float) -> int:
        return int(step * total / steps)

    def log(entry: dict[str, float]) -> None:
        _check_loss(entry)
        context.log(episodes(entry["step"]), loss=entry["loss"], **curve(entry))

    def trainer_checkpoint(step: int) -> Path:
        return context.workdir / f"{PREFIX_CHECKPOINT_DIR}-{step}"

    def save(step: int) -> None:
        # Each process writes a part of the trainer's checkpoint.
        distributed.all_gather(None)
        checksum = folder_checksum(trainer_checkpoint(step))
        context.save_progress({"step": step, "checksum": checksum})

    def is_whole(state: dict[str, Any]) -> bool:
        return bool(folder_checksum(trainer_checkpoint(state["step"])) == state["checksum"])

    saved = context.load_progress(is_whole)
    if saved is None and distributed.is_main():
        # The trainer would count those of an earlier start as its own, and keep them instead.
        for folder in context.workdir.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
            shutil.rmtree(folder, ignore_errors=True)
    arguments = config(**online_arguments(context, policy, steps, steps_per_batch) | options)
    train_quietly(
        lambda: trainer(
            model=policy.model,
            reward_funcs=text_reward(context, policy.tokenizer),
            args=arguments,
            # As turns: as text, a prompt could get a second beginning-of-text token.
            train_dataset=Dataset.from_list([{"prompt": to_turns(prompt)} for prompt in prompts]),
            processing_class=policy.tokenizer,
            callbacks=[
                every_log(log),
                every_step(lambda step: context.checkpoint(episodes(step), total, policy)),
                every_save(save),
            ],
        ),
        resume_from=trainer_checkpoint(saved["step"]) if saved else None,
    )
    policy.model.eval()
    return policy


def online_arguments(
    context: Context, policy: ModelPolicy, steps: int, steps_per_batch: int
) -> dict[str, Any]:
    """Return the settings that TRL's online trainers share; training samples as the context says.

    Args:
        context: The context.
        policy: The policy to train.
        steps: Optimizer steps of the training.
        steps_per_batch: Optimizer steps on each batch of responses.
    """
    return context.trainer_arguments(policy.model) | {
        "seed": derive_seed("online", context.seed),
        "max_steps": steps,
        "logging_steps": steps_per_batch,
        "logging_nan_inf_filter": False,
        # Between two batches, so that a resumed run starts by sampling one.
        "save_strategy": "steps",
        "save_steps": SAVE_EVERY * steps_per_batch,
        # The last one, and the one before in case of a kill between its save and that of usage.
        "save_total_limit": 2,
        "disable_dropout": True,
        "temperature": context.sampling.temperature,
        "top_k": context.sampling.top_k,
        "top_p": context.sampling.top_p,
        "min_p": None,
        "repetition_penalty": 1.0,
    }


def text_reward(context: Context, tokenizer: PreTrainedTokenizerBase) -> Callable[..., list[float]]:
    """Return a reward function for TRL that rewards the text exactly as the model sampled it.

    TRL's own text lacks the end token, so a cut-off response would look like one that ended.

    Args:
        context: The context whose reward is called.
        tokenizer: The policy's tokenizer.
    """

    def reward(
        prompts: Sequence[Turns], completion_ids: Sequence[list[int]], **_: Any
    ) -> list[float]:
        ends = end_token_ids(tokenizer)
        sampled = [up_to_end(ids, ends) for ids in completion_ids]
        texts = [to_prompt(turns) for turns in prompts]
        return finite_rewards(context, texts, decode_responses(tokenizer, sampled))

    return reward


def up_to_end(ids: list[int], ends: Sequence[int]) -> list[int]:
    """Return the tokens up to and including the first end token, or all if there is none."""
    places = [place for place, token in enumerate(ids) if token in ends]
    return ids[: places[0] + 1] if places else ids


def _check_loss(entry: dict[str, float]) -> None:
    if not math.isfinite(entry["loss"]):
        raise Diverged(f"loss is {entry['loss']} at step {entry['step']}: {LOWER_LEARNING_RATE}")
