"""A made-up results folder whose texts try to act: names, prompts, responses and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from helpers.synthetic import fail, make_runs, write_folder
from helpers.synthetic_tables import ATTACK

from bench.results import schema

IMAGE = 'x"><img src=y onerror="window.pwned=1">|[a](b)'
SCRIPT = "</script><script>window.pwned=1;alert(1)</script><!--<script>"
FORMULA = "=cmd|' /C calc'!A0"
TERMINAL = "\x1b[31mred\x1b[0m\x1b]0;title\x07"
BACKWARD = "\u202egnihton \u2066\u200f\u061c"
TEMPLATE = "{{ 7 * 7 }} ${window.pwned=1} {% raw %}"
LONG = "w" * 50_000
RESPONSES = (ATTACK, IMAGE, SCRIPT, FORMULA, TERMINAL, BACKWARD, TEMPLATE, LONG, "\u2028\u2029")
# By the names that a folder of usual methods has.
NAMES = {
    "dpo": FORMULA,
    "ppo": f"{IMAGE}{SCRIPT}",
    "ppo_gold": f"{BACKWARD}{TERMINAL}",
    "best_of_n": f"@{'m' * 10_000}",
}


def write_hostile_folder(folder: Path) -> Path:
    """Write a results folder of one task, with a failed run, where every text is an attack."""
    methods = ["sft", *NAMES]
    runs = make_runs(["polite"], methods, 2)
    lost = (runs["method"] == "ppo") & (runs["strength"] == 0.1) & (runs["seed"] == 1)
    runs = fail(runs, lost, f"RuntimeError: {SCRIPT}{TERMINAL} {LONG}")
    write_folder(folder, runs, [("dpo", "ppo")])
    for table in (schema.RUNS, schema.HEAD_TO_HEAD, schema.CURVES, schema.CHECKPOINTS):
        _rename(folder, table)
    for table in (schema.OPTIMUM, schema.TEMPERATURES):
        _rename(folder, table)
    settings = _rename(folder, schema.METHODS)
    settings[["title", "authors"]] = SCRIPT
    settings["paper"] = "javascript:window.pwned=1"
    settings["fixed"] = json.dumps({IMAGE: SCRIPT, "long": LONG[:1000]})
    schema.METHODS.write(folder, settings)
    samples = _rename(folder, schema.SAMPLES)
    prompts = dict(zip(samples["prompt"].unique(), (IMAGE, SCRIPT, LONG, BACKWARD), strict=True))
    samples["prompt"] = samples["prompt"].map(prompts)
    samples["response"] = [RESPONSES[i % len(RESPONSES)] for i in range(len(samples))]
    schema.SAMPLES.write(folder, samples)
    _write_json(folder)
    return folder


def _rename(folder: Path, table: Any) -> pd.DataFrame:
    """Give the methods of a table their hostile names, and return the table."""
    frame = table.read(folder)
    for column in ("method", "opponent"):
        if column in frame:
            frame[column] = frame[column].replace(NAMES)
    table.write(folder, frame)
    return frame


def _write_json(folder: Path) -> None:
    """Make the manifest and the experiment hostile as well."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["methods"] = {NAMES.get(m, m): about for m, about in manifest["methods"].items()}
    manifest["tasks"]["polite"]["title"] = IMAGE
    manifest |= {"name": SCRIPT, "command": f"prefrontier bench {SCRIPT}", "device": TEMPLATE}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    declared = json.dumps([[NAMES["dpo"], NAMES["ppo"]]])
    (folder / "experiment.yaml").write_text(f"name: {json.dumps(SCRIPT)}\ncontrasts: {declared}\n")
