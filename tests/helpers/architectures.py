"""Small random models with the quirks of published ones: tokens, chat templates, settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from helpers.preferences import byte_pairs

CHATML = (
    "{% for turn in messages %}<|im_start|>{{ turn.role }}\n{{ turn.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# An empty thinking block opens the response, unless thinking is wanted.
THINKING = CHATML.replace(
    "assistant\n{%",
    "assistant\n{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}{%",
)
# Today's date stands in every prompt.
DATED = (
    "{{ bos_token }}"
    "{%- if not date_string is defined %}"
    "{%- if strftime_now is defined %}{%- set date_string = strftime_now('%d %b %Y') %}"
    "{%- else %}{%- set date_string = '26 Jul 2024' %}{%- endif %}{%- endif %}"
    "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set system = '' %}{%- endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + date_string }}"
    "{{- '\n\n' + system + '<|eot_id|>' }}"
    "{%- for turn in messages %}"
    "{{- '<|start_header_id|>' + turn['role'] + '<|end_header_id|>\n\n' }}"
    "{{- turn['content'] + '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
# No system turn, and turns must alternate.
ALTERNATING = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for turn in messages %}"
    "{% if (turn['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% set role = 'model' if turn['role'] == 'assistant' else turn['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + turn['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


class Quirks(NamedTuple):
    """What is special in a published model's folder.

    Attributes:
        special: Special tokens, in the order of their ids.
        names: Which of them are the tokenizer's eos_token and the like.
        ends: The tokens that its generation config says end a text.
        end: The token that ends a training response.
        pad: The pad token that its policies have.
        prompt: A system turn "Be brief." and a user turn "Hi" as the model reads them.
        template: Its chat template.
        values: Values of the template's variables.
        extra_rows: Rows of the embedding that belong to no token.
    """

    special: list[str]
    names: dict[str, str]
    ends: list[str]
    end: str
    pad: str
    prompt: str
    template: str | None = None
    values: Mapping[str, Any] = MappingProxyType({})
    extra_rows: int = 0


IM_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
IM_PROMPT = (
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    "<|im_start|>assistant\n"
)
GEMMA = Quirks(
    ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"],
    {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>"},
    ["<eos>", "<end_of_turn>"],
    "<end_of_turn>",
    "<pad>",
    "<bos><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\n",
    ALTERNATING,
)
QUIRKS = {
    "gpt2": Quirks(
        ["<|endoftext|>"],
        dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"),
        ["<|endoftext|>"],
        "<|endoftext|>",
        "<|pad|>",
        "Human:\nBe brief.\n\nHuman:\nHi\n\nAssistant:\n",
    ),
    "qwen2": Quirks(
        IM_TOKENS,
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        ["<|im_end|>", "<|endoftext|>"],
        "<|im_end|>",
        "<|endoftext|>",
        IM_PROMPT,
        CHATML,
        extra_rows=40,
    ),
    "qwen3": Quirks(
        IM_TOKENS,
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        ["<|im_end|>", "<|endoftext|>"],
        "<|im_end|>",
        "<|endoftext|>",
        IM_PROMPT + "<think>\n\n</think>\n\n",
        THINKING,
        {"enable_thinking": False},
    ),
    "llama": Quirks(
        [
            *("<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>"),
            *("<|finetune_right_pad_id|>", "<|start_header_id|>", "<|end_header_id|>"),
            *("<|eom_id|>", "<|eot_id|>"),
        ],
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
        ["<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"],
        "<|eot_id|>",
        "<|finetune_right_pad_id|>",
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024\n\n"
        "Be brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        DATED,
    ),
    "gemma3_text": GEMMA,
    "gemma3": GEMMA,
}
# What must not act: on random weights, each of these changes nearly every sample.
SETTINGS: dict[str, Any] = {
    "do_sample": True,
    "repetition_penalty": 1.3,
    "no_repeat_ngram_size": 2,
    "min_new_tokens": 5,
    "suppress_tokens": [70, 71, 72, 73],
    "top_k": 2,
    "top_p": 0.5,
    "temperature": 0.3,
}


def make_architecture(kind: str, folder: Path, settings: dict[str, Any] = SETTINGS) -> Path:
    """Save a small random model with its tokenizer and its quirks.

    Args:
        kind: A name in `QUIRKS`.
        folder: Where it is saved.
        settings: Of its generation config.
    """
    import torch

    quirks = QUIRKS[kind]
    tokenizer = _tokenizer(quirks)
    torch.manual_seed(0)
    model = _model(kind, tokenizer, len(tokenizer) + quirks.extra_rows)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    ends = tokenizer.convert_tokens_to_ids(quirks.ends)
    content = {**settings, "eos_token_id": ends, "bos_token_id": tokenizer.bos_token_id}
    (folder / "generation_config.json").write_text(json.dumps(content))
    return folder


def _tokenizer(quirks: Quirks) -> Any:
    from transformers import PreTrainedTokenizerFast

    tokenizer = byte_pairs(quirks.special, 380)
    template = {"chat_template": quirks.template} if quirks.template else {}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **quirks.names, **template)


def _model(kind: str, tokenizer: Any, rows: int) -> Any:
    import transformers

    special = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    sizes: dict[str, Any] = {
        "vocab_size": rows,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 128,
        "head_dim": 8,
        "initializer_range": 0.2,
    }
    match kind:
        case "gpt2":
            config: Any = transformers.GPT2Config(
                vocab_size=rows, n_embd=16, n_layer=2, n_head=2, n_positions=128, **special
            )
            return transformers.GPT2LMHeadModel(config)
        case "qwen2":
            sizes.pop("head_dim")
            config = transformers.Qwen2Config(**sizes, **special, tie_word_embeddings=True)
            return transformers.Qwen2ForCausalLM(config)
        case "qwen3":
            return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**sizes, **special))
        case "llama":
            return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **special))
        case "gemma3_text":
            config = transformers.Gemma3TextConfig(**sizes, **special, sliding_window=16)
            return transformers.Gemma3ForCausalLM(config)
    vision = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    vision |= {"num_attention_heads": 1, "image_size": 16, "patch_size": 8}
    config = transformers.Gemma3Config(
        text_config={**sizes, **special, "sliding_window": 16},
        vision_config=vision,
        mm_tokens_per_image=4,
        image_token_index=5,
        boi_token_index=6,
        eoi_token_index=7,
    )
    return transformers.Gemma3ForConditionalGeneration(config)
