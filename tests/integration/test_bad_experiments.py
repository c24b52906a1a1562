"""Every mistake in an experiment file is one line, found before anything is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.experiments import changed, write
from helpers.refusals import Refusal, refusal, words_in

__all__ = ["refusal"]

BASE = "tasks: {exact: {}}\nmethods: {dpo: {}}\n"
BOMB = "\n".join(
    [
        "a: &a [x, x, x, x, x, x, x, x, x, x]",
        *(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]"
            for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ),
    ]
)
MERGED_BOMB = BOMB.replace("[x, x, x, x, x, x, x, x, x, x]", "{k: 1}").replace("[", "{<<: [")
MERGED_BOMB = MERGED_BOMB.replace("]", "]}")

# What is wrong with a file as a file or as YAML.
FILES: dict[str, tuple[bytes | str, str | list[str]]] = {
    "empty": ("", "must be a mapping with the keys name, seeds"),
    "only a comment": ("# nothing\n", "must be a mapping"),
    "text": ("hello", "must be a mapping"),
    "a number": ("3", "must be a mapping"),
    "a list": ("- 1\n- 2", "must be a mapping"),
    "null": ("null", "must be a mapping"),
    "byte order mark alone": (b"\xef\xbb\xbf", "must be a mapping"),
    "Latin-1": (b"name: caf\xe9", "not UTF-8"),
    "UTF-16": ("name: x".encode("utf-16"), "not UTF-8"),
    "binary": (bytes(range(256)) * 4, "not UTF-8"),
    "null character": (f"{BASE}name: a\0b", ["not readable as YAML", "special characters"]),
    "escape character": (f"{BASE}name: a\x1b[31mb", "special characters"),
    "large": (f"{BASE}# " + "x" * 300_000, "too large: at most 256 kB"),
    "many values": ("[" + "1," * 30_000 + "]", "more than 20,000 values"),
    "unclosed": ("tasks: {exact: {", ["not readable as YAML", "line 1"]),
    "tab": (f"{BASE}\tseeds: 3", ["line 3", "cannot start any token"]),
    "two colons": (f"{BASE}name: a: b", ["line 3", "mapping values are not allowed here"]),
    "two documents": (f"{BASE}---\n{BASE}", "expected a single document"),
    "repeated key": (f"{BASE}seeds: 2\nseeds: 3", ["line 4", "'seeds' is there twice"]),
    "repeated nested key": (
        "tasks: {exact: {}, exact: {options: {labels: 9}}}",
        "'exact' is there twice",
    ),
    "repeated method": ("methods: {dpo: {}, sft: {}, dpo: {beta: 2}}", "'dpo' is there twice"),
    "repeated quoted key": (f"{BASE}name: x\n'name': y", "'name' is there twice"),
    "number as key": (f"{BASE}2024: x", "the key '2024' must be text"),
    "true as key": ("tasks: {true: {}}", "the key 'true' must be text"),
    "null as key": ("methods: {~: {}}", "the key '~' must be text"),
    "list as key": (f"{BASE}? [a, b]\n: 1", "the key must be text"),
    "mapping as key": (f"{BASE}? {{a: b}}\n: 1", "the key must be text"),
    "unknown tag": (f"{BASE}name: !mine x", "the tag '!mine' is not allowed"),
    "python tag": (f"{BASE}name: !!python/name:os.system", "is not allowed"),
    "binary tag": (f"{BASE}name: !!binary aGk=", "is not allowed"),
    "set tag": ("tasks: !!set {exact}", "is not allowed"),
    "timestamp tag": (f"{BASE}name: !!timestamp 2024-99-99", "is not allowed"),
    "unknown alias": (f"{BASE}seeds: *no", "undefined alias"),
    "recursion": ("tasks: &a {exact: *a}", "contains itself"),
    "recursive list": ("contrasts: &a [*a]", "contains itself"),
    "alias bomb": (BOMB, "more than 20,000 values"),
    "merged alias bomb": (MERGED_BOMB, "more than 20,000 values"),
    "merged number": ("tasks: {<<: 3}", "expected a mapping"),
    "deep lists": ("tasks: " + "[" * 5000, "nested deeper than 32"),
    "deep mappings": ("{a: " * 3000, "nested deeper than 32"),
    "deep block": ("- " * 3000, "nested deeper than 32"),
    "huge integer": (f"{BASE}seeds: {'9' * 5000}", "too long for a number"),
    "future YAML": (f"%YAML 9.0\n---\n{BASE}", "version 1"),
    "name from a file": ("tasks: {exact: {}}", "methods"),
}


@pytest.mark.parametrize("case", FILES)
def test_files(case: str, refusal: Refusal) -> None:
    content, words = FILES[case]
    file = refusal.folder / "mine.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    message = refusal.of("bench", "mine.yaml")
    words_in(words, message)
    words_in("mine.yaml", message)


def test_numbers_are_read_as_people_write_them(tmp_path: Path) -> None:
    from bench.config.yaml_text import read_yaml, yaml_text

    text = "a: 1e-3\nb: 5E+2\nc: 1_000_\nd: -.5\ne: 010\nf: 1:30\ng: 2024-01-02\nh: '3'\ni: 0x10"
    content = read_yaml(Path(write(tmp_path, "\ufeff" + text)))
    assert content == {
        **{"a": 0.001, "b": 500.0, "c": 1000, "d": -0.5, "e": "010", "f": "1:30"},
        **{"g": "2024-01-02", "h": "3", "i": "0x10"},
    }
    text_like = content | {"j": "1e5", "k": "yes", "l": "1:30", "m": [True, None, 1e-05]}
    assert read_yaml(Path(write(tmp_path, yaml_text(text_like)))) == text_like
    shared = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}"
    assert read_yaml(Path(write(tmp_path, shared))) == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
    }


# What stands at the place of a file.
PLACES = {
    "folder": "must be a file",
    "pipe": "must be a file",
    "nothing": "no such file",
    "/dev/zero": "must be a file",
    "..": "must be a file",
    "a/b/c.yaml": "no such file",
    "mine.yaml/x": "no such file",
    "x" * 300: "no such file",
    "x" * 5000: "5,000 characters",
    "a\0b": "no such file",
    "bad\x1b[31mname": "no such file",
    "../quick": "no such file",
    "-": "no such file",
    " ": "no such file",
}


@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_experiment_file(place: str, refusal: Refusal) -> None:
    (refusal.folder / "folder").mkdir()
    (refusal.folder / "mine.yaml").write_text(BASE)
    os.mkfifo(refusal.folder / "pipe")
    words_in(PLACES[place], refusal.of("bench", place))


def options(task: str, **values: Any) -> dict[str, object]:
    return changed("tasks", task, "options", value=values)


def method(name: str, **values: Any) -> dict[str, object]:
    return changed("methods", name, value=values)


INFINITE, NOT_A_NUMBER = float("inf"), float("nan")
TRAINING = {"examples": 64, "epochs": 1, "batch_size": 32, "learning_rate": 1e-3}
JUDGE: dict[str, Any] = {"model": "judge"}
# What is wrong with a value: the place and what is said of it.
VALUES: list[tuple[dict[str, object], list[str]]] = [
    # Names.
    (changed("name", value=".."), ["name", "pattern"]),
    (changed("name", value="a/b"), ["name", "pattern"]),
    (changed("name", value=""), ["name", "pattern"]),
    (changed("name", value="-x"), ["name", "pattern"]),
    (changed("name", value="x\n"), ["name", "pattern"]),
    (changed("name", value="x" * 5000), ["name", "at most 100 characters"]),
    (changed("name", value="a\x1b[2Jb"), ["name", "pattern"]),
    (changed("name", value=3), ["name", "must be text"]),
    (changed("name", value=None), ["name", "must be text"]),
    (changed("tasks", "x" * 5000, value={"task": "exact"}), ["at most 100 characters"]),
    (changed("tasks", "a/b", value={"task": "exact"}), ["a/b", "pattern"]),
    (changed("tasks", "\x1b]0;x", value={"task": "exact"}), ["pattern"]),
    (changed("tasks", "exact", value={"task": "x" * 5000}), ["unknown task 'xxx"]),
    (changed("methods", "x" * 5000, value={}), ["unknown method 'xxx"]),
    (changed("methods", "a\x1b[31m", value={}), ["unknown method"]),
    # Kinds of values.
    (changed("tasks", value={}), ["tasks", "at least 1 item"]),
    (changed("tasks", value=["exact"]), ["tasks", "must be a mapping"]),
    (changed("tasks", value=None), ["tasks", "must be a mapping"]),
    (changed("tasks", "exact", value="yes"), ["tasks.exact"]),
    (
        changed("tasks", "exact", value={"options": [1]}),
        ["tasks.exact.options", "must be a mapping"],
    ),
    (changed("methods", value=None), ["methods", "must be a mapping"]),
    (changed("methods", value=["dpo"]), ["methods", "must be a mapping"]),
    (changed("methods", "dpo", value=3), ["methods.dpo", "must be a mapping"]),
    (changed("contrasts", value="dpo,sft"), ["contrasts", "must be a list"]),
    (changed("contrasts", value=[["dpo", 3]]), ["contrasts.0.1", "must be text"]),
    (changed("contrasts", value=[{"dpo": "sft"}]), ["contrasts.0"]),
    (changed("evaluation", value=[]), ["evaluation"]),
    (changed("keep", value="some"), ["keep", "'all', 'selected' or 'none'"]),
    # Booleans and text are no numbers, and numbers no booleans.
    (changed("seeds", value=True), ["seeds", "integer", "True"]),
    (changed("seeds", value="3"), ["seeds", "integer", "'3'"]),
    (changed("seeds", value=3.0), ["seeds", "integer", "3.0"]),
    (changed("seeds", value=2.5), ["seeds", "integer"]),
    (changed("jobs", value=True), ["jobs", "integer"]),
    (changed("budget", value="many"), ["budget", "integer"]),
    (changed("evaluation", "temperature", value=True), ["evaluation.temperature", "number"]),
    (changed("evaluation", "top_p", value="0.9"), ["evaluation.top_p", "number"]),
    (method("dpo", beta=True), ["methods.dpo.beta", "number", "True"]),
    (method("dpo", beta="0.1"), ["methods.dpo.beta", "number", "'0.1'"]),
    (method("dpo", beta=None), ["methods.dpo.beta", "number"]),
    (method("dpo", beta=[0.1]), ["methods.dpo.beta", "number"]),
    (method("dpo", examples=1e5), ["methods.dpo.examples", "integer"]),
    (method("dpo", grid={"beta": [1, True]}), ["methods.dpo.beta", "True"]),
    (method("dpo", grid={"beta": [[1]]}), ["methods.dpo.beta", "number"]),
    (method("dpo", grid=3), ["methods.dpo.grid", "lists"]),
    (method("dpo", grid={"beta": "abc"}), ["methods.dpo.grid", "lists"]),
    (method("ppo", whiten=1), ["methods.ppo.whiten", "boolean"]),
    (method("ppo", whiten="no"), ["methods.ppo.whiten", "boolean"]),
    (options("exact", labels=True), ["tasks.exact.options.labels", "integer"]),
    (options("exact", sft={"epochs": True}), ["tasks.exact.options.sft.epochs", "number"]),
    (options("exact", sft=3), ["tasks.exact.options.sft"]),
    (options("exact", architecture={"layers": "2"}), ["options.architecture.layers", "integer"]),
    # Numbers that are not finite.
    (changed("evaluation", "temperature", value=INFINITE), ["evaluation.temperature", "finite"]),
    (changed("evaluation", "temperature", value=NOT_A_NUMBER), ["evaluation.temperature"]),
    (changed("evaluation", "temperatures", value=[INFINITE]), ["temperatures.0", "finite"]),
    (changed("evaluation", "top_p", value=NOT_A_NUMBER), ["evaluation.top_p"]),
    (method("dpo", learning_rate=INFINITE), ["methods.dpo.learning_rate", "finite"]),
    (method("dpo", grid={"beta": [INFINITE]}), ["methods.dpo.beta", "finite"]),
    (method("dpo", warmup=NOT_A_NUMBER), ["methods.dpo.warmup"]),
    (method("ppo", missing_end_reward=-INFINITE), ["methods.ppo.missing_end_reward", "finite"]),
    (options("exact", annotator={"length_bonus": INFINITE}), ["annotator.length_bonus", "finite"]),
    (options("exact", annotator={"tie_margin": INFINITE}), ["annotator.tie_margin", "finite"]),
    (options("exact", annotator={"temperature": INFINITE}), ["annotator.temperature", "finite"]),
    (options("exact", annotator={"flip_rate": NOT_A_NUMBER}), ["annotator.flip_rate"]),
    (options("exact", sft={"epochs": INFINITE}), ["options.sft.epochs"]),
    (options("exact", sft={"learning_rate": INFINITE}), ["options.sft.learning_rate", "finite"]),
    (options("exact", response_source={"tilting": INFINITE}), ["response_source.tilting"]),
    (options("exact", overlap=NOT_A_NUMBER), ["options.overlap"]),
    (options("recorded", data="x.jsonl", shares={"train": NOT_A_NUMBER}), ["shares.train"]),
    # Numbers that are too large.
    (method("dpo", learning_rate=1e300), ["methods.dpo.learning_rate", "less than"]),
    (method("ppo", missing_end_reward=-1e300), ["methods.ppo.missing_end_reward", "greater than"]),
    (options("exact", annotator={"tie_margin": 10**30}), ["annotator.tie_margin", "less than"]),
    (changed("seeds", value=10**9), ["seeds", "less than or equal to 1000"]),
    (changed("jobs", value=10**9), ["jobs", "less than or equal to 1024"]),
    (changed("budget", value=10**30), ["budget", "less than or equal to 1000000000"]),
    (changed("evaluation", "checkpoints", value=10**9), ["evaluation.checkpoints", "1000"]),
    (changed("evaluation", "responses_per_prompt", value=10**9), ["responses_per_prompt"]),
    (changed("evaluation", "frontier_samples", value=10**9), ["frontier_samples"]),
    (changed("evaluation", "frontier_policies", value=9), ["frontier_policies"]),
    (changed("evaluation", "temperatures", value=[0.5] * 33), ["temperatures", "at most 32"]),
    (changed("evaluation", "top_k", value=10**30), ["evaluation.top_k"]),
    (options("exact", labels=10**9), ["options.labels"]),
    (options("polite", labels=10**9), ["options.labels"]),
    (options("exact", sft={"examples": 10**9}), ["options.sft.examples"]),
    (options("exact", pretraining={"epochs": 1e9}), ["options.pretraining.epochs"]),
    (options("exact", instance=10**40 // 10), ["options.instance"]),
    (options("exact", architecture={"layers": 10**6}), ["parameters", "1,000,000,000"]),
    (options("exact", architecture={"hidden": 10**6}), ["parameters", "1,000,000,000"]),
    (options("exact", feedback_format={"kind": "rankings", "responses": 10**9}), ["responses"]),
    (method("dpo", examples=10**12), ["methods.dpo.examples"]),
    (method("best_of_n", n=10**9), ["methods.best_of_n.n"]),
    (method("dpo", grid={"beta": [1e-3 * i for i in range(1, 1002)]}), ["dpo.grid", "1,000"]),
    (
        method(
            "ppo",
            grid={f: [0.1, 0.2, 0.3, 0.4] for f in ("clip", "lam", "gamma", "kl_coef")}
            | {"batch_size": [3, 6, 9, 12]},
        ),
        ["methods.ppo.grid", "more than 1,000 settings"],
    ),
    (
        changed("seeds", value=1000)
        | {"methods": {"dpo": {"grid": {"beta": [0.01 * i for i in range(1, 100)]}}}},
        ["more than 50,000 runs"],
    ),
    # What training would find late.
    (options("exact", response_source={"coverage": 0}), ["response_source.coverage", "than 0"]),
    (options("exact", response_source={"coverage": 1.5}), ["response_source.coverage"]),
    (
        options("exact", response_source={"distinct": True, "tilting": 1.0}),
        ["response_source.distinct is not possible with tilting"],
    ),
    (options("exact", reward="tables"), ["tasks.exact.options.reward", "'features' or 'table'"]),
    (options("exact", reward="table", overlap=0.5), ["overlap must be 0 with reward table"]),
    (options("haiku", lines=1), ["tasks.haiku.options.lines"]),
    (options("haiku", lines=6), ["tasks.haiku.options.lines", "5"]),
    (options("bandit", unseen=0.0), ["tasks.bandit.options.unseen", "less than 0"]),
    (
        options("bandit", feedback_format={"kind": "rankings", "responses": 3}),
        ["feedback_format.responses must be 2"],
    ),
    (
        options("sentiment", data="x.jsonl", model="x", response_source={"coverage": 0.5}),
        ["response_source.coverage must be 1"],
    ),
    (options("exact", architecture={"heads": 3}), ["architecture.heads", "multiple of"]),
    (options("exact", architecture={"hidden": 6}), ["architecture.hidden must be a multiple"]),
    (method("dpo", batch_size=100_000), ["methods.dpo", "too few for a batch of 100000"]),
    (method("dpo", examples=3), ["methods.dpo", "too few for a batch of 32"]),
    (method("ppo", episodes=8), ["methods.ppo", "too few for a batch of 96"]),
    (method("expert_iteration", examples=1), ["methods.expert_iteration", "too few for a batch"]),
    (changed("budget", value=16), ["methods.dpo", "too few for a batch of 32", "budget"]),
    (options("recorded", data="x.jsonl", loading={"quantization": "4bit"}), ["needs adapters"]),
    (options("recorded", data=""), ["data: must name"]),
    (options("recorded"), ["data: must name"]),
    (
        options("recorded", data="x.jsonl", columns={"prompt": 3}),
        ["columns.prompt", "must be text"],
    ),
    (options("recorded", data="x.jsonl", columns={"x": "y"}), ["columns: unknown 'x'"]),
    (options("recorded", data="x.jsonl", shares={"train": 0.9}), ["must sum to 1"]),
    (options("sentiment", shortest=9), ["shortest must be at most longest"]),
    # The judge.
    (changed("llm_judge", value={}), ["llm_judge.model", "is missing"]),
    (changed("llm_judge", value="gpt"), ["llm_judge"]),
    (changed("llm_judge", value=JUDGE | {"x": 1}), ["llm_judge.x", "unknown key"]),
    (changed("llm_judge", value={"model": ""}), ["llm_judge.model"]),
    (changed("llm_judge", value={"model": "x" * 5000}), ["llm_judge.model"]),
    (changed("llm_judge", value=JUDGE | {"base_url": "localhost:8000"}), ["base_url must be"]),
    (changed("llm_judge", value=JUDGE | {"base_url": "http://"}), ["base_url must be"]),
    (changed("llm_judge", value=JUDGE | {"base_url": "http://a:99999"}), ["base_url must be"]),
    (changed("llm_judge", value=JUDGE | {"base_url": "http://[::1"}), ["base_url must be"]),
    (changed("llm_judge", value=JUDGE | {"base_url": "http://a b/v1"}), ["base_url must be"]),
    (changed("llm_judge", value=JUDGE | {"base_url": "ftp://a/v1"}), ["base_url must be"]),
    (changed("llm_judge", value=JUDGE | {"base_url": 3}), ["llm_judge.base_url", "must be text"]),
    (changed("llm_judge", value=JUDGE | {"timeout": 0}), ["llm_judge.timeout"]),
    (changed("llm_judge", value=JUDGE | {"timeout": INFINITE}), ["llm_judge.timeout"]),
    (changed("llm_judge", value=JUDGE | {"temperature": -1}), ["llm_judge.temperature"]),
    (changed("llm_judge", value=JUDGE | {"temperature": NOT_A_NUMBER}), ["llm_judge.temperature"]),
    (changed("llm_judge", value=JUDGE | {"retries": 10**9}), ["llm_judge.retries"]),
    (changed("llm_judge", value=JUDGE | {"concurrency": 10**9}), ["llm_judge.concurrency"]),
    (changed("llm_judge", value=JUDGE | {"prompts": 0}), ["llm_judge.prompts"]),
    (changed("llm_judge", value=JUDGE | {"input_price": -1}), ["llm_judge.input_price"]),
    (changed("llm_judge", value=JUDGE | {"methods": ["kto"]}), ["unknown method 'kto'", "dpo"]),
    (changed("llm_judge", value=JUDGE | {"template": "no.txt"}), ["no.txt", "cannot be read"]),
    (changed("llm_judge", value=JUDGE | {"template": "t" * 300}), ["cannot be read"]),
    (changed("llm_judge", value=JUDGE | {"template": "/dev/zero"}), ["must be a file"]),
    (changed("llm_judge", value=JUDGE | {"template": "experiment.yaml"}), ["no {prompt}"]),
]


@pytest.mark.parametrize(("content", "words"), VALUES, ids=lambda part: str(part)[-60:])
def test_values(content: dict[str, object], words: list[str], refusal: Refusal) -> None:
    write(refusal.folder, yaml.safe_dump(content, allow_unicode=False))
    words_in(words, refusal.of("bench", "experiment.yaml", "--device", "cpu"))


def test_a_key_is_not_repeated_by_a_message(refusal: Refusal) -> None:
    write(refusal.folder, changed("llm_judge", value=JUDGE | {"key_env": "sk-secret"}))
    message = refusal.of("bench", "experiment.yaml")
    assert "key_env must be the name" in message and "secret" not in message


@pytest.mark.parametrize(
    ("loading", "words"),
    [
        (
            {"lora": {"rank": 4, "targets": ["q_prj"]}},
            ["lora.targets", "no layer 'q_prj'", "q_proj"],
        ),
        ({"lora": {"rank": 4, "targets": ["q_proj", "c_attn"]}}, ["no layer 'c_attn'"]),
        ({"lora": {"rank": 4}, "quantization": "4bit"}, ["quantization", "needs a GPU"]),
        ({"lora": {"rank": 10**9}}, ["loading.lora.rank"]),
        ({"lora": {"rank": True}}, ["loading.lora.rank", "integer"]),
        ({"lora": {"targets": "q_proj"}}, ["loading.lora.targets"]),
    ],
)
def test_adapters_that_the_model_cannot_have(
    loading: dict[str, Any], words: list[str], refusal: Refusal
) -> None:
    write(refusal.folder, options("recorded", data="x.jsonl", model="tiny", loading=loading))
    words_in(words, refusal.of("bench", "experiment.yaml", "--device", "cpu"))
