"""Bad input: what a command that refuses it must do, and a folder in which nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bench.cli import main
from bench.errors import UNSAFE


class Refusal:
    """Runs commands that must fail by a mistake of the user.

    Attributes:
        folder: The working directory.
    """

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def of(self, *arguments: str) -> str:
        """Run a command; return its message: one line, exit status 2, nothing written."""
        before = sorted(self.folder.rglob("*"))
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(list(arguments))
        printed = self._capsys.readouterr()
        check_message(stopped.value.code, printed.err)
        assert sorted(self.folder.rglob("*")) == before, "something was written"
        return printed.err


def check_message(status: object, message: str) -> None:
    """Check that a command failed with exit status 2 and one line that a terminal may show."""
    assert status == 2, message
    assert message.startswith("prefrontier: ") and message.endswith("\n"), message
    assert not UNSAFE.search(message[:-1]), message
    assert "Traceback" not in message and len(message) < 2100


def words_in(words: str | Sequence[str], message: str) -> None:
    """Check that a message has all of these words."""
    for word in [words] if isinstance(words, str) else words:
        assert word in message, message


@pytest.fixture
def refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Refusal]:
    """Commands in an empty folder, on a machine without settings; nothing may start to train."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("PREFRONTIER_CACHE", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    # Restored afterwards, because `bench` sets it.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    def started(*_: object, **__: object) -> None:
        pytest.fail("the mistake was not found before work started")

    monkeypatch.setattr("bench.execution.execute.execute", started)
    yield Refusal(folder, capsys)
