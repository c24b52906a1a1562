"""What a table, a column and a metric are: how they are declared, written and read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from bench.cache.files import write_parquet, write_text
from bench.errors import UserError
from bench.results.reading import place_of, read_rows, shown

Format = Literal["number", "tokens", "percent", "count", "seconds"]
Place = Literal["main", "terminal", "usage", "checkpoints"]
NOT_FINITE = ("nan", "inf", "-inf")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name in the file.
        help: What it holds, in a sentence for readers of the docs.
        kind: Text, or numbers. What is missing reads as "" or nan.
        missing: What a file may lack: the column, as one that was written before it was declared,
            single cells, or nothing.
        allowed: The texts that are allowed, where not all are.
        whole: Whether the numbers are whole.
    """

    name: str
    help: str
    kind: Literal["text", "number"] = "number"
    missing: Literal["column", "cell", "nothing"] = "column"
    allowed: tuple[str, ...] = ()
    whole: bool = False

    def wrong(self, values: pd.Series) -> pd.Series:
        """Return which values of a file's column are not allowed."""
        empty = values.isna() if self.kind == "number" else pd.Series(False, index=values.index)
        if pd.api.types.is_string_dtype(values.dtype):
            empty = values.fillna("") == ""
        if self.kind == "number":
            wrong = ~empty & ~_are_numbers(values, self.whole)
        elif self.allowed:
            wrong = ~values.isin(self.allowed) & ~empty
        else:
            wrong = ~_are_texts(values)
        return wrong | (empty if self.missing == "nothing" else False)

    @property
    def rule(self) -> str:
        """What is allowed, in words."""
        if self.missing == "nothing" and self.kind == "text" and not self.allowed:
            return "text that is not empty"
        kinds = {"text": "text", "number": "a whole number" if self.whole else "a number"}
        what = ", ".join(self.allowed) or kinds[self.kind]
        return what if self.missing == "nothing" else f"{what}, or nothing"


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
        """Return the file with these columns, empty where it is missing.

        Raises:
            UserError: The file is damaged, or has a value that is not allowed.
        """
        file = folder / self.file
        if not file.exists():
            return self.typed(pd.DataFrame())
        frame = read_rows(file, self.names)
        for column in self.columns:
            if column.name in frame:
                _check(file, column, frame[column.name])
            elif column.missing != "column":
                needed = [each.name for each in self.columns if each.missing != "column"]
                raise UserError(
                    f"{file}: column {column.name} is missing; needed: {', '.join(needed)}"
                )
        return self.typed(frame)

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


def _check(file: Path, column: Column, values: pd.Series) -> None:
    """Raise UserError if a value of a column is not allowed."""
    wrong = column.wrong(values).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(
            f"{place_of(file, row)}: {column.name} is {shown(values.iloc[row])}; "
            f"allowed: {column.rule}"
        )


def _are_numbers(values: pd.Series, whole: bool) -> pd.Series:
    try:
        numbers = pd.to_numeric(values, errors="coerce").astype(float)
    except TypeError:  # lists and the like
        return pd.Series(False, index=values.index)
    if whole:
        return numbers % 1 == 0
    # What is written for a number that is not finite is known, and reads as missing.
    written = values.astype(str).str.strip().str.lower().isin(NOT_FINITE)
    return numbers.map(math.isfinite) | written


def _are_texts(values: pd.Series) -> pd.Series:
    if pd.api.types.is_string_dtype(values.dtype) and values.dtype != object:
        return pd.Series(True, index=values.index)
    return values.map(lambda value: value is None or isinstance(value, str)).astype(bool)
