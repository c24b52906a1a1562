"""From a results folder to its report: figures, report.md and one self-contained report.html."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.report import across, judge, tables, wins
from bench.report.answer import answer
from bench.report.contrasts import contrast_table, declared
from bench.report.cost import cost_table, savings
from bench.report.display import Link, count, seconds
from bench.report.effort import effort_table
from bench.report.methods import methods_table
from bench.report.overoptimization import turning_table
from bench.report.plots import write_figures
from bench.report.ranking import ranking_table
from bench.results.loading import Results, load_results
from bench.report.samples import sample_prompts
from bench.report.trust import trust
from bench.report.words import WORDS
from bench.cache.store import write_text

LONG_HEADINGS = frozenset(["error", "value", "what it is", "settings tried", "other settings"])
TEXT_HEADINGS = LONG_HEADINGS | frozenset(
    [
        "selected",
        "method",
        "contrast",
        "kind",
        "verdict",
        "against",
        "setting",
        "task",
        "stage",
        "compared",
        "status",
        "learns from",
        "dial",
        "paper",
        "what",
        "form",
        "first vs second",
        "first is",
        "split",
        "agrees with people",
    ]
)

# Tables with more rows fold away.
FOLDED = 40
# What an address may hold in Markdown as it is: neither brackets nor a table's bar.
MARKDOWN_URL = "/:?#@!$&*+,;=%~-._"


def build_report(folder: Path) -> Path:
    """Write figures/, report.md and report.html from the folder's files; return report.html.

    The same files give the same report. Raises UserError without runs.csv.
    """
    results = load_results(folder)
    figures = write_figures(results, folder / "figures")
    content = _content(results, folder.resolve().name)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=lambda name: bool(name and name.endswith(".html.j2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": markdown_text, "fenced": fenced, "table": markdown_table}
    environment.globals["FOLDED"] = FOLDED
    environment.tests |= {
        "link": lambda value: isinstance(value, Link),
        "text_heading": TEXT_HEADINGS.__contains__,
        "long_heading": LONG_HEADINGS.__contains__,
    }
    inline = {name: _data_uri(folder / "figures" / f"{name}.svg") for name in figures}
    markdown = environment.get_template("template.md.j2").render(**content, figures=figures)
    page = environment.get_template("template.html.j2").render(**content, figures=inline)
    write_text(folder / "report.md", markdown)
    write_text(folder / "report.html", page)
    return folder / "report.html"


def _content(results: Results, folder_name: str) -> dict[str, Any]:
    manifest, runs = results.manifest, results.runs
    return {
        "name": manifest.get("name") or folder_name,
        "about": _about(manifest),
        "tasks": [_task(results, task) for task in results.tasks],
        "limits": tables.limit_table(
            results.frontier, {task: results.task_title(task) for task in results.tasks}
        ),
        "failures": tables.failure_table(runs),
        "stages": tables.stage_table(results.stages),
        "trust": trust(manifest.get("calibration")),
        "facts": _facts(manifest),
        "experiment": results.experiment,
        "question": WORDS["declared" if declared(results) else "primary"],
        "methods": methods_table(results),
        "overall": ranking_table(results),
        "across_contrasts": across.across_contrasts(results),
        "words": WORDS,
        "judges": judge.judge_table(results),
        "measured_by": "Judge's" if results.judged == results.tasks else "Gold",
    }


def _task(results: Results, task: str) -> dict[str, Any]:
    runs = results.runs
    own = runs[runs["task"] == task].drop_duplicates(["method", "params"])
    tried = own["method"].value_counts(sort=False).items()
    strengths, fit = wins.strength_table(results, task)
    contrasts = contrast_table(results, task)
    # Many comparisons that can have no verdict fold away.
    first = contrasts["kind"] != "exploratory" if len(contrasts) > FOLDED else contrasts.index >= 0
    content = {
        "title": results.task_title(task),
        "answer": answer(results, task),
        "main": tables.main_table(runs, task, results.privileged),
        "contrasts": contrasts[first],
        "exploratory": contrasts[~first],
        "wins": wins.win_rate_table(results, task),
        "strengths": strengths,
        "strengths_fit": fit,
        "cost": cost_table(results, task),
        "savings": savings(results, task),
        "temperatures": tables.temperature_table(results.temperatures, runs, task),
        "likelihood": tables.likelihood_table(runs, task),
        "objective": tables.objective_table(results.objective, task),
        "shape": tables.shape_table(results.optimum, runs, task),
        "overoptimization": turning_table(results, task),
        "settings": tables.settings_table(runs, task),
        "effort": effort_table(runs, results.frontier, task),
        "tried": ", ".join(f"{method} {number}" for method, number in tried),
        "prompts": sample_prompts(results, task),
        "people": judge.people_table(results, task),
        "llm": judge.llm_table(results, task),
        "data": judge.data_table(results, task),
        "data_sentences": judge.data_sentences(results, task),
    }
    return content | _headed(content, results.scale(task))


def _headed(content: dict[str, Any], scale: str) -> dict[str, Any]:
    """Return the tables with headings that say what policies are measured by."""
    return {
        name: table.rename(columns=lambda heading: heading.replace("gold", scale))
        for name, table in content.items()
        if isinstance(table, pd.DataFrame)
    }


def _about(manifest: dict[str, Any]) -> str:
    """Return one line on when and where the run was made."""
    duration, cached = manifest.get("seconds"), manifest.get("cached_runs")
    parts = [
        str(manifest.get("started") or ""),
        f"{seconds(float(duration))} s" if isinstance(duration, int | float) else "",
        f"{cached} of {manifest.get('runs')} runs from the cache" if cached else "",
        str(manifest.get("device") or ""),
        f"commit {str(manifest['commit'])[:12]}" if manifest.get("commit") else "",
    ]
    return " · ".join(filter(None, parts))


def _facts(manifest: dict[str, Any]) -> list[tuple[str, pd.DataFrame]]:
    """Return the manifest's facts about the run, hardware and versions as small tables."""
    run = {k: manifest.get(k) for k in ("command", "started", "finished", "device", "commit")}
    blocks = {}
    for heading, values in (
        ("Run", run),
        ("Hardware", manifest.get("hardware") or {}),
        ("Versions", manifest.get("versions") or {}),
    ):
        blocks[heading] = [
            {"what": str(key).replace("_", " "), "value": _fact(value)}
            for key, value in values.items()
            if value is not None
        ]
    return [(heading, pd.DataFrame(lines)) for heading, lines in blocks.items() if lines]


def _fact(value: object) -> str:
    return count(value) if isinstance(value, int) else str(value)


def markdown_text(value: object) -> str:
    """Return any text so that Markdown shows it as it is, also inside a table's cell."""
    text = html.escape(" ".join(str(value).split()), quote=False)
    text = re.sub(r"([\\`*|\[\]~])", r"\\\1", text)
    # Inside a word an underscore is no emphasis; method names stay readable.
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def markdown_table(frame: pd.DataFrame) -> str:
    """Return the frame as a Markdown table, text to the left and figures to the right."""
    if frame.empty:
        return "Nothing to show."
    sides = ["---" if heading in TEXT_HEADINGS else "---:" for heading in frame.columns]
    cells = [[markdown_cell(cell) for cell in row] for row in frame.itertuples(index=False)]
    rows = [[markdown_text(heading) for heading in frame.columns], sides, *cells]
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    if len(frame) <= FOLDED:
        return text
    return f"<details><summary>{len(frame)} rows</summary>\n\n{text}\n\n</details>"


def markdown_cell(value: object) -> str:
    """Return a table's cell, a link where it is one."""
    if isinstance(value, Link):
        return f"[{markdown_text(value.text)}]({quote(value.url, safe=MARKDOWN_URL)})"
    return markdown_text(value)


def fenced(text: str) -> str:
    """Return the text as a Markdown code block whose fence it cannot close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _data_uri(file: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(file.read_bytes()).decode()
