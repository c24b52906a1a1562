"""How many preferences there are, and how long their texts are, without a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from bench.data.checks import TooManyBadRowsError, check_rows
from bench.data.reading import read_rows
from bench.errors import UserError
from bench.tasks.recorded import Recorded
from methods.core.feedback import Label, responses_of

# English text has about four characters in a token.
CHARACTERS = 4
# Tokens that a chat template adds to a prompt.
TEMPLATE = 24
# Rows that are read. More would take longer than they tell.
MOST_ROWS = 50_000
# What is assumed of data on the hub, which is not fetched for an estimate.
HUB_ROWS, HUB_PROMPT, HUB_LONGEST_PROMPT = 50_000, 200, 1024


class Texts(NamedTuple):
    """Labeled responses to prompts, in numbers.

    Attributes:
        rows: Number of labels.
        responses: Responses of each label.
        prompt: Mean length of a prompt (tokens).
        response: Mean length of a response (tokens).
        longest_prompt: Length of the longest prompt (tokens).
        longest_response: Length of the longest response (tokens).
        assumed: Whether the data was not read, so that these are guesses.
    """

    rows: int
    responses: int
    prompt: float
    response: float
    longest_prompt: int
    longest_response: int
    assumed: bool = False

    @property
    def mean(self) -> float:
        """Mean length of a prompt with a response (tokens)."""
        return self.prompt + self.response

    @property
    def longest(self) -> int:
        """Length of the longest prompt with the longest response (tokens)."""
        return self.longest_prompt + self.longest_response


def texts_of(task: Recorded, positions: int) -> Texts:
    """Return the lengths of a task's texts as its model will read them.

    Args:
        task: Recorded preferences.
        positions: The longest text that the model takes (tokens).
    """
    response = min(task.response_tokens, positions // 2)
    most = positions - response
    limit = min(most, task.max_prompt_tokens or most)
    labels = _labels(task)
    prompts = [len(label.prompt) // CHARACTERS + TEMPLATE for label in labels]
    kept = [i for i, length in enumerate(prompts) if length <= limit]
    if not kept:
        longest = min(limit, HUB_LONGEST_PROMPT)
        rows = task.rows or HUB_ROWS
        return Texts(rows, 2, min(HUB_PROMPT, longest), response, longest, response, True)
    lengths = [
        min(len(text) // CHARACTERS + 1, response) for i in kept for text in responses_of(labels[i])
    ]
    return Texts(
        rows=len(kept),
        responses=max(1, round(len(lengths) / len(kept))),
        prompt=mean(prompts[i] for i in kept),
        response=mean(lengths),
        longest_prompt=max(prompts[i] for i in kept),
        longest_response=response,
    )


def rows_of(task: Recorded) -> int:
    """Return the number of labels that can be used, up to a limit; 0 for data on the hub."""
    return len(_labels(task))


def _labels(task: Recorded) -> Sequence[Label]:
    """Return the first labels of a file or folder; none of data on the hub, or not readable."""
    if not Path(task.data).expanduser().exists():
        return []
    try:
        rows = islice(read_rows(task.data, task.split), min(task.rows or MOST_ROWS, MOST_ROWS))
        return check_rows(rows, task.columns, plain=task.text == "plain").labels
    except (UserError, TooManyBadRowsError):
        # The run says what is wrong with the data.
        return []
