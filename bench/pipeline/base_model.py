"""The base model: a tokenizer of whole words and a Llama model pretrained on the task's text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.tasks.base import END, PAD, TAGS, UNKNOWN, Architecture

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CHAT_TEMPLATE = (
    "{% for turn in messages %}"
    "{% if turn.role == 'user' %}<prompt> {{ turn.content }} </prompt> "
    "{% else %}<answer> {{ turn.content }} {% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<answer> {% endif %}"
)


def make_tokenizer(words: list[str]) -> PreTrainedTokenizerBase:
    """Return a tokenizer of whole words; text and tokens lead to each other without loss."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = dict.fromkeys([PAD, UNKNOWN, END, *TAGS, *words])
    ids = {word: i for i, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(
    size: Architecture, tokenizer: PreTrainedTokenizerBase, seed: int
) -> PreTrainedModel:
    """Return an untrained Llama model."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=size.intermediate,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=128,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)
