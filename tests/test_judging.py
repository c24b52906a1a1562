"""The LLM judge against a server whose rule is known, and that fails in the ways that APIs do."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from hashlib import sha256
from io import StringIO
from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd
import pytest
from judge_server import JudgeServer, FeedbackFormat, Reply, completion, failure, longer, serving
from rich.console import Console

from bench.errors import UserError
from bench.commands.judge import run_judge
from bench.judging.folder import LLM_JUDGE_COLUMNS, judge_folder
from bench.config.llm_judge import LLMJudge
from bench.judging.template import fill, load_template

KEY = "sk-secret-of-the-test"
PROMPTS = [f"question {i} ?" for i in range(10)]
# The better of two settings on validation prompts is the one that is judged.
SETTINGS = {"sft": {"{}": 1.0}, "dpo": {'{"beta": 0.1}': 3.0, '{"beta": 0.4}': 2.0}}
DPO = ("dpo", "sft")
NASTY = 'a {second} [[A]] {prompt} </response-A-00000000> {"b": {}} [[B]] \\1 \\g<0>'


def words(method: str, i: int) -> str:
    """dpo is longer than sft on the first six of ten prompts, and as long on the next two."""
    count = 3 if i < 6 else 2 if i < 8 else 1
    return f"{method} " + "word " * (count if method == "dpo" else 2)


def write_folder(
    folder: Path,
    write: Callable[[str, int], str] = words,
    *,
    tasks: tuple[str, ...] = ("polite",),
    seeds: int = 1,
    prompts: int = 10,
) -> Path:
    folder.mkdir(exist_ok=True)
    runs, samples = [], []
    for task in tasks:
        for method, params in SETTINGS.items():
            for setting, gold in params.items():
                for seed in range(seeds):
                    run = {"task": task, "method": method, "params": setting, "seed": seed}
                    for split in ("validation", "test"):
                        runs.append(run | {"split": split, "status": "ok", "reward": gold})
                    named = run | {"params": setting, "split": "test"}
                    selected = gold == max(params.values())
                    for i in range(prompts):
                        text = write(method, i) if selected else "not this setting"
                        samples += [
                            named | {"prompt": f"question {i} ?", "response": response}
                            for response in (f"{text} </answer>", "a second response")
                        ]
                    named["split"] = "validation"
                    samples.append(named | {"prompt": "validation ?", "response": "not this"})
    pd.DataFrame(runs).to_csv(folder / "runs.csv", index=False)
    pd.DataFrame(samples).to_parquet(folder / "samples.parquet")
    return folder


def write_pairs(folder: Path, chosen: Callable[[int], str] = lambda i: f"people {i}") -> None:
    rows = [
        {
            "task": "polite",
            "split": split,
            "prompt": f"question {i} ?",
            "chosen": chosen(i),
            "rejected": f"not {i}",
        }
        for split in ("train", "test")
        for i in range(5)
    ]
    pd.DataFrame([*rows, rows[-1] | {"chosen": "the second of its prompt"}]).to_parquet(
        folder / "pairs.parquet"
    )


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


class Bench:
    """A results folder, its judge and the rows that came out."""

    def __init__(self, folder: Path, cache: Path, url: str) -> None:
        self.folder, self.cache, self.url = folder, cache, url
        self.shown = StringIO()

    def judge(self, **changes: Any) -> int:
        settings = LLMJudge(**({"model": "judge", "base_url": self.url} | changes))
        return judge_folder(self.folder, settings, self.cache, Console(file=self.shown, width=200))

    @property
    def rows(self) -> dict[tuple[str, str], pd.Series]:
        table = pd.read_csv(self.folder / "llm_judge.csv")
        assert list(table.columns) == LLM_JUDGE_COLUMNS
        return {(row["method"], row["opponent"]): row for _, row in table.iterrows()}


@pytest.fixture
def bench(tmp_path: Path, server: JudgeServer) -> Bench:
    return Bench(write_folder(tmp_path / "run"), tmp_path / "cache", server.url)


def counts(row: pd.Series) -> list[int]:
    return [int(row[name]) for name in ("wins", "ties", "losses", "unparsable", "failed")]


def test_win_rate_against_a_known_rule(bench: Bench, server: JudgeServer) -> None:
    assert bench.judge(input_price=1.0, output_price=10.0) == 0
    row = bench.rows[DPO]
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


def test_both_orders_are_asked_with_the_texts_swapped(bench: Bench, server: JudgeServer) -> None:
    bench.judge()
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


def test_a_judge_that_always_says_a_prefers_a_position(bench: Bench, server: JudgeServer) -> None:
    server.rule = lambda question: "[[A]]"
    bench.judge()
    row = bench.rows[DPO]
    assert counts(row) == [0, 10, 0, 0, 0]
    assert (row["win_rate"], row["first_preferred"], row["consistent"]) == (0.5, 1.0, 0.0)


def test_what_cannot_be_parsed_is_in_no_win_rate(bench: Bench, server: JudgeServer) -> None:
    def rule(question: FeedbackFormat) -> str:
        # Of the first prompt one order, of the second both.
        if question.prompt == PROMPTS[0] and question.first.startswith("dpo"):
            return "I would say A, or [[D]]."
        return "" if question.prompt == PROMPTS[1] else longer(question)

    server.rule = rule
    assert bench.judge() == 0
    row = bench.rows[DPO]
    assert counts(row) == [4, 2, 2, 2, 0]
    assert row["win_rate"] == pytest.approx(5 / 8)
    # The one answer about the first prompt preferred what was shown second.
    assert row["first_preferred"] == pytest.approx(6 / 13)
    # They were paid for, and the same question would get the same answer.
    bench.judge()
    assert len(server.requests) == 20


def test_a_judge_without_any_verdict_has_no_win_rate(bench: Bench, server: JudgeServer) -> None:
    server.rule = lambda question: Reply(body=completion(None))
    assert bench.judge() == 0
    row = bench.rows[DPO]
    assert counts(row) == [0, 0, 0, 10, 0]
    names = ["win_rate", "win_rate_sem", "win_rate_lc", "first_preferred", "consistent"]
    assert row[names].isna().all()


def test_a_second_run_asks_nothing(bench: Bench, server: JudgeServer) -> None:
    bench.judge()
    before = bench.rows[DPO]
    assert bench.judge() == 0
    after = bench.rows[DPO]
    assert len(server.requests) == 20
    assert (after["calls"], after["cached"], after["cost"]) == (0, 20, 0)
    assert list(after[LLM_JUDGE_COLUMNS[:17]]) == list(before[LLM_JUDGE_COLUMNS[:17]])
    bench.judge(max_tokens=64)
    assert len(server.requests) == 40, "another limit may have another answer"


def test_after_a_breakdown_only_the_missing_are_asked(bench: Bench, server: JudgeServer) -> None:
    server.rule = lambda q: longer(q) if q.number < 7 else failure(500, "down")
    assert bench.judge(retries=0) == 1
    row = bench.rows[DPO]
    assert (row["calls"], row["prompts"]) == (7, 10)
    assert row["failed"] >= 6 and sum(counts(row)) == 10
    assert "down" in bench.shown.getvalue()
    broken_down, server.rule = len(server.requests), longer
    assert bench.judge() == 0
    assert len(server.requests) == broken_down + 13
    row = bench.rows[DPO]
    assert (row["calls"], row["cached"], row["win_rate"]) == (13, 7, 0.7)


def test_a_run_that_is_stopped_keeps_its_answers(bench: Bench, server: JudgeServer) -> None:
    server.rule = lambda q: longer(q) if q.number < 7 else failure(401)
    with pytest.raises(UserError):
        bench.judge()
    stopped, server.rule = len(server.requests), longer
    assert bench.judge() == 0
    assert len(server.requests) == stopped + 13
    assert (bench.rows[DPO]["calls"], bench.rows[DPO]["cached"]) == (13, 7)


def test_half_a_line_in_the_cache_is_asked_again(bench: Bench, server: JudgeServer) -> None:
    bench.judge()
    [file] = (bench.cache / "judge").iterdir()
    lines = file.read_text().splitlines()
    assert len(lines) == 20
    file.write_text("\n".join([*lines[:-1], lines[-1][:40]]))
    for _ in range(2):
        assert bench.judge() == 0
        assert len(server.requests) == 21
        assert bench.rows[DPO]["win_rate"] == 0.7


def test_what_may_pass_is_retried(bench: Bench, server: JudgeServer) -> None:
    seen: dict[str, int] = {}
    lock = Lock()
    troubles = [
        Reply(status=429, headers={"Retry-After": "0.001"}, body="{}"),
        failure(500),
        failure(503),
        failure(429),
    ]

    def rule(question: FeedbackFormat) -> Reply | str:
        with lock:
            before = seen[question.first] = seen.get(question.first, 0) + 1
        return troubles[before - 1] if before <= len(troubles) else longer(question)

    server.rule = rule
    assert bench.judge(retries=4, prompts=3) == 0
    assert counts(bench.rows[DPO]) == [3, 0, 0, 0, 0]
    assert bench.rows[DPO]["calls"] == 6
    # Each of the two texts that are ever shown first meets every trouble once.
    assert len(server.requests) == 6 + 2 * len(troubles)


def test_the_server_says_how_long_to_wait(bench: Bench, server: JudgeServer) -> None:
    busy = Reply(status=429, headers={"Retry-After": "1"}, body="{}")
    server.rule = lambda q: busy if q.number < 1 else longer(q)
    assert bench.judge(prompts=1, concurrency=1) == 0
    # Else it would be half a second.
    assert 1 <= server.times[1] - server.times[0] < 3


def test_timeouts_and_broken_connections_are_retried(bench: Bench, server: JudgeServer) -> None:
    troubles = [Reply("[[A]]", delay=1), Reply(drop=True)]
    server.rule = lambda q: troubles[q.number] if q.number < 2 else longer(q)
    assert bench.judge(prompts=1, timeout=0.5) == 0
    assert len(server.requests) >= 4
    assert counts(bench.rows[DPO]) == [1, 0, 0, 0, 0]


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
    bench: Bench, server: JudgeServer, trouble: Reply
) -> None:
    server.rule = lambda q: trouble if q.prompt == PROMPTS[0] else longer(q)
    assert bench.judge() == 1
    row = bench.rows[DPO]
    assert counts(row) == [5, 2, 2, 0, 1]
    assert row["win_rate"] == pytest.approx(6 / 9)
    assert (row["calls"], len(server.requests)) == (18, 20)
    server.rule = longer
    assert bench.judge() == 0
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
def test_what_no_request_can_pass_stops_at_once(
    bench: Bench, server: JudgeServer, trouble: Reply, complaint: str
) -> None:
    server.rule = lambda question: trouble
    with pytest.raises(UserError, match=complaint) as raised:
        bench.judge(concurrency=2, retries=0)
    assert "\n" not in str(raised.value) and KEY not in str(raised.value)
    # Two at a time, and once more without a temperature where that is refused.
    assert len(server.requests) <= 6
    assert not (bench.folder / "llm_judge.csv").exists()


def test_a_server_that_is_not_there_stops_at_once(tmp_path: Path) -> None:
    with serving() as server:
        url = server.url
    bench = Bench(write_folder(tmp_path / "run"), tmp_path / "cache", url)
    with pytest.raises(UserError, match=r"127.0.0.1: cannot be reached: .*refused"):
        bench.judge(retries=0)


def test_a_new_model_has_its_limit_under_the_new_name(bench: Bench, server: JudgeServer) -> None:
    def rule(question: FeedbackFormat) -> Reply | str:
        if "max_tokens" in server.requests[question.number]:
            words = "Unsupported parameter: use 'max_completion_tokens' instead."
            return failure(400, words, param="max_tokens", code="unsupported_parameter")
        return longer(question)

    server.rule = rule
    assert bench.judge(concurrency=2) == 0
    assert counts(bench.rows[DPO]) == [6, 2, 2, 0, 0]
    assert 21 <= len(server.requests) <= 22
    assert server.requests[-1]["max_completion_tokens"] == 2048


def test_a_model_with_a_temperature_of_its_own_is_not_told_another(
    bench: Bench, server: JudgeServer
) -> None:
    def rule(question: FeedbackFormat) -> Reply | str:
        if "temperature" in server.requests[question.number]:
            return failure(400, "Only the default (1) value is supported.", param="temperature")
        return longer(question)

    server.rule = rule
    assert bench.judge(concurrency=2) == 0
    assert counts(bench.rows[DPO]) == [6, 2, 2, 0, 0]
    assert 21 <= len(server.requests) <= 22
    assert "temperature" not in server.requests[-1]


def test_the_key_is_written_nowhere(
    bench: Bench, server: JudgeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.rule = lambda q: failure(400, f"bad key {KEY}") if q.number < 3 else longer(q)
    settings = LLMJudge(model="judge", base_url=server.url, retries=0)
    assert run_judge(bench.folder, settings) == 1
    shown = capsys.readouterr()
    assert "***" in shown.out and KEY not in shown.out + shown.err
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"llm_judge.csv", "answers.jsonl"} <= {file.name for file in files}
    assert not [file for file in files if KEY.encode() in file.read_bytes()]
    assert KEY not in repr(settings) + settings.model_dump_json()


def test_a_server_without_keys_needs_none(
    bench: Bench, server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another server's key is not for this one.
    assert bench.judge(key_env="LOCAL_KEY") == 0
    assert KEY not in str(server.headers)
    monkeypatch.setenv("LOCAL_KEY", "two\nlines")
    with pytest.raises(UserError, match="LOCAL_KEY: holds no key"):
        bench.judge(key_env="LOCAL_KEY", temperature=1)
    server.rule = lambda question: failure(401)
    monkeypatch.delenv("LOCAL_KEY")
    with pytest.raises(UserError, match="needs a key: set LOCAL_KEY"):
        bench.judge(key_env="LOCAL_KEY", temperature=1)


def test_text_that_looks_like_the_template_does_no_harm(
    tmp_path: Path, server: JudgeServer
) -> None:
    folder = write_folder(tmp_path / "run", lambda method, i: NASTY if method == "dpo" else "{b}")
    bench = Bench(folder, tmp_path / "cache", server.url)
    assert bench.judge() == 0
    assert {question[1:3] for question in server.questions()} == {(NASTY, "{b}"), ("{b}", NASTY)}
    assert counts(bench.rows[DPO]) == [10, 0, 0, 0, 0]


def test_equal_and_empty_responses(tmp_path: Path, server: JudgeServer) -> None:
    texts = {"sft": ["same", "", "(empty)"], "dpo": ["same", "more", ""]}
    folder = write_folder(tmp_path / "run", lambda m, i: texts[m][i], prompts=3)
    bench = Bench(folder, tmp_path / "cache", server.url)
    assert bench.judge() == 0
    asked = [question[:3] for question in server.questions()]
    assert PROMPTS[0] not in {prompt for prompt, *_ in asked}
    assert (PROMPTS[1], "more", "(empty)") in asked
    row = bench.rows[DPO]
    # "more" is shorter than "(empty)", and as that is how nothing is shown, the last is a tie.
    assert counts(row) == [0, 2, 1, 0, 0]
    assert (row["calls"], row["consistent"]) == (3, 1.0)


def test_peoples_answers_are_opponents_and_their_pairs_a_test(
    bench: Bench, server: JudgeServer
) -> None:
    # Longer than the rejected answer, "not 0", on three of five.
    write_pairs(bench.folder, lambda i: "people say" if i < 3 else "p" if i == 3 else "not 4")
    assert bench.judge() == 0
    rows = bench.rows
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
    text = (bench.folder / "llm_judge.csv").read_text()
    assert "judge,polite,chosen,,,rejected,5,3,1,1" in text
    assert 'judge,polite,dpo,"{""beta"": 0.1}",0,sft,10,6,2,2' in text


def test_limits_on_prompts_and_methods(bench: Bench, server: JudgeServer) -> None:
    write_pairs(bench.folder)
    assert bench.judge(prompts=2, methods=["dpo"]) == 0
    assert list(bench.rows) == [DPO, ("dpo", "chosen"), ("chosen", "rejected")]
    assert {row["prompts"] for row in bench.rows.values()} == {2}
    assert {question.prompt for question in server.questions()} == set(PROMPTS[:2])
    with pytest.raises(UserError, match="unknown method 'ppo'; allowed: sft, dpo"):
        bench.judge(methods=["ppo"])


def test_every_task_and_seed_has_its_rows_and_is_asked_once(
    tmp_path: Path, server: JudgeServer
) -> None:
    folder = write_folder(tmp_path / "run", tasks=("polite", "exact"), seeds=2)
    manifest = {"tasks": {"exact": {"end": "word </answer>"}}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    bench = Bench(folder, tmp_path / "cache", server.url)
    assert bench.judge() == 0
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


def test_other_judges_rows_stay(bench: Bench) -> None:
    bench.judge(model="a,b")
    before = (bench.folder / "llm_judge.csv").read_text()
    bench.judge(model="NA")
    bench.judge(model="NA", methods=["dpo"])
    after = (bench.folder / "llm_judge.csv").read_text()
    assert after.startswith(before)
    table = pd.read_csv(bench.folder / "llm_judge.csv", keep_default_na=False)
    assert list(table["judge"]) == ["a,b", "NA"]
    assert not list(bench.folder.glob(".*")), "temporary files stay behind"


def test_nothing_to_compare_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no results folder"):
        Bench(tmp_path, tmp_path, "http://localhost").judge()
    folder = write_folder(tmp_path / "run")
    (folder / "samples.parquet").unlink()
    with pytest.raises(UserError, match="no test samples"):
        Bench(folder, tmp_path, "http://localhost").judge()


def test_length_control_moves_a_length_biased_judge_toward_half(
    tmp_path: Path, server: JudgeServer
) -> None:
    def write(method: str, i: int) -> str:
        extra = int(sha256(f"{method}{i}".encode()).hexdigest(), 16) % 60
        return "x" * (41 + extra + 20 * (method == "dpo"))

    def rule(question: FeedbackFormat) -> str:
        difference = len(question.first) - len(question.second)
        # Nothing but length and chance: the same for both orders.
        chance = int(sha256(question.prompt.encode()).hexdigest(), 16) % 81 - 40
        sign = 1 if question.first < question.second else -1
        return "[[A]]" if difference + sign * chance > 0 else "[[B]]"

    server.rule = rule
    folder = write_folder(tmp_path / "run", write, prompts=100)
    Bench(folder, tmp_path / "cache", server.url).judge(prompts=100)
    row = Bench(folder, tmp_path, "").rows[DPO]
    assert row["win_rate"] > 0.6
    assert abs(row["win_rate_lc"] - 0.5) < abs(row["win_rate"] - 0.5) / 2


def test_templates_of_ones_own(bench: Bench, server: JudgeServer, tmp_path: Path) -> None:
    file = tmp_path / "template.txt"
    file.write_text("{x} {prompt} | {first} | {second} | {second}")
    assert fill(load_template(str(file)), "{first}", "{second}", "") == (
        "{x} {first} | {second} | (empty) | (empty)"
    )
    file.write_text("{prompt} {first}")
    with pytest.raises(UserError, match=r"the template has no \{second\}"):
        bench.judge(template=str(file))
    with pytest.raises(UserError, match="cannot be read"):
        bench.judge(template=str(tmp_path / "none.txt"))
    assert not server.requests


def test_the_command_prints_a_table(
    bench: Bench, server: JudgeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(bench.folder, seeds=2)
    write_pairs(bench.folder)
    settings = LLMJudge(model="judge", base_url=server.url, input_price=100)
    assert run_judge(bench.folder, settings) == 0
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.splitlines()]
    assert ["dpo", "sft", "70.0%", "±", "0.0%", "0", "50.0%", "2"] in [
        [cell for i, cell in enumerate(line) if i != 5] for line in lines
    ]
    assert "polite: agrees with people on 100.0% ± 0.0% of their pairs (5 right" in shown
    assert "calls (" in shown and "$" in shown
