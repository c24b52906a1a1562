"""Files of a folder that are replaced together or not at all.

New files are written into a hidden staging folder. Renaming it is the commit; then its files move
to their places. If that is interrupted, whoever reads or writes the folder next completes it. What
a killed process has staged without a commit, the next writer removes.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.errors import UserError, write_error

STAGING, COMMITTED = ".staging", ".committed"
# Within both: the new files, and the names of files that are removed.
NEW, REMOVED = "new", "removed.json"


@contextmanager
def replaced_together(folder: Path, owned: Sequence[str] = ()) -> Iterator[Path]:
    """Replace files of a folder by those that are written within the block.

    All of them are in place after the block. If the block fails, none is. Other files of the folder
    stay. Only one process at a time replaces files of a folder; others wait.

    Args:
        folder: It is made if it is missing.
        owned: Patterns of files that are removed unless the block writes them, such as
            "figures/*.png".

    Yields:
        A folder to write the files into, in subfolders as they belong.

    Raises:
        WriteError: The files cannot be written.
        UserError: A place of theirs is not a file within the folder.
    """
    staging = folder / STAGING
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            _complete(folder)
            if staging.exists():
                shutil.rmtree(staging)
            try:
                (staging / NEW).mkdir(parents=True)
                yield staging / NEW
                _commit(folder, owned)
            except BaseException:
                shutil.rmtree(staging, ignore_errors=True)
                raise
            try:
                _complete(folder)
            except KeyboardInterrupt:
                # A few renames more, and no file is older than the others.
                _complete(folder)
                raise
    except OSError as error:
        place = Path(error.filename) if isinstance(error.filename, str) else staging
        if not place.is_relative_to(folder):
            raise
        raise write_error(folder if place.is_relative_to(staging) else place, error) from None


def complete_replacement(folder: Path) -> None:
    """Complete a replacement that was interrupted after its commit; without one, do nothing.

    Raises:
        WriteError: The files cannot be written.
        UserError: The replacement is damaged.
    """
    if not (folder / COMMITTED).exists():
        return
    try:
        with _locked(folder):
            _complete(folder)
    except OSError as error:
        raise write_error(folder, error) from None


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Let no other process replace files of a folder within the block.

    Raises:
        OSError: The folder cannot be read.
        UserError: A replacement was interrupted, and is damaged.
    """
    with _locked(folder):
        _complete(folder)
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time into the block. The lock is on the folder and leaves no file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some file systems have no locks.
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _commit(folder: Path, owned: Sequence[str]) -> None:
    staging = folder / STAGING
    names = _files(staging / NEW)
    # Whatever could prevent a move must be found before the commit.
    for name in names:
        place = _place(folder, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir():
            raise UserError(f"{place}: is a folder; a file of this name is written: move it away")
        if not os.access(place.parent, os.W_OK):
            raise PermissionError(13, "", str(place.parent))
    old = {file.relative_to(folder).as_posix() for glob in owned for file in folder.glob(glob)}
    (staging / REMOVED).write_text(json.dumps(sorted(old.difference(names))), encoding="utf-8")
    staging.rename(folder / COMMITTED)


def _complete(folder: Path) -> None:
    """Move the files of a commit to their places. Doing so again, or in part, changes nothing."""
    committed = folder / COMMITTED
    if not committed.exists():
        return
    if committed.is_symlink() or (committed / NEW).is_symlink():
        raise UserError(f"{committed}: is a link, which no replacement has; remove it")
    for name in _removed(committed / REMOVED):
        _place(folder, name).unlink(missing_ok=True)
    for name in _files(committed / NEW):
        (committed / NEW / name).replace(_place(folder, name))
    shutil.rmtree(committed)


def _files(folder: Path) -> list[str]:
    """Return the paths of all files below a folder."""
    return sorted(
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()
    )


def _removed(file: Path) -> list[str]:
    if not file.exists():
        return []
    try:
        names = json.loads(file.read_text("utf-8"))
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(
        isinstance(name, str) and "\0" not in name for name in names
    ):
        raise UserError(f"{file}: must be a JSON list of file names; remove {file.parent}")
    return names


def _place(folder: Path, name: str) -> Path:
    """Return where a file belongs.

    Raises:
        UserError: It is not within the folder, which may come from anybody.
    """
    place = folder / name
    if ".." in Path(name).parts or not place.parent.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{place}: is not within {folder}: a link leads out of it")
    return place
