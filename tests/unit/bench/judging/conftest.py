"""A server that judges, and a folder for it to judge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.judge_server import JudgeServer, serving
from helpers.judging import KEY, JudgedFolder, write_folder


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_LOG", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with serving() as server:
        yield server


@pytest.fixture
def judged(tmp_path: Path, server: JudgeServer) -> JudgedFolder:
    return JudgedFolder(write_folder(tmp_path / "run"), tmp_path / "cache", server.url)
