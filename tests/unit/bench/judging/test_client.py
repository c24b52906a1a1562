"""The judge's API when requests fail, in the ways that APIs do."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import pytest
from helpers.judge_server import (
    JudgeServer,
    Question,
    Reply,
    completion,
    failure,
    longer,
    serving,
)
from helpers.judging import DPO, KEY, PROMPTS, JudgedFolder, counts, write_folder

from bench.errors import UserError


def test_after_a_breakdown_only_the_missing_are_asked(
    judged: JudgedFolder, server: JudgeServer
) -> None:
    server.rule = lambda q: longer(q) if q.number < 7 else failure(500, "down")
    assert judged.judge(retries=0) == 1
    row = judged.rows[DPO]
    assert (row["calls"], row["prompts"]) == (7, 10)
    assert row["failed"] >= 6 and sum(counts(row)) == 10
    assert "down" in judged.shown.getvalue()
    broken_down, server.rule = len(server.requests), longer
    assert judged.judge() == 0
    assert len(server.requests) == broken_down + 13
    row = judged.rows[DPO]
    assert (row["calls"], row["cached"], row["win_rate"]) == (13, 7, 0.7)


def test_a_run_that_is_stopped_keeps_its_answers(judged: JudgedFolder, server: JudgeServer) -> None:
    server.rule = lambda q: longer(q) if q.number < 7 else failure(401)
    with pytest.raises(UserError):
        judged.judge()
    stopped, server.rule = len(server.requests), longer
    assert judged.judge() == 0
    assert len(server.requests) == stopped + 13
    assert (judged.rows[DPO]["calls"], judged.rows[DPO]["cached"]) == (13, 7)


def test_half_a_line_in_the_cache_is_asked_again(judged: JudgedFolder, server: JudgeServer) -> None:
    judged.judge()
    file = judged.cache / "judge" / "answers.jsonl"
    lines = file.read_text().splitlines()
    assert len(lines) == 20
    file.write_text("\n".join([*lines[:-1], lines[-1][:40]]))
    for _ in range(2):
        assert judged.judge() == 0
        assert len(server.requests) == 21
        assert judged.rows[DPO]["win_rate"] == 0.7


def test_temporary_errors_are_retried(judged: JudgedFolder, server: JudgeServer) -> None:
    seen: dict[str, int] = {}
    lock = Lock()
    troubles = [
        Reply(status=429, headers={"Retry-After": "0.001"}, body="{}"),
        failure(500),
        failure(503),
        failure(429),
    ]

    def rule(question: Question) -> Reply | str:
        with lock:
            before = seen[question.first] = seen.get(question.first, 0) + 1
        return troubles[before - 1] if before <= len(troubles) else longer(question)

    server.rule = rule
    assert judged.judge(retries=4, prompts=3) == 0
    assert counts(judged.rows[DPO]) == [3, 0, 0, 0, 0]
    assert judged.rows[DPO]["calls"] == 6
    # Each of the two texts that are ever shown first meets every trouble once.
    assert len(server.requests) == 6 + 2 * len(troubles)


def test_retry_after_is_respected(judged: JudgedFolder, server: JudgeServer) -> None:
    busy = Reply(status=429, headers={"Retry-After": "1"}, body="{}")
    server.rule = lambda q: busy if q.number < 1 else longer(q)
    assert judged.judge(prompts=1, concurrency=1) == 0
    # Else it would be half a second.
    assert 1 <= server.times[1] - server.times[0] < 30


def test_timeouts_and_broken_connections_are_retried(
    judged: JudgedFolder, server: JudgeServer
) -> None:
    # A question may take three times as long as a request.
    troubles = [Reply("[[A]]", delay=12), Reply(drop=True)]
    server.rule = lambda q: troubles[q.number] if q.number < 2 else longer(q)
    assert judged.judge(prompts=1, timeout=6) == 0
    assert len(server.requests) >= 4
    assert counts(judged.rows[DPO]) == [1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "trouble",
    [
        failure(400, "too long"),
        Reply(status=429, headers={"Retry-After": "3600"}, body="{}"),
        Reply(body=completion("[[A]]")[:-9]),
        Reply(body="<html>welcome</html>", headers={"Content-Type": "text/html"}),
    ],
)
def test_failures_are_counted_and_the_others_go_on(
    judged: JudgedFolder, server: JudgeServer, trouble: Reply
) -> None:
    server.rule = lambda q: trouble if q.prompt == PROMPTS[0] else longer(q)
    assert judged.judge() == 1
    row = judged.rows[DPO]
    assert counts(row) == [5, 2, 2, 0, 1]
    assert row["win_rate"] == pytest.approx(6 / 9)
    assert (row["calls"], len(server.requests)) == (18, 20)
    server.rule = longer
    assert judged.judge() == 0
    assert len(server.requests) == 22


@pytest.mark.parametrize(
    ("trouble", "complaint"),
    [
        (failure(401, f"Incorrect API key provided: {KEY}"), "refuses the key in OPENAI_API_KEY"),
        (failure(403, f"{KEY} has no access"), r"judge at 127.0.0.1: .*\*\*\* has no access"),
        (failure(404, "The model `judge` does not exist"), "`judge` does not exist"),
        (failure(429, "You exceeded your quota", code="insufficient_quota"), "your quota"),
        (failure(400, "Only 1 is supported", param="temperature"), "Only 1 is supported"),
    ],
)
def test_errors_that_every_request_would_have_stop_the_run(
    judged: JudgedFolder, server: JudgeServer, trouble: Reply, complaint: str
) -> None:
    server.rule = lambda question: trouble
    with pytest.raises(UserError, match=complaint) as raised:
        judged.judge(concurrency=2, retries=0)
    assert "\n" not in str(raised.value) and KEY not in str(raised.value)
    # Two at a time, and once more without a temperature where that is refused.
    assert len(server.requests) <= 6
    assert not (judged.folder / "llm_judge.csv").exists()


def test_an_unreachable_server_stops_the_run(tmp_path: Path) -> None:
    with serving() as server:
        url = server.url
    judged = JudgedFolder(write_folder(tmp_path / "run"), tmp_path / "cache", url)
    with pytest.raises(UserError, match=r"127.0.0.1: cannot be reached: .*fail"):
        judged.judge(retries=0)


def test_a_model_that_refuses_max_tokens_gets_the_new_name(
    judged: JudgedFolder, server: JudgeServer
) -> None:
    def rule(question: Question) -> Reply | str:
        if "max_tokens" in server.requests[question.number]:
            words = "Unsupported parameter: use 'max_completion_tokens' instead."
            return failure(400, words, param="max_tokens", code="unsupported_parameter")
        return longer(question)

    server.rule = rule
    assert judged.judge(concurrency=2) == 0
    assert counts(judged.rows[DPO]) == [6, 2, 2, 0, 0]
    assert 21 <= len(server.requests) <= 22
    assert server.requests[-1]["max_completion_tokens"] == 2048


def test_a_model_that_refuses_a_temperature_gets_none(
    judged: JudgedFolder, server: JudgeServer
) -> None:
    def rule(question: Question) -> Reply | str:
        if "temperature" in server.requests[question.number]:
            return failure(400, "Only the default (1) value is supported.", param="temperature")
        return longer(question)

    server.rule = rule
    assert judged.judge(concurrency=2) == 0
    assert counts(judged.rows[DPO]) == [6, 2, 2, 0, 0]
    assert 21 <= len(server.requests) <= 22
    assert "temperature" not in server.requests[-1]


def test_a_server_without_keys_needs_none(
    judged: JudgedFolder, server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another server's key is not for this one.
    assert judged.judge(key_env="LOCAL_KEY") == 0
    assert KEY not in str(server.headers)
    monkeypatch.setenv("LOCAL_KEY", "two\nlines")
    with pytest.raises(UserError, match="LOCAL_KEY: holds no key"):
        judged.judge(key_env="LOCAL_KEY", temperature=1)
    server.rule = lambda question: failure(401)
    monkeypatch.delenv("LOCAL_KEY")
    with pytest.raises(UserError, match="needs a key: set LOCAL_KEY"):
        judged.judge(key_env="LOCAL_KEY", temperature=1)
