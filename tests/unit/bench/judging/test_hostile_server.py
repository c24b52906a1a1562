"""A server that means harm: every request ends, little memory is taken, and the key stays here."""

from __future__ import annotations

import gzip
import itertools
import re
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.judge_server import JudgeServer, Question, Reply, completion, failure, longer, serving
from helpers.judging import DPO, KEY, JudgedFolder

from bench.config.llm_judge import LLMJudge
from bench.errors import UserError
from bench.judging.client import MOST_FAILURES, check_answers

OK = b"HTTP/1.1 200 OK\r\n"
MEGABYTE = b" " * 2**20
# 300 MB.
PACKED = gzip.compress(MEGABYTE * 100, 1) * 3
# Of the request, or of the whole question, whichever is seen first.
TIMED_OUT = "timed out|no answer within"


def trickle(start: bytes) -> Callable[[], Iterator[bytes]]:
    """Send a byte now and then, so that no single read ever times out."""

    def chunks() -> Iterator[bytes]:
        yield start
        # For two minutes.
        for _ in range(2400):
            time.sleep(0.05)
            yield b"a"

    return chunks


def endless() -> Iterator[bytes]:
    yield OK + b"\r\n"
    yield from itertools.repeat(MEGABYTE, 4000)


def bomb() -> Iterator[bytes]:
    yield OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED)
    yield PACKED


@pytest.mark.parametrize(
    ("chunks", "timeout", "reason"),
    [
        (trickle(OK + b"X-Long: "), 0.5, TIMED_OUT),
        (trickle(OK + b"Content-Length: 100000\r\n\r\n"), 0.5, TIMED_OUT),
        (endless, 60, "the reply is larger than 8 MB"),
        (bomb, 60, "the reply is compressed, which was not asked for"),
        (
            lambda: iter([OK + b"Content-Type: text/plain; charset=zlib\r\n\r\nx"]),
            60,
            "not a chat",
        ),
        (lambda: iter([b"\0\xff" * 100]), 60, "Connection error"),
    ],
    ids=["headers", "body", "endless", "bomb", "charset", "noise"],
)
def test_no_reply_takes_long_or_much_memory(
    judged: JudgedFolder,
    server: JudgeServer,
    chunks: Callable[[], Iterator[bytes]],
    timeout: float,
    reason: str,
) -> None:
    server.rule = lambda question: Reply(chunks=chunks)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    assert judged.judge(prompts=2, timeout=timeout, retries=0, concurrency=2) == 1
    assert time.monotonic() - started < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024
    assert judged.rows[DPO]["failed"] == 2
    assert re.search(reason, " ".join(judged.shown.getvalue().split()))


def test_waiting_for_a_busy_server_ends(judged: JudgedFolder, server: JudgeServer) -> None:
    busy = Reply(status=429, headers={"Retry-After": "50"}, body="{}")
    server.rule = lambda question: busy
    started = time.monotonic()
    assert judged.judge(prompts=1, timeout=0.5) == 1
    assert time.monotonic() - started < 40
    assert "no answer within 1.5 s" in judged.shown.getvalue()


def test_after_many_failures_in_a_row_no_more_is_asked(
    judged: JudgedFolder, server: JudgeServer
) -> None:
    server.rule = lambda q: longer(q) if q.number < 4 else failure(500, "down")
    assert judged.judge(retries=0, concurrency=1) == 1
    assert len(server.requests) == 4 + MOST_FAILURES
    line = "stopped: 10 requests in a row failed; all answers are kept, and the same command asks"
    assert judged.shown.getvalue().count(line) == 1
    assert (judged.rows[DPO]["calls"], judged.rows[DPO]["prompts"]) == (4, 10)
    server.rule = longer
    assert judged.judge() == 0
    assert (judged.rows[DPO]["cached"], judged.rows[DPO]["win_rate"]) == (4, 0.7)


def test_questions_that_are_refused_do_not_stop_the_others(
    judged: JudgedFolder, server: JudgeServer
) -> None:
    server.rule = lambda q: failure(400, "too long") if q.number < 15 else longer(q)
    assert judged.judge(concurrency=1) == 1
    assert len(server.requests) == 20


@pytest.mark.parametrize("escaped", [False, True])
def test_the_key_is_kept_nowhere(
    judged: JudgedFolder, server: JudgeServer, tmp_path: Path, escaped: bool
) -> None:
    def rule(question: Question) -> Reply | str:
        said = completion(f"Your key is {KEY}. [[A]]")
        if escaped:
            said = said.replace(KEY, "".join(f"\\u{ord(letter):04x}" for letter in KEY))
        errors = [failure(400, f"{KEY} is bad"), Reply(body=f"<b>{KEY}</b>"), Reply(body=said)]
        return errors[question.number] if question.number < len(errors) else Reply(body=said)

    server.rule = rule
    assert judged.judge(concurrency=1) == 1
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 3
    assert not [file for file in files if KEY.encode() in file.read_bytes()]
    assert KEY not in judged.shown.getvalue()
    # The verdict beside it counts.
    assert judged.rows[DPO]["ties"] > 5


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(judged: JudgedFolder, server: JudgeServer, status: int) -> None:
    with serving() as other:
        target = {"Location": f"{other.url}/chat/completions"}
        server.rule = lambda question: Reply(status=status, headers=target, body="")
        with pytest.raises(UserError, match=r"redirects to http://127.0.0.1.*not followed"):
            judged.judge()
        assert not other.requests


def test_a_judge_that_answers_passes_the_check() -> None:
    with serving() as server:
        server.rule_of_any = lambda: Reply("yes")
        check_answers(LLMJudge(model="judge", base_url=server.url))
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("judge", "reply", "complaint"),
    [
        ({}, failure(401), "refuses the key in OPENAI_API_KEY"),
        ({}, failure(404, "no such model"), "no such model"),
        ({"temperature": 9}, failure(400, "must be at most 2", param="temperature"), "at most 2"),
        ({}, failure(500, "down"), "down"),
        ({}, Reply(body="<html>"), "not a chat completion: <html>"),
        ({"timeout": 0.5, "retries": 0}, Reply(chunks=trickle(OK)), TIMED_OUT),
        ({"base_url": "http://127.0.0.1:9/v1"}, None, "127.0.0.1: cannot be reached"),
        ({"key_env": "BAD_KEY"}, None, "BAD_KEY: holds no key"),
    ],
)
def test_a_judge_that_cannot_be_asked_is_one_line_before_training(
    server: JudgeServer,
    monkeypatch: pytest.MonkeyPatch,
    judge: dict[str, Any],
    reply: Reply | None,
    complaint: str,
) -> None:
    monkeypatch.setenv("BAD_KEY", "two\nlines")
    server.rule_of_any = lambda: reply or Reply()
    settings = LLMJudge(**({"model": "judge", "base_url": server.url} | judge))
    with pytest.raises(UserError, match=complaint) as raised:
        check_answers(settings)
    assert "\n" not in str(raised.value) and KEY not in str(raised.value)
    assert len(server.requests) <= 2 * (reply is not None)
