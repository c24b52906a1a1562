"""Files that are replaced together: at whatever operation it stops, all are old or all are new."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from helpers.faults import Killed, faults
from helpers.judging import write_folder

from bench.errors import UserError, WriteError
from bench.results.loading import Results, load_results
from bench.results.replacing import COMMITTED, STAGING, complete_replacement, replaced_together

OLD = {"a.csv": "old", "gone.csv": "old", "figures/b.png": "old", "figures/gone.png": "old"}
NEW = {"a.csv": "new", "c.csv": "new", "figures/b.png": "new", "figures/paper/d.pdf": "new"}
USER = {"notes.txt": "mine", "figures/notes.txt": "mine", ".hidden": "mine"}
OWNED = ("a.csv", "gone.csv", "c.csv", "figures/*.png")
# Far more than there are.
MOST_OPERATIONS = 100


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def replace(folder: Path) -> None:
    with replaced_together(folder, OWNED) as new:
        write(new, NEW)


def content(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_text() for file in files}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    write(folder, OLD | USER)
    return folder


def test_new_files_replace_those_that_are_owned(folder: Path, tmp_path: Path) -> None:
    replace(folder)
    assert content(folder) == NEW | USER
    replace(tmp_path / "deep" / "missing")
    assert content(tmp_path / "deep" / "missing") == NEW


def run_with_faults(start: Callable[[int], Path], error: int | None) -> set[str]:
    """Stop a replacement at each operation in turn; return which files were found, old or new."""
    found = set()
    for at in range(1, MOST_OPERATIONS):
        folder = start(at)
        with faults(folder, at, error) as injected, suppress(Killed, WriteError):
            replace(folder)
        if not injected.hit:
            assert at > 10
            return found
        names = content(folder).keys()
        if error and not (folder / COMMITTED).exists():
            assert not any(name.startswith(STAGING) for name in names), at
        complete_replacement(folder)
        files = {n: t for n, t in content(folder).items() if not n.startswith(STAGING)}
        assert files in (OLD | USER, NEW | USER), (at, injected.seen)
        found.add("old" if files == OLD | USER else "new")
        # The next writer has everything in place, whatever was left.
        replace(folder)
        assert content(folder) == NEW | USER
    raise AssertionError("more operations than thought")


@pytest.mark.parametrize("error", [None, errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_whatever_operation_fails_all_files_are_old_or_all_are_new(
    tmp_path: Path, error: int | None
) -> None:
    def start(at: int) -> Path:
        folder = tmp_path / str(at)
        write(folder, OLD | USER)
        return folder

    assert run_with_faults(start, error) == {"old", "new"}


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EACCES])
def test_a_failure_is_one_line_and_leaves_nothing(folder: Path, error: int) -> None:
    with faults(folder, 3, error), pytest.raises(WriteError) as raised:
        replace(folder)
    resumes = "then the same command resumes the run"
    advice = {
        errno.ENOSPC: f"No space left on device; free some space, {resumes}",
        errno.EACCES: f"Permission denied; make it writable, {resumes}",
    }
    assert str(raised.value) == f"{folder}: cannot be written: {advice[error]}"
    assert raised.value.status == 1
    assert content(folder) == OLD | USER


def test_an_error_or_an_interrupt_within_the_block_leaves_the_old_files(folder: Path) -> None:
    for problem in (ValueError("a bug"), KeyboardInterrupt(), FileNotFoundError(2, "", "/else")):
        with pytest.raises(type(problem)), replaced_together(folder, OWNED) as new:
            write(new, NEW)
            raise problem
        assert content(folder) == OLD | USER


def test_a_folder_that_goes_away_is_one_line(folder: Path) -> None:
    with pytest.raises(WriteError, match="No such file"), replaced_together(folder) as new:
        folder.rename(folder.with_name("moved"))
        write(new.parent / "absent", {}), (new / "a.csv").write_text("")


def test_a_place_that_cannot_be_replaced_is_found_before_any_is(folder: Path) -> None:
    (folder / "c.csv").mkdir()
    with pytest.raises(UserError, match=r"c\.csv: is a folder"):
        replace(folder)
    (folder / "c.csv").rmdir()
    (folder / "figures").rename(folder / "other")
    (folder / "figures").write_text("a file")
    with pytest.raises(WriteError, match=r"figures: cannot be written: File exists"):
        replace(folder)
    assert (folder / "a.csv").read_text() == "old"
    assert not (folder / STAGING).exists() and not (folder / COMMITTED).exists()


def test_links_out_of_the_folder_are_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(outside, {"b.png": "outside", "new/x": "outside"})
    (folder / "figures").rename(folder / "other")
    (folder / "figures").symlink_to(outside)
    with pytest.raises(UserError, match="is not within"):
        replace(folder)
    # A folder that comes from elsewhere may say that a commit was interrupted.
    for names in (["../outside/b.png"], [str(outside / "b.png")], ["figures/b.png"], [""], ["a\0"]):
        write(folder / COMMITTED, {"removed.json": json.dumps(names)})
        with pytest.raises(UserError):
            complete_replacement(folder)
    (folder / COMMITTED / "removed.json").write_text("{")
    with pytest.raises(UserError, match=r"removed\.json: must be a JSON list"):
        complete_replacement(folder)
    (folder / COMMITTED / "removed.json").unlink()
    (folder / COMMITTED / "new").symlink_to(outside)
    with pytest.raises(UserError, match="is a link"):
        complete_replacement(folder)
    assert content(outside) == {"b.png": "outside", "new/x": "outside"}


def test_writers_of_one_folder_take_turns(folder: Path) -> None:
    other = (
        "import sys; from pathlib import Path\n"
        "from bench.results.replacing import replaced_together\n"
        "folder = Path(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "with replaced_together(folder) as new:\n"
        "    (new / 'late.csv').write_text((folder / 'a.csv').read_text())\n"
    )
    command = [sys.executable, "-c", other, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        with replaced_together(folder, OWNED) as new:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.2)
            write(new, NEW)
        assert process.wait(300) == 0
    assert content(folder) == NEW | USER | {"late.csv": "new"}


def test_results_are_not_read_while_they_are_replaced(tmp_path: Path) -> None:
    folder, newer = write_folder(tmp_path / "run"), write_folder(tmp_path / "newer", seeds=2)
    loaded: list[Results] = []
    reader = Thread(target=lambda: loaded.append(load_results(folder)), daemon=True)
    with replaced_together(folder) as new:
        reader.start()
        reader.join(0.3)
        assert reader.is_alive() and not loaded
        for file in newer.iterdir():
            shutil.copy(file, new)
    reader.join(300)
    assert set(loaded[0].runs["seed"]) == set(loaded[0].samples["seed"]) == {0, 1}
