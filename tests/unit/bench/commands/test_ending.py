"""How the command line ends where a library or the system fails."""

from __future__ import annotations

import errno
import os

import pytest
import typer

from bench.commands.ending import run


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("file", ["cache/texts.jsonl", None])
def test_a_full_disk_is_one_line(
    capsys: pytest.CaptureFixture[str], number: int, file: str | None
) -> None:
    app = typer.Typer()

    @app.command()
    def write() -> None:
        raise OSError(number, os.strerror(number), file)

    with pytest.raises(SystemExit) as ended:
        run(app, [])
    assert ended.value.code == 1
    message = capsys.readouterr().err
    where = file or "the results or the cache"
    assert message == f"prefrontier: {where}: {os.strerror(number)}\n"
