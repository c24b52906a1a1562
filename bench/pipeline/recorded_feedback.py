"""Recorded preferences made ready: read, checked, cut to length, and split by prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.data.checks import BadRow, Checked, check_rows, in_words, require_enough
from bench.data.reading import read_rows
from bench.data.splits import duplicates, first_words, split_of
from bench.errors import UserError
from bench.pipeline.base_model import PIECE_POSITIONS, SIZES, load_tokenizer, train_tokenizer
from bench.pipeline.base import write_judgements
from bench.tasks.recorded import Recorded
from methods.core.feedback import KINDS, Choice, Judgement, Kind, Pair, Ranking, Thumb
from methods.core.models.text import decode_responses, encode_prompts, encode_responses

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPLITS = ("train", "judge", "validation", "test")


class Ready(NamedTuple):
    """Judgements by split, whose responses are as a policy would sample them.

    cut: how many responses were longer than a policy may speak.
    """

    kind: Kind
    splits: dict[str, list[Judgement]]
    checked: Checked
    tokenizer: PreTrainedTokenizerBase
    cut: int


def make_feedback(task: Recorded, model_folder: str, folder: Path) -> dict[str, Any]:
    """Write judgements of every split and the tokenizer; return what there is to say of them.

    Raises UserError where too many rows are wrong, or a split would be empty.
    """
    ready = prepare(task, model_folder)
    for split, judgements in ready.splits.items():
        write_judgements(folder / f"{split}.{ready.kind}.jsonl", judgements)
    ready.tokenizer.save_pretrained(folder / "tokenizer")
    train = ready.splits["train"]
    return {
        "kind": ready.kind,
        "judgements": sum(decisions(one) for one in train),
        "thumbs": len(train) if ready.kind == "thumbs" else 0,
        "rows": {split: len(own) for split, own in ready.splits.items()},
        "prompts": {split: len(prompts_of(own)) for split, own in ready.splits.items()},
        "cut_responses": ready.cut,
        "words": [*in_words(task.data, ready.checked), *notes(task, ready)],
    }


def notes(task: Recorded, ready: Ready) -> list[str]:
    """Return what else there is to say of the rows that are used."""
    found = duplicates(ready.checked.judgements)
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
    tokenizer = tokenizer_of(task, model_folder, checked.judgements)
    checked = sifted(checked, fits(tokenizer, prompt_limit(task, model_folder)))
    checked, cut = cut_to(checked, tokenizer, task.response_tokens)
    require_enough(task.data, checked, task.bad_rows)
    splits: dict[str, list[Judgement]] = {split: [] for split in SPLITS}
    for judgement in checked.judgements:
        splits[split_of(judgement.prompt, task.shares)].append(judgement)
    needed = [s for s in SPLITS if s != "judge" or not task.judge_classifier.model]
    for split in needed:
        if len(prompts_of(splits[split])) < 2:
            beginnings = len({first_words(one.prompt) for one in checked.judgements})
            raise UserError(
                f"{task.data}: {len(checked.judgements)} rows are too few: the {split} split has "
                f"{len(splits[split])}; they are split by what a user says first, of which there "
                f"are {beginnings}; set shares, or bring more"
            )
    first = type(checked.judgements[0])
    kind = next(name for name, made in KINDS.items() if made is first)
    return Ready(kind, splits, checked, tokenizer, cut)


def tokenizer_of(
    task: Recorded, model_folder: str, judgements: Sequence[Judgement]
) -> PreTrainedTokenizerBase:
    """Return the model's own tokenizer, or one trained on the text of the train split."""
    plain = task.text == "plain"
    if model_folder:
        return load_tokenizer(Path(model_folder), plain)
    own = [one for one in judgements if split_of(one.prompt, task.shares) == "train"]
    texts = (text for one in own for text in (one.prompt, *responses_of(one)))
    return train_tokenizer(texts, SIZES[task.model].vocabulary, plain)


def prompt_limit(task: Recorded, model_folder: str) -> int:
    """Return the longest prompt that leaves room for a response, in tokens."""
    positions = positions_of(model_folder) if model_folder else PIECE_POSITIONS
    most: int = positions - task.response_tokens
    if most < 1:
        raise UserError(f"response_tokens: must be below the model's {positions} positions")
    return min(most, task.max_prompt_tokens or most)


def positions_of(model_folder: str) -> int:
    """Return how many tokens a model takes. Raises UserError where it is of no known kind."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(model_folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{model_folder}: its configuration cannot be read: {reason}") from None
    return getattr(config.get_text_config(), "max_position_embeddings", None) or 2**30


def fits(tokenizer: PreTrainedTokenizerBase, longest: int) -> Callable[[Judgement], str | None]:
    """Return a check of what a model takes: it says what is wrong with a judgement, if anything."""
    special = [str(token) for token in tokenizer.all_special_tokens]

    def problem(judgement: Judgement) -> str | None:
        texts = (judgement.prompt, *responses_of(judgement))
        if found := [token for token in special if any(token in text for text in texts)]:
            return f"the model's special token {found[0]} in its text"
        try:
            [tokens] = encode_prompts(tokenizer, [judgement.prompt])
        except Exception as error:  # whatever a template raises
            return f"the chat template refuses it: {' '.join(str(error).split())[:80]}"
        if len(tokens) > longest:
            return f"a prompt of more than {longest} tokens"
        return None

    return problem


def sifted(checked: Checked, problem: Callable[[Judgement], str | None]) -> Checked:
    """Return the rows with which there is no problem; the others become bad ones."""
    kept, lines, bad = [], [], list(checked.bad)
    for judgement, line in zip(checked.judgements, checked.lines, strict=True):
        if what := problem(judgement):
            bad.append(BadRow(line, what))
        else:
            kept.append(judgement)
            lines.append(line)
    return Checked(kept, lines, sorted(bad))


def cut_to(
    checked: Checked, tokenizer: PreTrainedTokenizerBase, longest: int
) -> tuple[Checked, int]:
    """Return the rows with responses as a policy samples them, and how many had to be cut.

    With the end token where they have room for it. Rows whose responses are the same so far say
    nothing and are left out.
    """
    flat = [text for one in checked.judgements for text in responses_of(one)]
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
    ready = [with_responses(one, sampled) for one in checked.judgements]
    same = f"answers that are equal in their first {longest} tokens"

    def problem(judgement: Judgement) -> str | None:
        texts = responses_of(judgement)
        return same if len(set(texts)) < len(texts) else None

    return sifted(checked._replace(judgements=ready), problem), sum(long)


def responses_of(judgement: Judgement) -> tuple[str, ...]:
    """Return all responses of a judgement, the best first."""
    match judgement:
        case Pair(_, chosen, rejected):
            return (chosen, rejected)
        case Choice(_, chosen, others):
            return (chosen, *others)
        case Ranking(_, responses):
            return responses
        case Thumb(_, response, _):
            return (response,)


def with_responses(judgement: Judgement, new: Iterator[str]) -> Judgement:
    """Return the judgement of other responses, taken in the order of `responses_of`."""
    match judgement:
        case Pair(prompt):
            return Pair(prompt, next(new), next(new))
        case Choice(prompt, _, others):
            return Choice(prompt, next(new), tuple(next(new) for _ in others))
        case Ranking(prompt, responses):
            return Ranking(prompt, tuple(next(new) for _ in responses))
        case Thumb(prompt, _, up):
            return Thumb(prompt, next(new), up)


def decisions(judgement: Judgement) -> int:
    """Return how many decisions a judgement is: a ranking of n is n - 1 choices."""
    return len(judgement.responses) - 1 if isinstance(judgement, Ranking) else 1


def prompts_of(judgements: Sequence[Judgement]) -> list[str]:
    """Return the prompts, each once."""
    return list(dict.fromkeys(judgement.prompt for judgement in judgements))


def drawn(prompts: Sequence[str], most: int) -> list[str]:
    """Return so many prompts, drawn by their hash: not the first, which may be of one kind."""
    return sorted(prompts, key=lambda prompt: sha256(prompt.encode()).digest())[:most]
