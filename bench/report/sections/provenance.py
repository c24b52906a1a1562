"""What was run: the data, the stages that all methods share, where it ran, and the experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.report.content.display import count, percent, seconds
from bench.report.content.section import Column, Part, Section, Table, Text
from bench.results.loading import Results

DATA_COLUMNS = (
    Column("split", "split", "text"),
    Column("preferences", "preferences"),
    Column("prompts", "prompts"),
)
STAGE_COLUMNS = (
    Column("task", "task", "text"),
    Column("stage", "stage", "text"),
    Column("seconds", "time (s)", help="Time to make it, mean over seeds."),
)
TRUTHS = {"gold": "the gold reward", "judge": "people"}
FACT_COLUMNS = (Column("fact", "fact", "text"), Column("value", "value", "long"))
RUN_FACTS = ("command", "started", "finished", "device", "commit")


def provenance_section(results: Results) -> Section:
    """Return the section; facts that are not known are left out."""
    parts = [data_part(results, task) for task in results.tasks]
    parts += [Part("Shared stages", tables=(stage_table(results),)), *fact_parts(results.manifest)]
    if results.experiment:
        parts.append(
            Part(texts=(Text("experiment.yaml", results.experiment.strip()),), folded=True)
        )
    shown = [part for part in parts if part.heading == "" or any(part.tables)]
    return Section("provenance", "What was run", parts=tuple(shown))


def data_part(results: Results, task: str) -> Part:
    """Return what was read of recorded preferences, how it was split, and what was left out."""
    title = f"{results.task_title(task)}: data"
    data = results.described("tasks").get(task, {}).get("data")
    if not data:
        return Part(title)
    rows = [
        {
            "split": split,
            "preferences": count(data["rows"][split]),
            "prompts": count(data["prompts"][split]),
        }
        for split in data["rows"]
    ]
    sentences = tuple(" ".join(line.split()) for line in data["summary"])
    return Part(title, paragraphs=sentences, tables=(Table.of(DATA_COLUMNS, rows),))


def stage_table(results: Results) -> Table:
    """Return what each shared stage took, and how good its reward is."""
    groups = results.stages.groupby(["task", "stage"], sort=False)
    rows = [
        {
            "task": task,
            "stage": str(stage).replace("_", " "),
            "seconds": seconds(seeds["seconds"].mean()),
            "reward_accuracy": percent(seeds["reward_accuracy"].mean()),
        }
        for (task, stage), seeds in groups
    ]
    truths = dict.fromkeys(TRUTHS[results.reward_source(task)] for task in results.tasks)
    help_text = f"How often it agrees with {' or '.join(truths)}."
    accuracy = Column("reward_accuracy", "reward accuracy", help=help_text)
    return Table.of((*STAGE_COLUMNS, accuracy), rows)


def fact_parts(manifest: Mapping[str, Any]) -> list[Part]:
    """Return the manifest's facts about run, hardware and versions."""
    facts: dict[str, Mapping[str, Any]] = {
        "Run": {name: manifest.get(name) for name in RUN_FACTS},
        "Hardware": manifest.get("hardware") or {},
        "Versions": manifest.get("versions") or {},
    }
    return [Part(heading, tables=(fact_table(values),)) for heading, values in facts.items()]


def fact_table(values: Mapping[str, Any]) -> Table:
    """Return the facts that are known."""
    rows = [
        {
            "fact": str(name).replace("_", " "),
            "value": count(value) if isinstance(value, int) else str(value),
        }
        for name, value in values.items()
        if value is not None
    ]
    return Table.of(FACT_COLUMNS, rows)
