"""The cache of the judge's answers."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

from bench.config.llm_judge import LLMJudge
from bench.judging.cache import Answer, Answers, request_key


def test_questions_that_may_have_different_answers_have_different_keys(tmp_path: Path) -> None:
    plain = LLMJudge(model="judge", base_url="http://localhost/v1")
    others = [
        {"model": "other"},
        {"base_url": "http://localhost/v2"},
        {"temperature": 1},
        {"max_tokens": 9},
    ]
    judges = [plain, *(plain.model_copy(update=change) for change in others)]
    keys = {request_key(judge, question) for judge in judges for question in ("a", "b")}
    assert len(keys) == 10
    same = {"base_url": "http://localhost/v1/", "retries": 1, "input_price": 3, "temperature": 0.0}
    assert request_key(plain.model_copy(update=same), "a") == request_key(plain, "a")
    answers = Answers(tmp_path)
    answers.add("key", Answer("half a pair: \ud83d\n", 1, 2))
    assert Answers(tmp_path).get("key") == Answer("half a pair: \ud83d\n", 1, 2)


def test_one_process_at_a_time_asks_a_judge_and_the_next_has_its_answers(tmp_path: Path) -> None:
    judge = LLMJudge(model="judge", base_url="http://localhost/v1")
    found: list[Answer | None] = []

    def ask(judge: LLMJudge) -> Thread:
        answers = Answers(tmp_path)

        def look() -> None:
            with answers.asking(judge):
                found.append(answers.get("key"))

        thread = Thread(target=look, daemon=True)
        thread.start()
        return thread

    answers = Answers(tmp_path)
    with answers.asking(judge):
        ask(judge.model_copy(update={"model": "another"})).join(60)
        assert found == [None]
        next_one = ask(judge)
        next_one.join(0.2)
        assert next_one.is_alive()
        answers.add("key", Answer("[[A]]", 1, 2))
    next_one.join(60)
    assert found == [None, Answer("[[A]]", 1, 2)]
