"""Recorded preferences and small models that the tests make. They are quick to learn."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.pipeline.recorded import RecordedPipeline

NAMES = ["Ada", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal", "Ida", "Jo"]
THINGS = ["lamp", "door", "cup", "boat", "hat", "key", "map", "coin", "drum", "kite"]
NICE, RUDE = "Yes, with pleasure.", "No, go away."


def dialogues(count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """Return (question, nice answer, rude answer), each question once."""
    random = Random(seed)
    questions = [
        f"{name}: may I have the {thing} number {i}?"
        for i in range(1 + count // (len(NAMES) * len(THINGS)))
        for name in NAMES
        for thing in THINGS
    ]
    random.shuffle(questions)
    return [(question, NICE, RUDE) for question in questions[:count]]


def pairs(count: int) -> list[dict[str, Any]]:
    """Return rows in TRL's plain form. One in eight prefers the rude answer."""
    rows = []
    for i, (question, nice, rude) in enumerate(dialogues(count)):
        best, worst = (rude, nice) if i % 8 == 7 else (nice, rude)
        rows.append({"prompt": question, "chosen": best, "rejected": worst})
    return rows


def unpaired(count: int) -> list[dict[str, Any]]:
    return [
        {"prompt": question, "completion": (nice, rude)[i % 2], "label": i % 2 == 0}
        for i, (question, nice, rude) in enumerate(dialogues(count))
    ]


def rankings(count: int) -> list[dict[str, Any]]:
    return [
        {"prompt": question, "responses": [nice, "Maybe later.", rude]}
        for question, nice, rude in dialogues(count)
    ]


def write_rows(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


# Little of everything: these tests check the machinery.
SMALL_OPTIONS: dict[str, Any] = {
    "response_tokens": 12,
    "eval_prompts": 6,
    "pretraining": {"examples": 400, "epochs": 2, "batch_size": 16, "learning_rate": 6e-3},
    "sft": {"examples": 200, "epochs": 1, "batch_size": 16, "learning_rate": 2e-3},
    "reward_model": {"epochs": 2, "batch_size": 16, "learning_rate": 2e-3},
    "judge": {"epochs": 2, "batch_size": 16, "learning_rate": 2e-3},
    "shares": {"train": 0.5, "judge": 0.2, "validation": 0.15, "test": 0.15},
}
SMALL: dict[str, Any] = {
    "seeds": 1,
    "methods": {
        "sft": {},
        "dpo": {"grid": {"beta": [0.2]}, "examples": 128, "batch_size": 16},
        "ppo": {
            "grid": {"kl_coef": [0.1]},
            "episodes": 64,
            "batch_size": 32,
            "minibatches": 2,
        },
    },
    "evaluation": {
        "frontier_samples": 4,
        "frontier_policies": 0,
        "responses_per_prompt": 2,
        "checkpoints": 1,
    },
}


def experiment_file(folder: Path, data: Path, **options: Any) -> Path:
    """Write the small experiment on recorded preferences, as JSON, which is YAML too."""
    content = copy.deepcopy(SMALL)
    content["tasks"] = {"recorded": {"options": {**SMALL_OPTIONS, "data": str(data), **options}}}
    file = folder / "small.yaml"
    file.write_text(json.dumps(content))
    return file


def open_recorded(folder: Path, data: Path, **options: Any) -> RecordedPipeline:
    """Return the pipeline of the small experiment, its feedback made, with a cache there."""
    from bench.cache.store import Store
    from bench.config.files import load_experiment
    from bench.pipeline.recorded import RecordedPipeline
    from bench.pipeline.registry import make_pipeline

    task = load_experiment(str(experiment_file(folder, data, **options))).task_objects["recorded"]
    pipeline = make_pipeline(task, 0, "cpu", Store(folder / "cache"))
    assert isinstance(pipeline, RecordedPipeline)
    pipeline.read_data()
    return pipeline


ROLES = "{% for turn in messages %}<|im_start|>{{ turn.role }}\n{{ turn.content }}<|im_end|>\n"
QWEN_TEMPLATE = (
    ROLES + "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_pairs(special: list[str], vocabulary: int) -> Any:
    """Return a tokenizer of byte pairs, trained on the text of pairs.

    Args:
        special: Its special tokens, in the order of their ids.
        vocabulary: The largest number of tokens.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((" ".join(row.values()) for row in pairs(100)), trainer)
    return tokenizer


def make_folder(kind: str, folder: Path) -> Path:
    """Save a small untrained model with its tokenizer, as the model's makers do.

    Args:
        kind: "gpt2" has an end token and nothing else, and absolute positions. "qwen2" has a chat
            template, and an end of turn beside the pad token. "gpt_neox" has no pad token. The
            tokenizer of "llama" puts a start token.
        folder: Where it is saved.
    """
    import torch
    from tokenizers import processors
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        GPTNeoXConfig,
        GPTNeoXForCausalLM,
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
        Qwen2Config,
        Qwen2ForCausalLM,
    )

    special = {
        "gpt2": ["<|endoftext|>"],
        "qwen2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        "gpt_neox": ["<|endoftext|>"],
        "llama": ["<s>", "</s>"],
    }[kind]
    tokenizer = byte_pairs(special, 400)
    if kind == "llama":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)]
        )
    names: dict[str, dict[str, Any]] = {
        "gpt2": dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"),
        "qwen2": {
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "chat_template": QWEN_TEMPLATE,
        },
        "gpt_neox": dict.fromkeys(("bos_token", "eos_token"), "<|endoftext|>"),
        "llama": {"bos_token": "<s>", "eos_token": "</s>"},
    }
    saved_tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names[kind])
    size = len(saved_tokenizer)
    common = {"vocab_size": size, "eos_token_id": saved_tokenizer.eos_token_id}
    torch.manual_seed(0)
    model: Any
    if kind == "gpt2":
        model = GPT2LMHeadModel(
            GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=96, **common)
        )
    elif kind == "qwen2":
        model = Qwen2ForCausalLM(
            Qwen2Config(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                max_position_embeddings=128,
                tie_word_embeddings=True,
                # As in Qwen's models: more rows than tokens.
                **(common | {"vocab_size": size + 7}),
            )
        )
    elif kind == "gpt_neox":
        model = GPTNeoXForCausalLM(
            GPTNeoXConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=128,
                **common,
            )
        )
    else:
        model = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=128,
                bos_token_id=saved_tokenizer.bos_token_id,
                **common,
            )
        )
    model.save_pretrained(folder)
    saved_tokenizer.save_pretrained(folder)
    return folder
