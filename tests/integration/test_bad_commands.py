"""Every mistake in a command line or an environment variable is one line; nothing is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.experiments import GOOD, changed, write
from helpers.refusals import Refusal, check_message, refusal, words_in

__all__ = ["refusal"]

ROOT = Path(__file__).parents[2]
RESULTS = str(ROOT / "results" / "reference")
LONG = "x" * 5000
LONG_NAME = "x" * 300
COLORED = "\x1b[31mred\x1b[0m"

# A command line, and words of its message.
COMMANDS: list[tuple[str, str | list[str]]] = [
    # The command line itself.
    ("--nope", ["command line: no such option", "--nope", "prefrontier --help"]),
    ("nope", ["no such command 'nope'"]),
    (COLORED, ["no such command"]),
    (LONG, "5,000 characters"),
    # bench
    ("bench --nope", ["bench: no such option", "bench --help"]),
    ("bench quick slow", "unexpected extra argument"),
    ("bench nope", ["experiment 'nope': no such file", "quick"]),
    ("bench quick --seeds many", ["--seeds", "integer"]),
    ("bench quick --seeds 1.5", ["--seeds", "integer"]),
    ("bench quick --seeds", "--seeds"),
    ("bench quick --seeds -1", ["--seeds", "from 1 to 1,000"]),
    (f"bench quick --seeds {10**9}", ["--seeds", "from 1 to 1,000"]),
    (f"bench quick --seeds {'9' * 4000}", "--seeds"),
    (f"bench quick --jobs {10**9}", ["--jobs", "from 1 to 1,024"]),
    ("bench quick --device gpu", ["--device: unknown device 'gpu'", "cuda"]),
    ("bench quick --device cuda", "no CUDA device"),
    ("bench quick --keep some", ["--keep", "all, selected or none"]),
    ("bench quick --methods nope", ["--methods: unknown method 'nope'"]),
    ("bench quick --methods dpo,,nope", "unknown method 'nope'"),
    (f"bench quick --methods {LONG_NAME}", "unknown method"),
    (f"bench quick --methods {COLORED}", "unknown method"),
    ("bench quick --methods ../dpo", "unknown method '../dpo'"),
    ("bench quick --tasks nope", "unknown task 'nope'"),
    ("bench quick --tasks ../x", ["pattern", "../x"]),
    (f"bench quick --tasks {LONG_NAME}", "100 characters"),
    ("bench quick --contrast dpo", "--contrast: must name two methods"),
    (f"bench quick --contrast {LONG_NAME},dpo", "--contrast: unknown method"),
    ("bench quick --contrast dpo,nope", "--contrast: unknown method 'nope'"),
    ("bench quick --model tiny", ["--model", "needs --data"]),
    ("bench quick --out", "--out"),
    ("bench quick --out file", ["file", "cannot be written to"]),
    ("bench quick --out file/x", ["file/x", "cannot be written to"]),
    ("bench quick --out /proc/x", "/proc/x"),
    ("bench quick --out /dev/null", "cannot be written to"),
    (f"bench quick --out {LONG}", ["--out", "5,000 characters"]),
    (f"bench quick --out {LONG_NAME}", "too long"),
    (f"bench quick --out a/{LONG_NAME}/b", "too long"),
    ("bench --data nope.jsonl", ["nope.jsonl", "no such file"]),
    ("bench --data nope.xyz", "nope.xyz"),
    (f"bench --data {LONG}", "5,000 characters"),
    (f"bench --data {LONG_NAME}.jsonl", "too long"),
    ("bench --data file --model ./nope", "./nope"),
    (f"bench --data rows.jsonl --model {LONG}", ["--model", "5,000 characters"]),
    (f"bench --data rows.jsonl --model ./{LONG_NAME}", "xxx"),
    # report, compare
    ("report", ["report: missing argument", "report --help"]),
    ("report nope", "nope"),
    ("report .", "results"),
    ("report file", "file"),
    (f"report {LONG}", "5,000 characters"),
    (f"report {LONG_NAME}", "too long"),
    (f"report {COLORED}", "red"),
    ("compare", "missing argument"),
    ("compare nope", "at least 2"),
    ("compare nope nope", "nope"),
    ("compare a b c d e f g", "at most 6"),
    (f"compare {LONG_NAME} {LONG_NAME}", "too long"),
    (f"compare {RESULTS} {RESULTS} --out file/x.html", "cannot be written"),
    (f"compare {RESULTS} {RESULTS} --out {LONG_NAME}.html", "too long"),
    # judge
    ("judge", "missing"),
    ("judge nope", ["judge: missing option", "--model"]),
    ("judge nope --model m", ["nope", "no results folder"]),
    (f"judge {LONG_NAME} --model m", "too long"),
    (f"judge {RESULTS} --model m --template nope.txt", ["nope.txt", "cannot be read"]),
    (f"judge {RESULTS} --model m --template file", "the template has no {prompt}"),
    (f"judge {RESULTS} --model m --template /dev/zero", "must be a file"),
    (f"judge {RESULTS} --model m --template pipe", "must be a file"),
    (f"judge {RESULTS} --model m --base-url nope", "base_url must be"),
    (f"judge {RESULTS} --model m --base-url http://a:b/", "base_url must be"),
    (f"judge {RESULTS} --model m --key-env sk-1", "key_env must be the name"),
    (f"judge {RESULTS} --model m --prompts 0", "judge.prompts"),
    (f"judge {RESULTS} --model m --prompts x", "--prompts"),
    (f"judge {RESULTS} --model m --concurrency {10**9}", "judge.concurrency"),
    (f"judge {RESULTS} --model m --max-tokens 0", "judge.max_tokens"),
    (f"judge {RESULTS} --model m --input-price nan", "judge.input_price"),
    (f"judge {RESULTS} --model m --output-price -1", "judge.output_price"),
    (f"judge {RESULTS} --model m --methods nope", "nope"),
    # export
    ("export", "missing"),
    ("export nope --method dpo", "no results folder"),
    (f"export {LONG_NAME} --method dpo", "too long"),
    (f"export {RESULTS} --method nope", "--method: 'nope'"),
    (f"export {RESULTS} --method {COLORED}", "--method"),
    (f"export {RESULTS} --method dpo --task nope", "--task: 'nope'"),
    (f"export {RESULTS} --method dpo --seed 999", "--seed: '999'"),
    (f"export {RESULTS} --method dpo --seed x", "--seed"),
    (f"export {RESULTS} --method dpo --format nope", "--format: unknown format 'nope'"),
    (f"export {RESULTS} --method dpo --out file/x", "cannot be written"),
    (f"export {RESULTS} --method dpo --out {LONG_NAME}", "too long"),
    # check, new-method, methods, columns, calibrate
    ("check", "missing argument"),
    ("check nope", "check: unknown method 'nope'"),
    (f"check {LONG_NAME}", "check: unknown method"),
    ("new-method", "missing argument"),
    ("new-method A", "not a valid method name"),
    ("new-method all", "not a valid method name"),
    ("new-method class", "not a valid method name"),
    ("new-method ../x", "not a valid method name"),
    ("new-method dpo", "the name is taken"),
    ("new-method mine --like nope", "--like: unknown method 'nope'"),
    ("new-method mine --folder file", "file"),
    (f"new-method x{LONG_NAME}", "not a valid method name"),
    ("methods --nope", "methods: no such option"),
    ("methods dpo", "methods: got unexpected extra argument"),
    ("columns x", "columns: got unexpected extra argument"),
    ("calibrate --jobs 0", "--jobs: must be from 1"),
    (f"calibrate --jobs {10**9}", "--jobs: must be from 1"),
    ("calibrate --quick --out file", "cannot be written to"),
    (f"calibrate --out {LONG_NAME}", "too long"),
    # winrate
    ("winrate", "missing argument"),
    ("winrate nope.json", ["nope.json", "cannot be read"]),
    ("winrate .", "must be a file"),
    ("winrate pipe", "must be a file"),
    ("winrate /dev/zero", "must be a file"),
    (f"winrate {LONG_NAME}", "too long"),
    ("winrate file", "not JSON"),
    # policies
    ("chat", "missing"),
    ("chat nope --method dpo", "no results folder"),
    (f"chat {LONG_NAME} --method dpo", "too long"),
    (f"chat {RESULTS} --method dpo --task nope", "--task: unknown task 'nope'"),
    (f"chat {RESULTS} --method nope --task exact", "method 'nope' was not compared"),
    (f"chat {RESULTS} --method dpo --task exact --seed 99", "no finished seed 99"),
    (f"chat {RESULTS} --method dpo --task exact", "is not in the cache"),
    (f"chat {RESULTS} --method dpo --task exact --temperature nan", "--temperature: must be 0"),
    (f"chat {RESULTS} --method dpo --task exact --max-new-tokens 0", "--max-new-tokens"),
    (f"chat {RESULTS} --method dpo --task exact --device tpu", "cache"),
    ("answer nope", "missing option '--prompts'"),
    ("answer nope --prompts p.txt", "no results folder"),
    (f"answer {RESULTS} --task exact --prompts nope.txt", "nope.txt"),
    (f"answer {RESULTS} --task exact --prompts p.txt --out a/b.jsonl", "cache"),
    (f"answer {RESULTS} --task exact --prompts p.txt --out file/b.jsonl", "cannot be written to"),
    (f"answer {RESULTS} --task exact --prompts p.txt --out .", "is a folder"),
    ("export-model nope --method dpo", "no results folder"),
    (f"export-model {RESULTS} --method dpo --task exact --out a/b", "is not in the cache"),
    (f"export-model {RESULTS} --method dpo --task exact --out file/b", "cannot be written to"),
    (f"export-model {RESULTS} --method dpo --task exact --out file", "is not empty"),
    (f"export-model {RESULTS} --method dpo --task exact --out {LONG_NAME}", "too long"),
    (f"export-model {RESULTS} --method dpo --task nope", "--task: unknown task 'nope'"),
]


@pytest.mark.parametrize(("line", "words"), COMMANDS, ids=lambda part: str(part)[-70:])
def test_commands(line: str, words: str | list[str], refusal: Refusal) -> None:
    (refusal.folder / "file").write_text("hello")
    (refusal.folder / "p.txt").write_text("Hello?\n")
    (refusal.folder / "rows.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    os.mkfifo(refusal.folder / "pipe")
    words_in(words, refusal.of(*line.split(" ")))


ANNOTATION = {"instruction": "i", "output_1": "a", "output_2": "b", "preference": 1}
# The content of a file of annotations, and words of the message.
ANNOTATIONS: dict[str, tuple[str, str]] = {
    "empty": ("", "not JSON"),
    "not closed": ("[", "not JSON"),
    "an object": ("{}", "must be a JSON list"),
    "null": ("null", "must be a JSON list"),
    "no rows": ("[]", "no row has a preference"),
    "deep": ("[" * 100_000 + "]" * 100_000, "not JSON that can be read"),
    "deep row": (f"[{'[' * 900}{']' * 900}]", "row 1: must be an object"),
    "huge integer": (f"[{'9' * 5000}]", "not JSON that can be read"),
    "huge preference": (
        json.dumps([ANNOTATION]).replace('"preference": 1', f'"preference": {"9" * 4000}'),
        "row 1: preference is 999",
    ),
    "infinite preference": (json.dumps([ANNOTATION | {"preference": float("inf")}]), "preference"),
    "boolean preference": (json.dumps([ANNOTATION | {"preference": True}]), "preference is true"),
    "text as preference": (json.dumps([ANNOTATION | {"preference": "1"}]), "row 1: preference"),
    "escape in preference": (json.dumps([ANNOTATION | {"preference": "\x1b[2J"}]), "preference"),
    "number as text": (json.dumps([ANNOTATION | {"output_1": 3}]), "'output_1' must be text"),
    "missing text": (json.dumps([{"instruction": "i"}]), "'output_1' is missing"),
    "list as row": ("[[1]]", "row 1: must be an object"),
}


@pytest.mark.parametrize("case", ANNOTATIONS)
def test_annotations(case: str, refusal: Refusal) -> None:
    content, words = ANNOTATIONS[case]
    (refusal.folder / "rows.json").write_text(content)
    message = refusal.of("winrate", "rows.json")
    words_in(["rows.json", words], message)


# An environment variable, its value, and words of the message of `bench experiment.yaml`.
VARIABLES: list[tuple[str, str, str]] = [
    ("PREFRONTIER_CACHE", "file", "cannot be written to"),
    ("PREFRONTIER_CACHE", "file/x", "cannot be written to"),
    ("PREFRONTIER_CACHE", "/dev/null", "cannot be written to"),
    ("PREFRONTIER_CACHE", "/proc/x", "cannot be written to"),
    ("PREFRONTIER_CACHE", LONG, "too long"),
    ("PREFRONTIER_CACHE", LONG_NAME, "too long"),
    ("CUDA_VISIBLE_DEVICES", "nonsense", "CUDA_VISIBLE_DEVICES: must be numbers or names"),
    ("CUDA_VISIBLE_DEVICES", "0;1", "CUDA_VISIBLE_DEVICES: must be numbers or names"),
    ("CUDA_VISIBLE_DEVICES", LONG, "CUDA_VISIBLE_DEVICES: must be numbers or names"),
    ("CUDA_VISIBLE_DEVICES", COLORED, "CUDA_VISIBLE_DEVICES: must be numbers or names"),
    ("OPENAI_BASE_URL", "nonsense", "OPENAI_BASE_URL must be the address"),
    ("OPENAI_BASE_URL", "http://", "OPENAI_BASE_URL must be the address"),
    ("OPENAI_BASE_URL", f"http://a/{LONG}", "OPENAI_BASE_URL must be the address"),
    ("OPENAI_BASE_URL", f"http://a/{COLORED}", "OPENAI_BASE_URL must be the address"),
    ("OPENAI_API_KEY", "a key\nand more", "OPENAI_API_KEY: holds no key"),
    ("OPENAI_API_KEY", "schlüssel", "OPENAI_API_KEY: holds no key"),
]


@pytest.mark.parametrize(("name", "value", "words"), VARIABLES, ids=lambda part: part[:30])
def test_variables(
    name: str, value: str, words: str, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    (refusal.folder / "file").write_text("")
    write(refusal.folder, GOOD | {"llm_judge": {"model": "judge"}})
    monkeypatch.setenv(name, value)
    message = refusal.of("bench", "experiment.yaml")
    words_in(words, message)
    if name == "OPENAI_API_KEY":
        assert value not in message


def test_a_folder_without_permission(refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = refusal.folder / "closed"
    closed.mkdir(mode=0o500)
    if os.geteuid() == 0:
        # Where not even root may write.
        closed = Path("/sys")
    words_in("cannot be written to", refusal.of("bench", "quick", "--out", str(closed / "x")))
    monkeypatch.setenv("PREFRONTIER_CACHE", str(closed))
    words_in("cannot be written to", refusal.of("bench", "quick"))


def process(folder: Path, *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["bench", "--seeds", "x"],
        ["bench", "experiment.yaml"],
        ["winrate", "/dev/zero"],
        ["bench", "bytes-\udcff"],
    ],
)
def test_a_process_fails_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    write(tmp_path, changed("methods", "dpo", value={"beta": True}))
    started = process(tmp_path, *arguments)
    printed, message = started.communicate(timeout=300)
    check_message(started.returncode, message)
    assert not printed and [file.name for file in tmp_path.iterdir()] == ["experiment.yaml"]


def test_output_that_nobody_reads_ends_the_command_quietly(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    # Before anything can be written.
    os.close(reader)
    started = process(tmp_path, "columns", stdout=writer)
    os.close(writer)
    _, message = started.communicate(timeout=300)
    assert (started.returncode, message) == (1, "")


def test_an_interruption_is_one_line() -> None:
    code = (
        "import sys, threading, _thread, bench.commands.methods as m\n"
        "def wait(with_grid):\n"
        "    print('ready', flush=True)\n"
        "    threading.Event().wait()\n"
        "m.print_methods = wait\n"
        "from bench.cli import main\n"
        "main(['methods'])\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None and started.stdout.readline() == "ready\n"
    started.send_signal(signal.SIGINT)
    _, message = started.communicate(timeout=300)
    assert (started.returncode, message) == (130, "prefrontier: interrupted\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_before_the_command_line_is_loaded(
    number: signal.Signals, status: int
) -> None:
    code = (
        "import sys, threading\n"
        "class Waiting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'bench.cli':\n"
        "            print('ready', flush=True)\n"
        "            threading.Event().wait()\n"
        "sys.meta_path.insert(0, Waiting())\n"
        "from bench.__main__ import main\n"
        "main()\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code, "methods"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None and started.stdout.readline() == "ready\n"
    started.send_signal(number)
    _, message = started.communicate(timeout=300)
    assert (started.returncode, message) == (status, "prefrontier: interrupted\n")


def test_mistakes_are_found_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a: &a [x, x]\n" + "".join(f"k{i}: [*a, *a]\n" for i in range(4000)))
    before = time.process_time()
    with pytest.raises(SystemExit):
        from bench.cli import main

        main(["bench", str(tmp_path / "experiment.yaml")])
    assert time.process_time() - before < 5
