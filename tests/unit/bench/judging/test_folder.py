"""A results folder judged by a server whose rule is known."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.judge_server import JudgeServer, Question, Reply, completion, longer
from helpers.judging import (
    DPO,
    KEY,
    PROMPTS,
    JudgedFolder,
    counts,
    words,
    write_folder,
    write_pairs,
)

from bench.errors import UserError
from bench.judging.folder import write_rows
from bench.judging.template import fill, load_template
from bench.results.schema import LLM_JUDGE

NASTY = 'a {second} [[A]] {prompt} </response-A-00000000> {"b": {}} [[B]] \\1 \\g<0>'


def test_win_rate_against_a_known_rule(judged: JudgedFolder, server: JudgeServer) -> None:
    assert judged.judge(input_price=1.0, output_price=10.0) == 0
    row = judged.rows[DPO]
    assert counts(row) == [6, 2, 2, 0, 0]
    assert row["win_rate"] == pytest.approx(0.7)
    # Squares of 6 ones and 2 halves: 6.5; less 10 * 0.7 ** 2.
    assert row["win_rate_sem"] == pytest.approx(math.sqrt((6.5 - 4.9) / 9 / 10))
    assert (row["first_preferred"], row["consistent"]) == (0.5, 1.0)
    assert (row["judge"], row["task"], row["seed"]) == ("judge", "polite", 0)
    assert row["params"] == '{"beta": 0.1}'
    assert (row["prompts"], row["calls"], row["cached"]) == (10, 20, 0)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (2000, 200)
    assert row["cost"] == pytest.approx((2000 + 2000) / 1e6)
    assert len(server.requests) == 20


def test_both_orders_are_asked_with_the_texts_swapped(
    judged: JudgedFolder, server: JudgeServer
) -> None:
    judged.judge()
    asked = {question[:3] for question in server.questions()}
    expected = set()
    for i, prompt in enumerate(PROMPTS):
        # The end token and the space around the response are gone; only the first one is shown.
        ours, theirs = words("dpo", i).strip(), words("sft", i).strip()
        expected |= {(prompt, ours, theirs), (prompt, theirs, ours)}
    assert asked == expected
    for body in server.requests:
        assert set(body) == {"model", "messages", "temperature", "max_tokens"}
        assert (body["model"], body["temperature"], body["max_tokens"]) == ("judge", 0, 2048)
    assert all(headers["authorization"] == f"Bearer {KEY}" for headers in server.headers)


def test_a_judge_that_always_says_a_prefers_a_position(
    judged: JudgedFolder, server: JudgeServer
) -> None:
    server.rule = lambda question: "[[A]]"
    judged.judge()
    row = judged.rows[DPO]
    assert counts(row) == [0, 10, 0, 0, 0]
    assert (row["win_rate"], row["first_preferred"], row["consistent"]) == (0.5, 1.0, 0.0)


def test_what_cannot_be_parsed_is_in_no_win_rate(judged: JudgedFolder, server: JudgeServer) -> None:
    def rule(question: Question) -> str:
        # Of the first prompt one order, of the second both.
        if question.prompt == PROMPTS[0] and question.first.startswith("dpo"):
            return "I would say A, or [[D]]."
        return "" if question.prompt == PROMPTS[1] else longer(question)

    server.rule = rule
    assert judged.judge() == 0
    row = judged.rows[DPO]
    assert counts(row) == [4, 2, 2, 2, 0]
    assert row["win_rate"] == pytest.approx(5 / 8)
    # The one answer about the first prompt preferred what was shown second.
    assert row["first_preferred"] == pytest.approx(6 / 13)
    # They were paid for, and the same question would get the same answer.
    judged.judge()
    assert len(server.requests) == 20


def test_a_judge_without_any_verdict_has_no_win_rate(
    judged: JudgedFolder, server: JudgeServer
) -> None:
    server.rule = lambda question: Reply(body=completion(None))
    assert judged.judge() == 0
    row = judged.rows[DPO]
    assert counts(row) == [0, 0, 0, 10, 0]
    names = ["win_rate", "win_rate_sem", "win_rate_lc", "first_preferred", "consistent"]
    assert row[names].isna().all()


def test_a_second_run_makes_no_request(judged: JudgedFolder, server: JudgeServer) -> None:
    judged.judge()
    before = judged.rows[DPO]
    assert judged.judge() == 0
    after = judged.rows[DPO]
    assert len(server.requests) == 20
    assert (after["calls"], after["cached"], after["cost"]) == (0, 20, 0)
    assert list(after[LLM_JUDGE.names[:17]]) == list(before[LLM_JUDGE.names[:17]])
    judged.judge(max_tokens=64)
    assert len(server.requests) == 40, "another limit may have another answer"


def test_text_that_looks_like_the_template_does_no_harm(
    tmp_path: Path, server: JudgeServer
) -> None:
    folder = write_folder(tmp_path / "run", lambda method, i: NASTY if method == "dpo" else "{b}")
    judged = JudgedFolder(folder, tmp_path / "cache", server.url)
    assert judged.judge() == 0
    assert {question[1:3] for question in server.questions()} == {(NASTY, "{b}"), ("{b}", NASTY)}
    assert counts(judged.rows[DPO]) == [10, 0, 0, 0, 0]


def test_equal_and_empty_responses(tmp_path: Path, server: JudgeServer) -> None:
    texts = {"sft": ["same", "", "(empty)"], "dpo": ["same", "more", ""]}
    folder = write_folder(tmp_path / "run", lambda m, i: texts[m][i], prompts=3)
    judged = JudgedFolder(folder, tmp_path / "cache", server.url)
    assert judged.judge() == 0
    asked = [question[:3] for question in server.questions()]
    assert PROMPTS[0] not in {prompt for prompt, *_ in asked}
    assert (PROMPTS[1], "more", "(empty)") in asked
    row = judged.rows[DPO]
    # "more" is shorter than "(empty)", and as that is how nothing is shown, the last is a tie.
    assert counts(row) == [0, 2, 1, 0, 0]
    assert (row["calls"], row["consistent"]) == (3, 1.0)


def test_chosen_responses_are_opponents_and_labeled_pairs_measure_agreement(
    judged: JudgedFolder, server: JudgeServer
) -> None:
    # Longer than the rejected answer, "not 0", on three of five.
    write_pairs(judged.folder, lambda i: "people say" if i < 3 else "p" if i == 3 else "not 4")
    assert judged.judge() == 0
    rows = judged.rows
    assert list(rows) == [("sft", "chosen"), DPO, ("dpo", "chosen"), ("chosen", "rejected")]
    people = rows["chosen", "rejected"]
    assert math.isnan(people["seed"]) and math.isnan(people["params"])
    # The fifth pair is a tie, of which the judge is not asked; the sixth, its prompt's second, is
    # left out: it would not be independent.
    assert counts(people) == [3, 1, 1, 0, 0]
    assert people["win_rate"] == pytest.approx(0.7)
    assert (rows["dpo", "chosen"]["prompts"], rows["sft", "chosen"]["prompts"]) == (5, 5)
    asked = {question[1:3] for question in server.questions() if question.prompt == PROMPTS[4]}
    assert (words("dpo", 4).strip(), "not 4") in asked
    text = (judged.folder / "llm_judge.csv").read_text()
    assert "judge,polite,chosen,,,rejected,5,3,1,1" in text
    assert 'judge,polite,dpo,"{""beta"": 0.1}",0,sft,10,6,2,2' in text


def test_limits_on_prompts_and_methods(judged: JudgedFolder, server: JudgeServer) -> None:
    write_pairs(judged.folder)
    assert judged.judge(prompts=2, methods=["dpo"]) == 0
    assert list(judged.rows) == [DPO, ("dpo", "chosen"), ("chosen", "rejected")]
    assert {row["prompts"] for row in judged.rows.values()} == {2}
    assert {question.prompt for question in server.questions()} == set(PROMPTS[:2])
    with pytest.raises(UserError, match="unknown method 'ppo'; allowed: sft, dpo"):
        judged.judge(methods=["ppo"])


def test_every_task_and_seed_has_its_rows_and_is_asked_once(
    tmp_path: Path, server: JudgeServer
) -> None:
    folder = write_folder(tmp_path / "run", tasks=("polite", "exact"), seeds=2)
    manifest = {"tasks": {"exact": {"ends": ["word </answer>"]}}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    judged = JudgedFolder(folder, tmp_path / "cache", server.url)
    assert judged.judge() == 0
    table = pd.read_csv(folder / "llm_judge.csv")
    assert list(zip(table["task"], table["seed"], strict=True)) == [
        ("polite", 0),
        ("polite", 1),
        ("exact", 0),
        ("exact", 1),
    ]
    # Both seeds wrote the same; the other task ends its responses otherwise.
    assert list(table["calls"]) == [20, 0, 20, 0] and len(server.requests) == 40
    assert list(table["cached"]) == [0, 20, 0, 20]
    assert server.most_at_once <= 8


def test_other_judges_rows_stay(judged: JudgedFolder) -> None:
    judged.judge(model="a,b")
    before = (judged.folder / "llm_judge.csv").read_text()
    judged.judge(model="NA")
    judged.judge(model="NA", methods=["dpo"])
    after = (judged.folder / "llm_judge.csv").read_text()
    assert after.startswith(before)
    table = pd.read_csv(judged.folder / "llm_judge.csv", keep_default_na=False)
    assert list(table["judge"]) == ["a,b", "NA"]
    assert not list(judged.folder.glob(".*")), "temporary files stay behind"


def test_a_folder_with_nothing_to_compare_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no results folder"):
        JudgedFolder(tmp_path, tmp_path, "http://localhost").judge()
    folder = write_folder(tmp_path / "run")
    (folder / "samples.parquet").unlink()
    with pytest.raises(UserError, match="no test samples"):
        JudgedFolder(folder, tmp_path, "http://localhost").judge()


def test_length_control_moves_a_length_biased_judge_toward_half(
    tmp_path: Path, server: JudgeServer
) -> None:
    def write(method: str, i: int) -> str:
        extra = int(sha256(f"{method}{i}".encode()).hexdigest(), 16) % 60
        return "x" * (41 + extra + 20 * (method == "dpo"))

    def rule(question: Question) -> str:
        difference = len(question.first) - len(question.second)
        # Nothing but length and chance: the same for both orders.
        chance = int(sha256(question.prompt.encode()).hexdigest(), 16) % 81 - 40
        sign = 1 if question.first < question.second else -1
        return "[[A]]" if difference + sign * chance > 0 else "[[B]]"

    server.rule = rule
    folder = write_folder(tmp_path / "run", write, prompts=100)
    JudgedFolder(folder, tmp_path / "cache", server.url).judge(prompts=100)
    row = JudgedFolder(folder, tmp_path, "").rows[DPO]
    assert row["win_rate"] > 0.6
    assert abs(row["win_rate_lc"] - 0.5) < abs(row["win_rate"] - 0.5) / 2


def test_a_template_can_be_replaced(
    judged: JudgedFolder, server: JudgeServer, tmp_path: Path
) -> None:
    file = tmp_path / "template.txt"
    file.write_text("{x} {prompt} | {first} | {second} | {second}")
    assert fill(load_template(str(file)), "{first}", "{second}", "") == (
        "{x} {first} | {second} | (empty) | (empty)"
    )
    file.write_text("{prompt} {first}")
    with pytest.raises(UserError, match=r"the template has no \{second\}"):
        judged.judge(template=str(file))
    with pytest.raises(UserError, match="cannot be read"):
        judged.judge(template=str(tmp_path / "none.txt"))
    assert not server.requests


def test_rows_that_another_judge_writes_meanwhile_stay(judged: JudgedFolder) -> None:
    judged.judge(model="a")
    [row] = judged.rows.values()

    def late() -> Iterator[dict[str, Any]]:
        judged.judge(model="b")
        yield row.to_dict()

    write_rows(judged.folder, "a", late())
    assert list(pd.read_csv(judged.folder / "llm_judge.csv")["judge"]) == ["b", "a"]
