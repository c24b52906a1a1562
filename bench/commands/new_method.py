"""`prefrontier new-method`: the file of a new method, made from an existing one."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import NamedTuple

import methods
from bench.cache.files import check_writable, write_text
from bench.commands.copied_source import copied_source
from bench.config.catalog import ALL, GROUP, catalog, find_method
from bench.errors import UserError
from methods.base import Method

# A method that calls this has no loss in its file that could be changed.
INSIDE_TRL = "fit_by_dpo_trainer"
PAIR_LOSS = '''\
"""{name}: DPO's loss on pairs, to be changed."""

from dataclasses import dataclass

from methods.toolkit.offline import PairLogprobs, PairLoss, Tensor


@dataclass(frozen=True)
class {class_name}(PairLoss):
    """DPO's loss, to be changed."""

    def loss(self, logprobs: PairLogprobs) -> Tensor:
        from torch.nn.functional import logsigmoid

        return -logsigmoid(self.beta * logprobs.margin)
'''


class Draft(NamedTuple):
    """The source of a new method.

    Attributes:
        name: The method's name.
        class_name: The name of its class.
        source: The content of its file.
    """

    name: str
    class_name: str
    source: str


def draft_method(name: str, like: str) -> Draft:
    """Return the draft of a new method that does what an existing one does.

    Args:
        name: The new method's name.
        like: The existing method's name.

    Raises:
        UserError: The name is not valid or taken, or the existing method cannot be copied.
    """
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name == ALL:
        raise UserError(
            f"'{name}': not a valid method name; allowed: a-z, 0-9 and _, as in margin_dpo, "
            f"but neither a keyword nor '{ALL}'"
        )
    if name in catalog():
        raise UserError(f"'{name}': the name is taken; taken names: {', '.join(catalog())}")
    method = find_method(like, "--like")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    if loss_is_inside_trl(method):
        return Draft(name, class_name, PAIR_LOSS.format(name=name, class_name=class_name))
    return Draft(name, class_name, copied_source(method, like, name, class_name))


def loss_is_inside_trl(method: type[Method]) -> bool:
    """Return whether TRL's DPOTrainer computes the method's loss."""
    return INSIDE_TRL in method.train.__code__.co_names


def write_method(draft: Draft, folder: Path | None = None) -> Path:
    """Write the method's file and return its path.

    Args:
        draft: The new method.
        folder: Where to write it; by default the folder in which methods are found.

    Raises:
        UserError: The folder has a file of that name, or cannot be written to.
    """
    folder = folder or methods_folder()
    file = folder / f"{draft.name}.py"
    try:
        for taken in (file, folder / draft.name):
            if taken.exists():
                raise UserError(f"{taken}: exists; choose another name, or another --folder")
        check_writable(folder)
        write_text(file, draft.source)
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}") from None
    return file


def methods_folder() -> Path:
    """Return the folder whose files are methods."""
    return Path(methods.__path__[0])


def next_steps(draft: Draft, like: str, file: Path) -> str:
    """Return the file and the commands to try next, for the author.

    Args:
        draft: The new method.
        like: The method that it was made from.
        file: The file that was written.
    """
    lines = [str(file)]
    if loss_is_inside_trl(find_method(like, "--like")):
        lines.append(f"The loss of {like} is inside TRL; the file has DPO's loss instead.")
    if file.parent.resolve() != methods_folder().resolve():
        lines += [
            "To make it available, install its package with this in pyproject.toml:",
            f'  [project.entry-points."{GROUP}"]',
            f'  {draft.name} = "{draft.name}:{draft.class_name}"',
        ]
    compared = ",".join(dict.fromkeys(["sft", "dpo", draft.name]))
    return "\n".join(
        [*lines, "Next:", f"  prefrontier check {draft.name}", f"  make quick METHODS={compared}"]
    )
