"""Remembering what was computed from a table: sections of a report ask for the same again."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import pandas as pd

P = ParamSpec("P")
T = TypeVar("T")
Rows = Callable[Concatenate[pd.DataFrame, P], T]


def remembered(function: Rows[P, T]) -> Rows[P, T]:
    """Return the function of a table and hashable arguments, which computes each result once.

    Tables of results are not changed once they are made, and neither are such results. They are
    forgotten with their table.
    """
    known: dict[int, dict[Hashable, Any]] = {}

    @wraps(function)
    def remember(table: pd.DataFrame, *args: P.args, **kwargs: P.kwargs) -> T:
        if id(table) not in known:
            known[id(table)] = {}
            weakref.finalize(table, known.pop, id(table), None)
        results, key = known[id(table)], (args, tuple(sorted(kwargs.items())))
        if key not in results:
            results[key] = function(table, *args, **kwargs)
        found: T = results[key]
        return found

    return cast(Rows[P, T], remember)
