"""Remembered results: computed once for each table and argument, and gone with the table."""

from __future__ import annotations

import gc
import weakref

import pandas as pd

from bench.results.remembered import remembered


class Total:
    def __init__(self, value: float) -> None:
        self.value = value


def test_a_result_is_computed_once_for_each_table_and_argument() -> None:
    calls = []

    @remembered
    def total(table: pd.DataFrame, column: str) -> Total:
        calls.append(column)
        return Total(float(table[column].sum()))

    first, second = pd.DataFrame({"a": [1, 2], "b": [3, 4]}), pd.DataFrame({"a": [5]})
    assert [total(first, "a").value, total(first, "b").value, total(second, "a").value] == [3, 7, 5]
    assert total(first, "a") is total(first, "a")
    assert calls == ["a", "b", "a"]


def test_results_are_forgotten_with_their_table() -> None:
    @remembered
    def total(table: pd.DataFrame) -> Total:
        return Total(float(table["a"].sum()))

    table = pd.DataFrame({"a": [1, 2]})
    result = weakref.ref(total(table))
    assert result() is not None
    del table
    gc.collect()
    assert result() is None
