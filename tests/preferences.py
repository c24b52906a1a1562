"""Recorded preferences that the tests make, and models to learn them: small, and learned soon."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

NAMES = ["Ada", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal", "Ida", "Jo"]
THINGS = ["lamp", "door", "cup", "boat", "hat", "key", "map", "coin", "drum", "kite"]
NICE, RUDE = "Yes, with pleasure.", "No, go away."


def dialogues(count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """Return questions, each once, with a nice answer and a rude one."""
    random = Random(seed)
    asked = [
        f"{name}: may I have the {thing} number {i}?"
        for i in range(1 + count // (len(NAMES) * len(THINGS)))
        for name in NAMES
        for thing in THINGS
    ]
    random.shuffle(asked)
    return [(question, NICE, RUDE) for question in asked[:count]]


def pairs(count: int) -> list[dict[str, Any]]:
    """Return rows in TRL's plain form. One in eight has it the other way round."""
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


# Little of everything: what is looked at is the machinery.
SMALL_DIALS: dict[str, Any] = {
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
    """Write the small experiment on recorded preferences; JSON is YAML too."""
    import copy

    content = copy.deepcopy(SMALL)
    content["tasks"] = {"recorded": {"options": {**SMALL_DIALS, "data": str(data), **options}}}
    file = folder / "small.yaml"
    file.write_text(json.dumps(content))
    return file


ROLES = "{% for turn in messages %}<|im_start|>{{ turn.role }}\n{{ turn.content }}<|im_end|>\n"
QWEN_TEMPLATE = (
    ROLES + "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_folder(kind: str, folder: Path) -> Path:
    """Save a small untrained model as its makers do, with a tokenizer of its own.

    gpt2: an end token and nothing else, absolute positions. qwen2: a chat template, an end of turn
    beside the pad token. gpt_neox: no pad token. llama: a start token that the tokenizer puts.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
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
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((" ".join(row.values()) for row in pairs(100)), trainer)
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
    own = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names[kind])
    size = len(own)
    common = {"vocab_size": size, "eos_token_id": own.eos_token_id}
    torch.manual_seed(0)
    made: Any
    if kind == "gpt2":
        made = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=96, **common))
    elif kind == "qwen2":
        made = Qwen2ForCausalLM(
            Qwen2Config(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                max_position_embeddings=128,
                tie_word_embeddings=True,
                # As its makers do: more rows than tokens.
                **(common | {"vocab_size": size + 7}),
            )
        )
    elif kind == "gpt_neox":
        made = GPTNeoXForCausalLM(
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
        made = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=128,
                bos_token_id=own.bos_token_id,
                **common,
            )
        )
    made.save_pretrained(folder)
    own.save_pretrained(folder)
    return folder
