"""Recorded preferences made ready: read, checked, cut to length, and split by prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.data.checks import Checked, check_rows, count_problems, require_enough, sift
from bench.data.reading import read_rows
from bench.data.rows import Code, RowProblem
from bench.data.splits import count_duplicates, first_user_turn, split_labels, split_of
from bench.errors import UserError
from bench.pipeline.stages.labels import write_labels
from bench.pipeline.stages.training.models import PIECE_POSITIONS, positions_of
from bench.pipeline.stages.training.tokenizers import load_tokenizer, train_tokenizer
from bench.tasks.recorded import Recorded
from bench.tasks.sizes import SIZES
from methods.core.feedback import (
    KINDS,
    FeedbackKind,
    Label,
    Unpaired,
    decisions,
    prompts_of,
    responses_of,
    with_responses,
)
from methods.core.models.chat_template import TemplateError, problems_of, reads
from methods.core.models.text import (
    decode_responses,
    encode_prompts,
    encode_responses,
    to_turns,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bench.pipeline.recorded import RecordedPipeline

# So much is kept of the message of a chat template that refuses a prompt.
MESSAGE_LENGTH = 80
# The splits whose labels something learns from.
LEARNED_FROM = ("train", "judge")


class Prepared(NamedTuple):
    """Labels whose responses are as a policy would sample them.

    Attributes:
        kind: What the labels are.
        splits: The labels by split.
        checked: All rows, before the splits.
        tokenizer: The policies' tokenizer.
        cut_responses: How many responses were longer than a policy's may be.
    """

    kind: FeedbackKind
    splits: dict[str, list[Label]]
    checked: Checked
    tokenizer: PreTrainedTokenizerBase
    cut_responses: int


def make_recorded(pipeline: RecordedPipeline, folder: Path) -> dict[str, Any]:
    """Write the labels of every split and the tokenizer.

    Returns:
        Counts of rows, labels and prompts, and the kinds of bad rows as `ProblemCount` has them.

    Raises:
        UserError: The data cannot be read, or a split would be too small.
        TooManyBadRowsError: Too many rows cannot be used.
    """
    prepared = prepare(pipeline.task, pipeline.sources.model.folder)
    for split, labels in prepared.splits.items():
        write_labels(folder, split, prepared.kind, labels)
    prepared.tokenizer.save_pretrained(folder / "tokenizer")
    return feedback_metrics(prepared)


def feedback_metrics(prepared: Prepared) -> dict[str, Any]:
    """Return the artifact's metrics of the rows: codes and counts, no text."""
    train, checked = prepared.splits["train"], prepared.checked
    return {
        "kind": prepared.kind,
        "labels": sum(decisions(label) for label in train),
        "unpaired": len(train) if prepared.kind == "unpaired" else 0,
        "rows": {split: len(labels) for split, labels in prepared.splits.items()},
        "prompts": {split: len(prompts_of(labels)) for split, labels in prepared.splits.items()},
        "used_rows": len(checked.labels),
        "bad_rows": len(checked.bad),
        "problems": [problem._asdict() for problem in count_problems(checked.bad)],
        "cut_responses": prepared.cut_responses,
        **count_duplicates(checked.labels)._asdict(),
    }


def prepare(task: Recorded, model_folder: str) -> Prepared:
    """Read, check, cut and split the rows of a task.

    Args:
        task: Recorded preferences.
        model_folder: The policies' model; empty for an embedded size.

    Raises:
        UserError: The data cannot be read, or a split would be too small.
        TooManyBadRowsError: Too many rows cannot be used.
    """
    rows = islice(read_rows(task.data, task.split), task.rows or None)
    checked = check_rows(rows, task.columns, plain=task.text == "plain")
    # The task's own share is checked below, when all bad rows are known.
    require_enough(checked, 1.0)
    tokenizer = _tokenizer(task, model_folder, checked.labels)
    limit = _prompt_limit(task, model_folder)
    checked = sift(checked, _prompt_check(tokenizer, limit, _refused(tokenizer, task, checked)))
    checked, cut_responses = _with_sampled_responses(checked, tokenizer, task.response_tokens)
    require_enough(checked, task.bad_rows)
    splits = split_labels(checked.labels, task.shares)
    _check_splits(task, splits)
    label_type = type(checked.labels[0])
    kind = next(name for name, label_of_kind in KINDS.items() if label_of_kind is label_type)
    return Prepared(kind, splits, checked, tokenizer, cut_responses)


def _check_splits(task: Recorded, splits: dict[str, list[Label]]) -> None:
    """Raise UserError where a split that the task needs is too small, or of one label alone."""
    labels = [label for part in splits.values() for label in part]
    for split, part in splits.items():
        if split == "judge" and task.judge_classifier.model:
            continue
        if len(prompts_of(part)) < 2:
            openings = {first_user_turn(label.prompt) for label in labels}
            raise UserError(
                f"{task.data}: {len(labels)} rows are too few: the {split} split has {len(part)}; "
                f"rows are split by the user's first turn, of which there are {len(openings)}; "
                "set shares, or use more data"
            )
        kinds = {label.label for label in part if isinstance(label, Unpaired)}
        if split in LEARNED_FROM and len(kinds) == 1:
            raise UserError(
                f"{task.data}: all {len(part)} unpaired labels of the {split} split are "
                f"{str(kinds.pop()).lower()}: both true and false are needed to learn from"
            )


def _tokenizer(
    task: Recorded, model_folder: str, labels: Sequence[Label]
) -> PreTrainedTokenizerBase:
    """Return the model's tokenizer, or one trained on the text of the train split.

    Raises:
        UserError: Its chat template does not read a value that the task sets.
    """
    plain, values = task.text == "plain", task.loading.chat_template_kwargs
    if model_folder:
        tokenizer = load_tokenizer(Path(model_folder), plain, values)
        if unread := [name for name in values if not reads(tokenizer, name)]:
            raise UserError(
                f"loading.chat_template_kwargs: the chat template of {task.model} does not read "
                f"{', '.join(unread)}"
            )
        return tokenizer
    train = [label for label in labels if split_of(label.prompt, task.shares) == "train"]
    texts = (text for label in train for text in (label.prompt, *responses_of(label)))
    return train_tokenizer(texts, SIZES[task.model].vocabulary, plain)


def _prompt_limit(task: Recorded, model_folder: str) -> int:
    """Return the length of the longest prompt that leaves room for a response, in tokens."""
    positions = positions_of(model_folder) if model_folder else PIECE_POSITIONS
    most: int = positions - task.response_tokens
    if most < 1:
        raise UserError(f"response_tokens: must be below the model's {positions} positions")
    return min(most, task.max_prompt_tokens or most)


def _refused(
    tokenizer: PreTrainedTokenizerBase, task: Recorded, checked: Checked
) -> dict[str, str]:
    """Return the prompts that the chat template refuses, and why.

    Raises:
        UserError: The template takes too long for one.
    """
    prompts = prompts_of(checked.labels)
    try:
        problems = problems_of(tokenizer, [to_turns(prompt) for prompt in prompts])
    except TemplateError as error:
        raise UserError(f"{task.model}: its chat template fails: {error}") from None
    return {prompt: why for prompt, why in zip(prompts, problems, strict=True) if why}


def _prompt_check(
    tokenizer: PreTrainedTokenizerBase, limit: int, refused: Mapping[str, str]
) -> Callable[[Label], None]:
    """Return a check that a model can take a label: its special tokens, template and length.

    Args:
        tokenizer: The model's.
        limit: The length of the longest prompt (tokens).
        refused: Prompts that the chat template refuses, and why.
    """
    special = [str(token) for token in tokenizer.all_special_tokens]

    def check(label: Label) -> None:
        texts = (label.prompt, *responses_of(label))
        for token in special:
            if any(token in text for text in texts):
                raise RowProblem(Code.SPECIAL_TOKEN, token=token)
        if label.prompt in refused:
            raise RowProblem(Code.TEMPLATE_ERROR, message=refused[label.prompt][:MESSAGE_LENGTH])
        [tokens] = encode_prompts(tokenizer, [label.prompt])
        if len(tokens) > limit:
            raise RowProblem(Code.PROMPT_TOO_LONG, tokens=limit)

    return check


def _with_sampled_responses(
    checked: Checked, tokenizer: PreTrainedTokenizerBase, limit: int
) -> tuple[Checked, int]:
    """Return the rows with responses as a policy samples them, and how many had to be cut.

    Responses end with the end token where there is room for it. Rows whose responses are equal up
    to the limit say nothing and are left out.

    Args:
        checked: The rows.
        tokenizer: The policies' tokenizer.
        limit: The length of the longest response, in tokens.
    """
    texts = [text for label in checked.labels for text in responses_of(label)]
    tokens = encode_responses(tokenizer, texts)
    too_long = [len(ids) >= limit for ids in tokens]
    shortened = decode_responses(
        tokenizer, [ids[:limit] for ids, long in zip(tokens, too_long, strict=True) if long]
    )
    # A cut may go through a character.
    cut = iter([text.rstrip("\ufffd") for text in shortened])
    end = str(tokenizer.eos_token)
    sampled = iter(
        [next(cut) if long else text + end for text, long in zip(texts, too_long, strict=True)]
    )
    labels = [with_responses(label, sampled) for label in checked.labels]

    def check(label: Label) -> None:
        responses = responses_of(label)
        if len(set(responses)) < len(responses):
            raise RowProblem(Code.EQUAL_WHEN_CUT, tokens=limit)

    return sift(checked._replace(labels=labels), check), sum(too_long)
