"""Recorded texts, cut into prompts and demonstrations."""

from __future__ import annotations

import json
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cache.files import write_json
from bench.data.reading import read_rows
from bench.data.rows import Row
from bench.data.splits import split_of
from bench.errors import UserError
from bench.tasks.base import Example
from methods.core.models.sampling import derive_seed

if TYPE_CHECKING:
    from bench.pipeline.sentiment import SentimentPipeline

FILE = "texts.json"
SPLITS = ("train", "validation", "test")


def make_sentiment(pipeline: SentimentPipeline, folder: Path) -> dict[str, Any]:
    """Write the beginning of each text as a prompt, once, with its continuation.

    Returns:
        The number of prompts in each split.

    Raises:
        UserError: The data cannot be read, a row has no text, or a split would be empty.
    """
    task, tokenizer = pipeline.task, pipeline.tokenizer
    lengths = range(task.shortest, task.longest + 1)
    examples: dict[str, Example] = {}
    for row in islice(read_rows(task.data, task.split), task.rows or None):
        text = row.fields.get(task.column) if isinstance(row, Row) else None
        if not isinstance(text, str):
            raise UserError(f"{task.data}: line {row.line}: no text in column '{task.column}'")
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        start = lengths[derive_seed("beginning", sha256(text.encode()).hexdigest()) % len(lengths)]
        continuation = ids[start : start + task.response_tokens]
        if len(continuation) == 0:
            continue
        ended = len(ids) - start < task.response_tokens
        prompt = tokenizer.decode(ids[:start])
        response = tokenizer.decode(continuation) + (pipeline.end if ended else "")
        examples.setdefault(prompt, Example(prompt, response))
    splits = [split_of(prompt, task.shares) for prompt in examples]
    if missing := set(SPLITS) - set(splits):
        raise UserError(f"{task.data}: too few texts: none for {', '.join(sorted(missing))}")
    write_json(folder / FILE, list(examples.values()))
    return {split: splits.count(split) for split in SPLITS}


def read_texts(folder: Path) -> list[Example]:
    """Return the demonstrations that `make_sentiment` wrote."""
    content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return [Example(*row) for row in content]
