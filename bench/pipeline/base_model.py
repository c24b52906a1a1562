"""The base model: one that is pretrained here on the task's text, or any that can be loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.errors import UserError
from bench.tasks.base import END, PAD, TAGS, UNKNOWN, Architecture

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Of whole words, with a space between any two tokens.
WORD_TEMPLATE = (
    "{% for turn in messages %}"
    "{% if turn.role == 'user' %}<prompt> {{ turn.content }} </prompt> "
    "{% else %}<answer> {{ turn.content }} {% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<answer> {% endif %}"
)
# Of pieces of words.
PIECE_TEMPLATE = (
    "{% for turn in messages %}"
    "{% if turn.role == 'assistant' %}<answer>{{ turn.content }}</answer>"
    "{% else %}<prompt>{{ turn.content }}</prompt>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<answer>{% endif %}"
)
# For models from elsewhere that come without one.
DIALOGUE_TEMPLATE = (
    "{{ bos_token if add_bos_token else '' }}"
    "{% for turn in messages %}"
    "{{ 'Assistant' if turn.role == 'assistant' else 'Human' }}:\n{{ turn.content }}\n\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}Assistant:\n{% endif %}"
)
# The response goes on where the prompt's text ends.
PLAIN_TEMPLATE = (
    "{{ bos_token if add_bos_token else '' }}"
    "{% for turn in messages %}{{ turn.content }}{% endfor %}"
)
WORD_POSITIONS, PIECE_POSITIONS = 128, 2048
NEW_PAD = "<|pad|>"


class Size(NamedTuple):
    """An embedded model: its architecture, and how many pieces of words it knows at most."""

    architecture: Architecture
    vocabulary: int


# By their number of parameters, with a vocabulary that is used to the full.
SIZES = {
    "tiny": Size(Architecture(2, 64, 2, 176), 2048),
    "1M": Size(Architecture(4, 128, 4, 352), 2048),
    "10M": Size(Architecture(6, 320, 5, 880), 8192),
    "50M": Size(Architecture(8, 640, 10, 1760), 16384),
    "150M": Size(Architecture(12, 896, 14, 2464), 32768),
}


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
        chat_template=WORD_TEMPLATE,
    )


def train_tokenizer(texts: Iterable[str], vocabulary: int, plain: bool) -> PreTrainedTokenizerBase:
    """Return a byte-pair tokenizer trained on the texts: any text can be written with it.

    plain: prompts are text that the response continues, not turns.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END, *TAGS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens=list(TAGS),
        chat_template=PLAIN_TEMPLATE if plain else PIECE_TEMPLATE,
    )


def load_tokenizer(folder: Path, plain: bool) -> PreTrainedTokenizerBase:
    """Return a model's own tokenizer, with a pad token that is not its end, and a chat template.

    Its own template is kept, unless prompts are plain. Raises UserError where there is no end.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{folder}: its tokenizer cannot be loaded: {reason}") from None
    if not plain and tokenizer.chat_template and (end := end_of_turn(tokenizer)):
        tokenizer.eos_token = end
    if tokenizer.eos_token_id is None:
        raise UserError(f"{folder}: its tokenizer has no end token (eos_token)")
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        tokenizer.add_special_tokens({"pad_token": NEW_PAD})
    if plain or not tokenizer.chat_template:
        template = PLAIN_TEMPLATE if plain else DIALOGUE_TEMPLATE
        starts = tokenizer.bos_token_id is not None and _puts_start(tokenizer)
        tokenizer.chat_template = template.replace(
            "bos_token if add_bos_token else ''", "bos_token" if starts else "''"
        )
    return tokenizer


def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return the token with which the chat template ends an answer, or None without one.

    Some models end their texts with another token than their turns.
    """
    said = "an answer"
    turns = [{"role": "user", "content": "a question"}, {"role": "assistant", "content": said}]
    rest = str(tokenizer.apply_chat_template(turns, tokenize=False)).rpartition(said)[2].strip()
    special = [*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()]
    return next((str(token) for token in special if token and rest.startswith(str(token))), None)


def _puts_start(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether the tokenizer itself begins a text with its start token."""
    return bool(tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id])


def make_model(
    size: Architecture,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    positions: int = WORD_POSITIONS,
    tied: bool = False,
) -> PreTrainedModel:
    """Return an untrained Llama model.

    positions: the longest text that it takes, in tokens. tied: one matrix reads and writes tokens,
    for a large vocabulary would be most of a small model.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=size.intermediate,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=positions,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=tied,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def load_model(folder: Path, tokenizer: PreTrainedTokenizerBase, dtype: str) -> PreTrainedModel:
    """Return a pretrained causal language model with room for the tokenizer's tokens.

    Safetensors only, no code from elsewhere. Raises UserError where that is not to be had.
    """
    from transformers import AutoModelForCausalLM

    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, dtype=dtype, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{folder}: no causal language model: {reason}") from None
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer))
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model
