"""`prefrontier new-method`: a file that runs at once, made from a method that there is."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import NamedTuple

import methods
from bench.config.catalog import GROUP, catalog, find_method
from bench.cache.files import check_writable
from bench.commands.copied_source import copied_source
from bench.errors import UserError
from bench.cache.files import write_text
from methods.base import Method

# A method that hands its training to this has no loss in its file that could be changed.
INSIDE_TRL = "fit_by_dpo_trainer"
PAIR_LOSS = '''\
"""{name}: DPO's loss on pairs, to be changed."""

from dataclasses import dataclass

from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class {kind}(PairLoss):
    """DPO's loss, to be changed."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        return -logsigmoid(self.beta * logprobs.margin)
'''


class Draft(NamedTuple):
    """The source of a new method. kind: the name of its class."""

    name: str
    kind: str
    source: str


def draft_method(name: str, like: str) -> Draft:
    """Return the draft of a method that does what `like` does.

    Raises UserError where the name will not do, or `like` cannot be copied.
    """
    # `all` stands for every method, wherever methods are named.
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name == "all":
        raise UserError(
            f"'{name}': no name for a method; allowed: a-z, 0-9 and _, no keyword, like margin_dpo"
        )
    if name in catalog():
        raise UserError(
            f"'{name}': there is such a method; the names taken: {', '.join(catalog())}"
        )
    method = find_method(like, "--like")
    kind = "".join(part.capitalize() for part in name.split("_"))
    if loss_is_inside_trl(method):
        return Draft(name, kind, PAIR_LOSS.format(name=name, kind=kind))
    return Draft(name, kind, copied_source(method, like, name, kind))


def loss_is_inside_trl(method: type[Method]) -> bool:
    """Return whether it is TRL's DPOTrainer that computes the method's loss."""
    return INSIDE_TRL in method.train.__code__.co_names


def write_method(draft: Draft, folder: Path | None = None) -> Path:
    """Write the method's file and return its path; folder: default, where methods are found.

    Raises UserError where the name is taken there, or the folder cannot be written to.
    """
    folder = folder or own_folder()
    file = folder / f"{draft.name}.py"
    try:
        for taken in (file, folder / draft.name):
            if taken.exists():
                raise UserError(
                    f"{taken}: is there already; choose another name, or another --folder"
                )
        check_writable(folder)
        write_text(file, draft.source)
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}") from None
    return file


def own_folder() -> Path:
    """Return the folder whose files are methods."""
    return Path(methods.__path__[0])


def next_steps(draft: Draft, like: str, file: Path) -> str:
    """Return what to tell the author: the file, and the commands to try next."""
    lines = [str(file)]
    if loss_is_inside_trl(find_method(like, "--like")):
        lines.append(f"The loss of {like} is inside TRL: the file has DPO's instead, written out.")
    if file.parent.resolve() != own_folder().resolve():
        lines += [
            "It is found once its package is installed, with this in pyproject.toml:",
            f'  [project.entry-points."{GROUP}"]',
            f'  {draft.name} = "{draft.name}:{draft.kind}"',
        ]
    compared = ",".join(dict.fromkeys(["sft", "dpo", draft.name]))
    return "\n".join(
        [*lines, "Next:", f"  prefrontier check {draft.name}", f"  make quick METHODS={compared}"]
    )
