"""From sections to report.md and to one self-contained report.html."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.report.content.display import Link
from bench.report.content.section import Section, Table

# What an address may hold in Markdown as it is: neither brackets nor a table's bar.
MARKDOWN_URL = "/:?#@!$&*+,;=%~-._"


def render_markdown(title: str, about: str, sections: Sequence[Section]) -> str:
    """Return report.md; charts are linked in figures/."""
    return _environment().get_template("report.md.j2").render(_content(title, about, sections))


def render_html(title: str, about: str, sections: Sequence[Section], figures: Path) -> str:
    """Return report.html with the charts from a folder of SVG files inside it."""
    charts = [chart.name for section in sections for chart in section.charts]
    images = {name: _data_uri(figures / f"{name}.svg") for name in charts}
    template = _environment().get_template("report.html.j2")
    return template.render(_content(title, about, sections), images=images)


def _content(title: str, about: str, sections: Sequence[Section]) -> dict[str, object]:
    return {"title": title, "about": about, "sections": sections}


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=lambda name: bool(name and name.endswith(".html.j2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "plain": markdown_text,
        "fenced": fenced,
        "markdown_table": markdown_table,
    }
    environment.tests["link"] = lambda value: isinstance(value, Link)
    return environment


def markdown_text(value: object) -> str:
    """Return any text so that Markdown shows it as it is, also inside a table's cell."""
    text = html.escape(" ".join(str(value).split()), quote=False)
    text = re.sub(r"([\\`*|\[\]~])", r"\\\1", text)
    # Inside a word an underscore is no emphasis; method names stay readable.
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def markdown_table(table: Table) -> str:
    """Return a table in Markdown, text to the left and numbers to the right."""
    headings = [markdown_text(column.label) for column in table.columns]
    sides = ["---:" if column.kind == "number" else "---" for column in table.columns]
    cells = [[markdown_cell(row[column.name]) for column in table.columns] for row in table.rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in [headings, sides, *cells])
    if not table.folded:
        return text
    return f"<details><summary>{len(table.rows)} rows</summary>\n\n{text}\n\n</details>"


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
