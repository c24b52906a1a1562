"""How far the frontier is drawn, and on what it rests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from helpers.report import as_frame
from helpers.synthetic import make_results

from bench.report.sections.frontier import frontier_table

POINTS = [
    ("polite", 0, 0.0, 1.0, 100.0),
    ("polite", 0, 4.0, 5.0, 30.0),
    ("polite", 1, 0.0, 1.0, 80.0),
    ("polite", 1, 6.0, 7.0, 50.0),
    ("polite", 1, 5.0, 6.0, 20.0),
    ("exact", 0, 0.0, 1.0, np.nan),
    ("exact", 0, 7.0, 3.0, np.nan),
]


def test_the_table_says_how_far_the_frontier_is_drawn_and_on_how_many_samples() -> None:
    names = ["task", "seed", "kl", "reward", "effective_samples"]
    results = make_results({"frontier": pd.DataFrame(POINTS, columns=names)})
    titled = replace(results, manifest={"tasks": {"exact": {"title": "all listed"}}})
    polite, exact = as_frame(frontier_table(titled)).to_dict("records")
    assert polite["drawn to KL (nats)"] == "5.00" and polite["reward there"] == "6.00"
    assert polite["effective samples there"] == "40" and polite["fewest anywhere"] == "20"
    assert exact["task"] == "all listed" and exact["fewest anywhere"] == "exact"
