"""Recorded preferences made ready: read, checked, cut to length, and split by prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.data.checks import BadRow, Checked, check_rows, in_words, require_enough
from bench.data.reading import read_rows
from bench.data.splits import duplicates, first_words, split_of
from bench.errors import UserError
from bench.pipeline.stages.labels import write_labels
from bench.pipeline.stages.models import PIECE_POSITIONS, positions_of
from bench.pipeline.stages.tokenizers import load_tokenizer, train_tokenizer
from bench.tasks.recorded import Recorded
from bench.tasks.sizes import SIZES
from methods.core.feedback import (
    KINDS,
    FeedbackKind,
    Label,
    decisions,
    prompts_of,
    responses_of,
    with_responses,
)
from methods.core.models.text import decode_responses, encode_prompts, encode_responses

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bench.pipeline.recorded import RecordedPipeline

SPLITS = ("train", "judge", "validation", "test")


class Ready(NamedTuple):
    """Labels by split, whose responses are as a policy would sample them.

    cut: how many responses were longer than a policy may speak.
    """

    kind: FeedbackKind
    splits: dict[str, list[Label]]
    checked: Checked
    tokenizer: PreTrainedTokenizerBase
    cut: int


def make_recorded(pipeline: RecordedPipeline, folder: Path) -> dict[str, Any]:
    """Write labels of every split and the tokenizer; return what there is to say of them.

    Raises UserError where too many rows are wrong, or a split would be empty.
    """
    task = pipeline.task
    ready = prepare(task, pipeline.sources.model.folder)
    for split, labels in ready.splits.items():
        write_labels(folder, split, ready.kind, labels)
    ready.tokenizer.save_pretrained(folder / "tokenizer")
    train = ready.splits["train"]
    return {
        "kind": ready.kind,
        "labels": sum(decisions(one) for one in train),
        "unpaired": len(train) if ready.kind == "unpaired" else 0,
        "rows": {split: len(own) for split, own in ready.splits.items()},
        "prompts": {split: len(prompts_of(own)) for split, own in ready.splits.items()},
        "cut_responses": ready.cut,
        "words": [*in_words(task.data, ready.checked), *notes(task, ready)],
    }


def notes(task: Recorded, ready: Ready) -> list[str]:
    """Return what else there is to say of the rows that are used."""
    found = duplicates(ready.checked.labels)
    counts = [
        (found.repeated, "say exactly what an earlier row said"),
        (found.contradicting, "say the reverse of an earlier row"),
    ]
    lines = [f"  {number:,} {what}" for number, what in counts if number]
    if ready.cut:
        lines.append(f"  {ready.cut:,} responses are cut at {task.response_tokens} tokens")
    shares = ", ".join(f"{len(own):,} {split}" for split, own in ready.splits.items())
    return [*lines, f"  {ready.kind} for each split: {shares}"]


def prepare(task: Recorded, model_folder: str) -> Ready:
    """Read, check, cut and split the rows of a task."""
    rows = islice(read_rows(task.data, task.split), task.rows or None)
    checked = check_rows(rows, task.columns, plain=task.text == "plain")
    # How many are too many is asked when all that is wrong is known.
    require_enough(task.data, checked, 1.0)
    tokenizer = tokenizer_of(task, model_folder, checked.labels)
    checked = sifted(checked, fits(tokenizer, prompt_limit(task, model_folder)))
    checked, cut = cut_to(checked, tokenizer, task.response_tokens)
    require_enough(task.data, checked, task.bad_rows)
    splits: dict[str, list[Label]] = {split: [] for split in SPLITS}
    for label in checked.labels:
        splits[split_of(label.prompt, task.shares)].append(label)
    needed = [s for s in SPLITS if s != "judge" or not task.judge_classifier.model]
    for split in needed:
        if len(prompts_of(splits[split])) < 2:
            beginnings = len({first_words(one.prompt) for one in checked.labels})
            raise UserError(
                f"{task.data}: {len(checked.labels)} rows are too few: the {split} split has "
                f"{len(splits[split])}; they are split by what a user says first, of which there "
                f"are {beginnings}; set shares, or bring more"
            )
    first = type(checked.labels[0])
    kind = next(name for name, made in KINDS.items() if made is first)
    return Ready(kind, splits, checked, tokenizer, cut)


def tokenizer_of(
    task: Recorded, model_folder: str, labels: Sequence[Label]
) -> PreTrainedTokenizerBase:
    """Return the model's own tokenizer, or one trained on the text of the train split."""
    plain = task.text == "plain"
    if model_folder:
        return load_tokenizer(Path(model_folder), plain)
    own = [one for one in labels if split_of(one.prompt, task.shares) == "train"]
    texts = (text for one in own for text in (one.prompt, *responses_of(one)))
    return train_tokenizer(texts, SIZES[task.model].vocabulary, plain)


def prompt_limit(task: Recorded, model_folder: str) -> int:
    """Return the longest prompt that leaves room for a response, in tokens."""
    positions = positions_of(model_folder) if model_folder else PIECE_POSITIONS
    most: int = positions - task.response_tokens
    if most < 1:
        raise UserError(f"response_tokens: must be below the model's {positions} positions")
    return min(most, task.max_prompt_tokens or most)


def fits(tokenizer: PreTrainedTokenizerBase, longest: int) -> Callable[[Label], str | None]:
    """Return a check of what a model takes: it says what is wrong with a label, if anything."""
    special = [str(token) for token in tokenizer.all_special_tokens]

    def problem(label: Label) -> str | None:
        texts = (label.prompt, *responses_of(label))
        if found := [token for token in special if any(token in text for text in texts)]:
            return f"the model's special token {found[0]} in its text"
        try:
            [tokens] = encode_prompts(tokenizer, [label.prompt])
        except Exception as error:  # whatever a template raises
            return f"the chat template refuses it: {' '.join(str(error).split())[:80]}"
        if len(tokens) > longest:
            return f"a prompt of more than {longest} tokens"
        return None

    return problem


def sifted(checked: Checked, problem: Callable[[Label], str | None]) -> Checked:
    """Return the rows with which there is no problem; the others become bad ones."""
    kept, lines, bad = [], [], list(checked.bad)
    for label, line in zip(checked.labels, checked.lines, strict=True):
        if what := problem(label):
            bad.append(BadRow(line, what))
        else:
            kept.append(label)
            lines.append(line)
    return Checked(kept, lines, sorted(bad))


def cut_to(
    checked: Checked, tokenizer: PreTrainedTokenizerBase, longest: int
) -> tuple[Checked, int]:
    """Return the rows with responses as a policy samples them, and how many had to be cut.

    With the end token where they have room for it. Rows whose responses are the same so far say
    nothing and are left out.
    """
    flat = [text for one in checked.labels for text in responses_of(one)]
    tokens = encode_responses(tokenizer, flat)
    long = [len(ids) >= longest for ids in tokens]
    shortened = decode_responses(
        tokenizer, [ids[:longest] for ids, over in zip(tokens, long, strict=True) if over]
    )
    # A character may have been cut through.
    cut = iter([text.rstrip("\ufffd") for text in shortened])
    end = str(tokenizer.eos_token)
    sampled = iter(
        [next(cut) if over else text + end for text, over in zip(flat, long, strict=True)]
    )
    ready = [with_responses(one, sampled) for one in checked.labels]
    same = f"answers that are equal in their first {longest} tokens"

    def problem(label: Label) -> str | None:
        texts = responses_of(label)
        return same if len(set(texts)) < len(texts) else None

    return sifted(checked._replace(labels=ready), problem), sum(long)


def drawn(prompts: Sequence[str], most: int) -> list[str]:
    """Return so many prompts, drawn by their hash: not the first, which may be of one kind."""
    return sorted(prompts, key=lambda prompt: sha256(prompt.encode()).digest())[:most]
