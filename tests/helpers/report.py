"""What tests read off a report's tables and its page."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pandas as pd

from bench.report.content.section import Table


def as_frame(table: Table) -> pd.DataFrame:
    """Return a table as readers see it: its headings as columns, its cells as text."""
    return pd.DataFrame(
        [[row[column.name] for column in table.columns] for row in table.rows],
        columns=[column.label for column in table.columns],
    )


def page_text(folder: Path) -> str:
    """Return the text of a results folder's page, without its scripts and what they read."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    page = re.sub(r"(?s)<(script|style).*?</\1>|data:[^\"]*", " ", page)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())
