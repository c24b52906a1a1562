"""What tests read off a report's tables."""

from __future__ import annotations

import pandas as pd

from bench.report.content.section import Table


def as_frame(table: Table) -> pd.DataFrame:
    """Return a table as readers see it: its headings as columns, its cells as text."""
    return pd.DataFrame(
        [[row[column.name] for column in table.columns] for row in table.rows],
        columns=[column.label for column in table.columns],
    )
