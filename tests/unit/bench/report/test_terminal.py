"""The main tables as the terminal shows them."""

from __future__ import annotations

from pathlib import Path

from helpers.synthetic import make_runs, write_folder
from helpers.synthetic_judges import add_judges
from rich.console import Console
from rich.table import Table

from bench.report.terminal import terminal_report


def test_each_task_has_a_table_of_the_most_important_columns(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, make_runs(["polite", "haiku"], ["sft", "dpo", "ppo_gold"], 2))
    add_judges(folder, "haiku")
    gold, judged = [shown for shown in terminal_report(folder) if isinstance(shown, Table)]
    assert [column.header for column in gold.columns] == [
        "method",
        "setting",
        "gold reward",
        "gain over SFT",
        "KL (nats)",
        "win rate vs SFT",
        "efficiency",
        "seeds",
    ]
    assert judged.title == "haiku" and judged.columns[2].header == "judge reward"
    assert [column.justify for column in gold.columns[:3]] == ["left", "left", "right"]


def test_names_are_no_markup(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, make_runs(["polite"], ["sft", "dpo"], 1))
    file = folder / "runs.csv"
    file.write_text(file.read_text().replace("dpo", "[red]dpo"))
    console = Console(width=120, record=True, file=(tmp_path / "shown").open("w"))
    for shown in terminal_report(folder):
        console.print(shown)
    assert "[red]dpo" in console.export_text()
