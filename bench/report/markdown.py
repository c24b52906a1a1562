"""Markdown in which any text is shown as it is, and the short report that is made of it."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.report.content.display import Link, visible
from bench.report.content.section import Section, Table

# What an address may hold in Markdown as it is: neither brackets nor a table's bar.
MARKDOWN_URL = "/:?#@!$&*+,;=%~-._"


def render_markdown(title: str, about: str, sections: Sequence[Section]) -> str:
    """Return report.md; charts are linked in figures/."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=False,  # Markdown escapes by the filters below.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": markdown_text, "markdown_table": markdown_table}
    template = environment.get_template("report.md.j2")
    return template.render(title=title, about=about, sections=sections)


def markdown_text(value: object) -> str:
    """Return any text so that Markdown shows it as it is, also inside a table's cell."""
    text = html.escape(" ".join(visible(str(value)).split()), quote=False)
    text = re.sub(r"([\\`*|\[\]~])", r"\\\1", text)
    # Inside a word an underscore is no emphasis; method names stay readable.
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def markdown_table(table: Table) -> str:
    """Return a table in Markdown, text to the left and numbers to the right."""
    headings = [markdown_text(column.label) for column in table.columns]
    sides = ["---:" if column.kind == "number" else "---" for column in table.columns]
    cells = [[markdown_cell(row[column.name]) for column in table.columns] for row in table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [headings, sides, *cells])


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
