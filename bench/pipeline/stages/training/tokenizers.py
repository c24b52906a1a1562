"""Tokenizers of whole words, of byte pairs trained on the data's text, and of loaded models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, reason_of
from bench.tasks.base import END, PAD, TAGS, UNKNOWN
from methods.core.models.chat_template import TemplateValue, fix_chat_template
from methods.core.models.pretrained import (
    GENERATION_FILE,
    read_config,
    read_generation_config,
    read_tokenizer,
)
from methods.core.models.text import END_TOKENS, render_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# For tokenizers of whole words, which need a space between any two tokens.
WORD_TEMPLATE = (
    "{% for turn in messages %}"
    "{% if turn.role == 'user' %}<prompt> {{ turn.content }} </prompt> "
    "{% else %}<answer> {{ turn.content }} {% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<answer> {% endif %}"
)
# For tokenizers of byte pairs.
PIECE_TEMPLATE = (
    "{% for turn in messages %}"
    "{% if turn.role == 'assistant' %}<answer>{{ turn.content }}</answer>"
    "{% else %}<prompt>{{ turn.content }}</prompt>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<answer>{% endif %}"
)
# For loaded models without a chat template.
DIALOGUE_TEMPLATE = (
    "{{ bos_token if add_bos_token else '' }}"
    "{% for turn in messages %}"
    "{{ 'Assistant' if turn.role == 'assistant' else 'Human' }}:\n{{ turn.content }}\n\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}Assistant:\n{% endif %}"
)
# For plain text: the response continues the prompt.
PLAIN_TEMPLATE = (
    "{{ bos_token if add_bos_token else '' }}"
    "{% for turn in messages %}{{ turn.content }}{% endfor %}"
)
NEW_PAD = "<|pad|>"
# What a chat template is tried with.
QUESTION = "a question"
# Tokens that their makers left for such uses, the best first.
SPARE_TOKENS = ("finetune_right_pad", "pad", "reserved", "unused")


def make_tokenizer(words: list[str]) -> PreTrainedTokenizerBase:
    """Return a tokenizer of whole words, separated by single spaces; decoding is lossless."""
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
    """Return a byte-pair tokenizer trained on texts; it can encode any text.

    Args:
        texts: What it is trained on.
        vocabulary: The largest number of tokens.
        plain: Whether responses continue the prompt's text, instead of being turns of a dialogue.
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


def load_tokenizer(
    folder: Path, plain: bool, values: Mapping[str, TemplateValue] | None = None
) -> PreTrainedTokenizerBase:
    """Return a model's own tokenizer, with end tokens, a separate pad token and a chat template.

    Args:
        folder: The model's.
        plain: Whether responses continue the prompt's text. If not, the tokenizer's own template is
            kept where it has one.
        values: Values of the variables of the tokenizer's own template.

    Raises:
        UserError: The tokenizer cannot be loaded, or has no end token, or its template fails.
    """
    try:
        tokenizer = read_tokenizer(folder)
        ends = _end_tokens(folder, tokenizer)
    except Exception as error:  # whatever files raise that are not valid
        raise UserError(f"{folder}: its tokenizer cannot be loaded: {reason_of(error)}") from None
    if not plain and tokenizer.chat_template:
        try:
            fix_chat_template(tokenizer, values)
            end = end_of_turn(tokenizer)
            if QUESTION not in render_prompt(tokenizer, QUESTION):
                raise ValueError("it leaves out what the user says")
        except Exception as error:  # whatever a template raises
            raise UserError(f"{folder}: its chat template fails: {reason_of(error)}") from None
        if end:
            tokenizer.eos_token = end
    if tokenizer.eos_token_id is None:
        raise UserError(f"{folder}: its tokenizer has no end token (eos_token)")
    tokenizer.init_kwargs[END_TOKENS] = list(dict.fromkeys([str(tokenizer.eos_token), *ends]))
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        tokenizer.add_special_tokens({"pad_token": _spare_token(tokenizer) or NEW_PAD})
    if plain or not tokenizer.chat_template:
        template = PLAIN_TEMPLATE if plain else DIALOGUE_TEMPLATE
        starts = tokenizer.bos_token_id is not None and _adds_bos(tokenizer)
        tokenizer.chat_template = template.replace(
            "bos_token if add_bos_token else ''", "bos_token" if starts else "''"
        )
    return tokenizer


def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return the token with which the chat template ends an answer, or None without one.

    Some models end a turn with another token than `eos_token`.
    """
    answer = "an answer"
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": answer}]
    text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    after = text.rpartition(answer)[2].strip()
    special = [*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()]
    return next((str(token) for token in special if token and after.startswith(str(token))), None)


def _end_tokens(folder: Path, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the tokens that end a response by the tokenizer and the model's configurations."""
    generation = read_generation_config(folder / GENERATION_FILE) or {}
    ids: Any = generation.get("eos_token_id")
    if ids is None:
        config = read_config(folder)
        ids = getattr(config.get_text_config(), "eos_token_id", None)
    # A configuration may be another tokenizer's, so ordinary tokens are not believed to be ends.
    special = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    known = [id_ for id_ in (ids if isinstance(ids, list) else [ids]) if id_ in special]
    if tokenizer.eos_token_id is not None:
        known.append(tokenizer.eos_token_id)
    ends: list[str] = tokenizer.convert_ids_to_tokens(known)
    return ends


def _spare_token(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return a token that nothing uses and that can be the pad token, or None without one."""
    names = ("bos_token", "unk_token", "sep_token", "cls_token", "mask_token")
    used = {*(getattr(tokenizer, name) for name in names), *tokenizer.init_kwargs[END_TOKENS]}
    template = str(tokenizer.chat_template)
    spare = [
        token
        for token in sorted(tokenizer.get_added_vocab(), key=tokenizer.convert_tokens_to_ids)
        if token not in used and token not in template
    ]
    return next((token for name in SPARE_TOKENS for token in spare if name in token.lower()), None)


def _adds_bos(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether the tokenizer begins each text with its start token."""
    return bool(tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id])
