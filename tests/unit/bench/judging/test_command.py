"""`prefrontier judge`: what it prints and where it writes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.judge_server import JudgeServer, Question, Reply, failure, longer
from helpers.judging import KEY, JudgedFolder, write_folder, write_pairs

from bench.commands.judge import run_judge
from bench.config.llm_judge import LLMJudge


def test_the_key_is_written_nowhere(
    judged: JudgedFolder, server: JudgeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.rule = lambda q: failure(400, f"bad key {KEY}") if q.number < 3 else longer(q)
    settings = LLMJudge(model="judge", base_url=server.url, retries=0)
    assert run_judge(judged.folder, settings) == 1
    shown = capsys.readouterr()
    assert "***" in shown.out and KEY not in shown.out + shown.err
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"llm_judge.csv", "answers.jsonl"} <= {file.name for file in files}
    assert not [file for file in files if KEY.encode() in file.read_bytes()]
    assert KEY not in repr(settings) + settings.model_dump_json()


def test_the_command_prints_a_table(
    judged: JudgedFolder, server: JudgeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(judged.folder, seeds=2)
    write_pairs(judged.folder)
    settings = LLMJudge(model="judge", base_url=server.url, input_price=100)
    assert run_judge(judged.folder, settings) == 0
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.splitlines()]
    assert ["dpo", "sft", "70.0%", "±", "0.0%", "0", "50.0%", "2"] in [
        [cell for i, cell in enumerate(line) if i != 5] for line in lines
    ]
    assert "polite: agrees with people on 100.0% ± 0.0% of their pairs (5 right" in shown
    assert "calls (" in shown and "$" in shown


def test_an_interrupt_waits_for_the_answers_that_are_paid_for(
    judged: JudgedFolder, server: JudgeServer
) -> None:
    command = [sys.executable, "-m", "bench", "judge", str(judged.folder), "--model", "judge"]
    running = subprocess.Popen(
        [*command, "--base-url", server.url, "--concurrency", "3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def rule(question: Question) -> Reply:
        if question.number == 5:
            running.send_signal(signal.SIGINT)
        return Reply(longer(question), delay=0.3)

    server.rule = rule
    output, _ = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "interrupted: the answers are kept" in output and "Traceback" not in output
    answers = (judged.cache / "judge" / "answers.jsonl").read_text().splitlines()
    assert len(answers) == len(server.requests) < 20
