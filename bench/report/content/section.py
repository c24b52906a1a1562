"""What a report is made of: sections, each with charts, tables by task, and notes.

A section's module turns results into a `Section`, or None where it has nothing to show. The
templates are loops over tabs and sections, and know none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bench.results.loading import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["text", "long", "number"]
# Tables with more rows than this fold away.
FOLDED = 40


class Column(NamedTuple):
    """A column of a report's table.

    Attributes:
        name: Its key in the rows.
        label: Its heading.
        kind: Text to the left, long text that may wrap, or numbers to the right.
        help: What it means, empty where the label says it.
        best: Which of its values is the best, empty where none is.
    """

    name: str
    label: str
    kind: Kind = "number"
    help: str = ""
    best: Literal["", "high", "low"] = ""


@dataclass(frozen=True)
class Table:
    """A table of display strings and links.

    Attributes:
        columns: In their order.
        rows: Cells by column name; a row whose `selected` is true is highlighted.
        folded: Whether it is shown on demand; by default where it is long.
        title: What a folded table is called.
    """

    columns: tuple[Column, ...]
    rows: tuple[dict[str, Any], ...]
    folded: bool = False
    title: str = "All rows"

    @classmethod
    def of(cls, columns: Sequence[Column], rows: Sequence[dict[str, Any]]) -> Table:
        """Return a table, folded where it is long."""
        return cls(tuple(columns), tuple(rows), len(rows) > FOLDED)

    def __bool__(self) -> bool:
        return bool(self.rows)


class Text(NamedTuple):
    """A text shown as it is, such as a response: never as markup.

    Attributes:
        label: Whose text or what it is; may be empty.
        content: The text.
        about: What else there is to say about it, in small print.
    """

    label: str
    content: str
    about: str = ""


@dataclass(frozen=True)
class Part:
    """One task's share of a section, or a share that all tasks have in common.

    Attributes:
        heading: The task's title, empty where it is of all tasks.
        statement: What is said first, set in bold.
        warnings: What to be wary of.
        paragraphs: Plain text.
        tables: Empty ones are left out.
        texts: Shown as they are, below the tables.
        folded: Whether texts are shown on demand.
        task: The task's name; empty where it is of all tasks.
    """

    heading: str = ""
    statement: str = ""
    warnings: tuple[str, ...] = ()
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    texts: tuple[Text, ...] = ()
    folded: bool = False
    task: str = ""

    def __bool__(self) -> bool:
        contents = (self.statement, self.warnings, self.paragraphs, self.texts)
        return any(contents) or any(self.tables)


class Switch(NamedTuple):
    """A choice that the readers of a plot have.

    Attributes:
        label: What is chosen, such as "points".
        options: The choices, the first one shown first.
    """

    label: str
    options: tuple[str, ...]


class Mark(NamedTuple):
    """How a chart shows what is told apart by lines and points, beside the color of methods.

    Attributes:
        label: What it stands for.
        dash: Lengths of dashes and gaps of its lines; empty for a solid line, None for no line.
        fill: Opacity inside its points: 1 is filled, 0 is open; None for no points.
    """

    label: str
    dash: tuple[int, ...] | None
    fill: float | None


class Plot(NamedTuple):
    """An interactive chart of one task.

    Attributes:
        task: The task's name.
        title: What it shows, in a few words.
        specs: Vega-Lite for each combination of options: a key is the options joined by "|", in
            the order of the switches; "" without switches. Data are named, not inline.
        data: Rows by the names that the specs give to their data.
        switches: What readers can choose.
        key: What else its legend lists.
    """

    task: str
    title: str
    specs: dict[str, dict[str, Any]]
    data: dict[str, list[dict[str, Any]]]
    switches: tuple[Switch, ...] = ()
    key: tuple[Mark, ...] = ()


class Chart(NamedTuple):
    """A chart.

    Attributes:
        name: Of its files in figures/.
        alt: What it shows, in a line.
        figure: The drawn figure; None for a chart that is interactive alone.
        plots: Interactive ones in its place, at most one for each task.
    """

    name: str
    alt: str
    figure: Figure | None = None
    plots: tuple[Plot, ...] = ()

    @property
    def width(self) -> int:
        """How wide the figure is on a page (CSS pixels)."""
        return round(96 * self.figure.get_figwidth()) if self.figure else 0


@dataclass(frozen=True)
class Section:
    """A section of the report.

    Attributes:
        id: Its anchor.
        title: Its heading.
        introduction: What it shows and how to read it.
        charts: Above the tables.
        parts: By task, or in common.
        notes: Below everything else.
        view: The interactive view that it holds, a name in the page's scripts.
        layout: Empty, or "beside" where charts and tables share a row on wide screens.
    """

    id: str
    title: str
    introduction: str = ""
    charts: tuple[Chart, ...] = ()
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()
    view: str = ""
    layout: Literal["", "beside"] = ""

    def __bool__(self) -> bool:
        return bool(self.charts) or any(self.parts) or bool(self.view)


class Tab(NamedTuple):
    """A tab of the page.

    Attributes:
        id: Its name in addresses.
        title: Its heading.
        sections: What it holds.
    """

    id: str
    title: str
    sections: tuple[Section, ...]


MakeSection = Callable[[Results], Section | None]
