"""What a table, a column and a metric are: how they are declared, written and read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from bench.cache.files import write_parquet, write_text

Format = Literal["number", "tokens", "percent", "count", "seconds"]
Place = Literal["main", "terminal", "usage", "checkpoints"]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name in the file.
        help: What it holds, in a sentence for readers of the docs.
        kind: Text, or numbers. What is missing reads as "" or nan.
    """

    name: str
    help: str
    kind: Literal["text", "number"] = "number"


@dataclass(frozen=True)
class Metric:
    """A number that is measured of each run: declared once, for columns, tables and glossary.

    Attributes:
        name: Its name wherever it is measured, and its column.
        label: Its heading in tables; {source} stands for what gives the reward, gold or judge.
        help: What it means, in a sentence for readers of a report, likewise.
        unit: Its unit, empty where it has none.
        format: How tables show it.
        higher_is_better: Whether more is better; None where neither is.
        shown: The tables that show it.
        has_sem: Whether the column `<name>_sem` holds its standard error, for other prompts of the
            same kind.
        interval: Whether the main table shows its 95% interval over seeds.
        complete: Whether it is shown only where every seed has it.
    """

    name: str
    label: str
    help: str
    unit: str = ""
    format: Format = "number"
    higher_is_better: bool | None = None
    shown: tuple[Place, ...] = ()
    has_sem: bool = False
    interval: bool = False
    complete: bool = False

    @property
    def column(self) -> Column:
        """The metric's column."""
        unit = f" Unit: {self.unit}." if self.unit else ""
        return Column(self.name, f"{self.help.replace('{source}', 'gold or judge')}{unit}")

    def columns(self) -> list[Column]:
        """Return the metric's column, and that of its standard error."""
        sem = Column(f"{self.name}_sem", f"Standard error of `{self.name}`, clustered by prompt.")
        return [self.column, sem] if self.has_sem else [self.column]


@dataclass(frozen=True)
class Table:
    """A file that a run leaves.

    Attributes:
        file: Its name in the results folder, `.csv` or `.parquet`.
        help: What a row is.
        columns: In their order.
    """

    file: str
    help: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [column.name for column in self.columns]

    def frame(self, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
        """Return rows as a table: what a row lacks is empty, what is not declared is left out."""
        return pd.DataFrame(
            [[row.get(name) for name in self.names] for row in rows], columns=self.names
        )

    def write(self, folder: Path, frame: pd.DataFrame) -> None:
        """Write the file whole, numbers in CSV to 8 significant digits."""
        frame = frame[self.names]
        if self.file.endswith(".parquet"):
            write_parquet(folder / self.file, frame)
        else:
            write_text(folder / self.file, frame.to_csv(index=False, float_format="%.8g"))

    def read(self, folder: Path) -> pd.DataFrame:
        """Return the file with these columns, empty where it is missing."""
        file = folder / self.file
        if not file.exists() or file.stat().st_size <= 1:
            return self.typed(pd.DataFrame())
        if self.file.endswith(".parquet"):
            return self.typed(pd.read_parquet(file))
        # As text, so that a method or an error called "NA" stays what it is.
        return self.typed(pd.read_csv(file, dtype=str, keep_default_na=False))

    def typed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame with these columns: text as str, numbers as finite float or nan."""
        frame = frame.reindex(columns=self.names)
        for column in self.columns:
            values = frame[column.name]
            if column.kind == "text":
                frame[column.name] = values.astype(object).fillna("").astype(str)
            else:
                frame[column.name] = pd.to_numeric(values, errors="coerce").astype(float)
        return frame.replace([np.inf, -np.inf], np.nan)
