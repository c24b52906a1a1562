"""Conversion between text and token ids.

A prompt is text: a user's message, or a conversation as a JSON list of turns with role and content.
The chat template turns it into tokens. A response is the text that the model sampled, including its
end token if it ended. So a response that was cut off differs from one that ended.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


# The key of a tokenizer's configuration under which its end tokens are saved.
END_TOKENS = "end_tokens"
Turns = list[dict[str, str]]
# The token ids of prompts, by tokenizer: online methods and the evaluation see the same ones often.
_encoded: WeakKeyDictionary[PreTrainedTokenizerBase, dict[str, list[int]]] = WeakKeyDictionary()
_CONVERSATION = '[{"role": '


def to_prompt(turns: Turns) -> str:
    """Return a conversation as a prompt: JSON, or the text itself of a single user turn."""
    if len(turns) == 1 and turns[0]["role"] == "user":
        content = turns[0]["content"]
        if not content.startswith(_CONVERSATION):
            return content
    kept = [{"role": turn["role"], "content": turn["content"]} for turn in turns]
    return json.dumps(kept, ensure_ascii=False)


def to_turns(prompt: str) -> Turns:
    """Return a prompt as a conversation: one user turn, unless the prompt is JSON."""
    if prompt.startswith(_CONVERSATION):
        try:
            turns: Turns = json.loads(prompt)
        except json.JSONDecodeError:
            pass
        else:
            return turns
    return [{"role": "user", "content": prompt}]


def in_words(prompt: str) -> str:
    """Return a prompt for people to read: a conversation with the role before each turn."""
    turns = to_turns(prompt)
    if len(turns) == 1:
        return turns[0]["content"]
    return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)


def render_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    """Return the prompt as the model reads it: its turns, and the opening of the response."""
    turns = to_turns(prompt)
    return str(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))


def encode_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each prompt, chat template included. None is tokenized twice."""
    known = _encoded.setdefault(tokenizer, {})
    new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in known]
    if new:
        rendered = [render_prompt(tokenizer, prompt) for prompt in new]
        known |= zip(new, tokenizer(rendered, add_special_tokens=False)["input_ids"], strict=True)
    return [known[prompt] for prompt in prompts]


def encode_responses(
    tokenizer: PreTrainedTokenizerBase, responses: Sequence[str]
) -> list[list[int]]:
    """Return the token ids of each response. An end token is there only if the text has it."""
    if not responses:
        return []
    return list(tokenizer(list(responses), add_special_tokens=False)["input_ids"])


def decode_responses(
    tokenizer: PreTrainedTokenizerBase, responses: Sequence[Sequence[int]]
) -> list[str]:
    """Return the text of each response, special tokens included."""
    return list(
        tokenizer.batch_decode(
            [list(ids) for ids in responses],
            skip_special_tokens=False,
            clean_up_tokenization_spaces=False,
        )
    )


def has_ended(tokenizer: PreTrainedTokenizerBase, response: str) -> bool:
    """Return whether the model ended the response, rather than being cut off."""
    return response.endswith(tuple(end_tokens(tokenizer)))


def end_tokens(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return all tokens that end a response. Training responses end with the first one.

    A model may have several: one for the end of a turn, one for the end of a text.
    """
    others = tokenizer.init_kwargs.get(END_TOKENS) or []
    return list(dict.fromkeys([str(tokenizer.eos_token), *others]))


def end_token_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the ids of the tokens that end a response."""
    ids: list[int] = tokenizer.convert_tokens_to_ids(end_tokens(tokenizer))
    return ids


def with_end(response: str, ends: Sequence[str], new: str) -> str:
    """Return the response with its end token replaced. A cut-off response stays as it is."""
    for end in ends:
        if response.endswith(end):
            return response.removesuffix(end) + new
    return response


def distinct(*columns: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Find equal rows, so that each is computed once.

    Args:
        *columns: Columns of the rows, such as prompts and responses.

    Returns:
        The places of the distinct rows, each where it comes first, and for each row the number of
        its equal among them.
    """
    numbers: dict[tuple[Hashable, ...], int] = {}
    firsts: list[int] = []
    equals: list[int] = []
    for place, row in enumerate(zip(*columns, strict=True)):
        number = numbers.setdefault(row, len(numbers))
        if number == len(firsts):
            firsts.append(place)
        equals.append(number)
    return firsts, equals
