"""The schema: public columns, one declaration per metric, and files that read back as written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.results import schema
from bench.results.columns import Table
from bench.results.metrics import METRICS

# Public: other tools read them.
RUN_COLUMNS = (
    "task method params strength seed split status error reward reward_sem reward_source "
    "proxy_reward proxy_reward_sem kl kl_sem win_rate_sft win_rate_sft_sem response_tokens entropy "
    "distinct_2 ended_rate chosen_logp_change rejected_logp_change unlabeled_mass frontier_reward "
    "efficiency labels prompts_seen responses_sampled reward_calls train_tokens train_seconds "
    "peak_memory_mb device win_rate_chosen win_rate_chosen_sem implicit_accuracy"
)


def test_runs_have_their_public_columns_in_their_order() -> None:
    public = RUN_COLUMNS.split()
    assert [name for name in schema.RUNS.names if name in public] == public


def test_every_metric_is_declared_once_and_has_a_column_in_runs() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert {column.name for column in metric.columns()} <= set(schema.RUNS.names)


@pytest.mark.parametrize("table", schema.TABLES, ids=lambda table: table.file)
def test_every_column_of_every_table_is_explained_once(table: Table) -> None:
    assert len(set(table.names)) == len(table.names)
    assert table.help.endswith(".")
    for column in table.columns:
        assert column.help.strip().endswith("."), column.name


@pytest.mark.parametrize("table", [schema.RUNS, schema.SAMPLES], ids=["csv", "parquet"])
def test_a_table_reads_back_as_it_was_written(table: Table, tmp_path: Path) -> None:
    row = {
        c.name: (c.allowed or ("NA",))[0] if c.kind == "text" else i + 0.1 * (not c.whole)
        for i, c in enumerate(table.columns)
    }
    needed = {c.name: row[c.name] for c in table.columns if c.missing == "nothing"}
    frame = table.frame([row, needed | {"task": "polite", "undeclared": 1}])
    assert list(frame.columns) == table.names
    table.write(tmp_path, frame)
    read = table.read(tmp_path)
    pd.testing.assert_frame_equal(read, table.typed(frame))
    assert read.loc[0, "method"] == "NA"
    assert read.loc[1, "params"] == "" and np.isnan(read.loc[1, "reward"])
    assert [file.name for file in tmp_path.iterdir()] == [table.file]


def test_what_is_missing_reads_as_empty(tmp_path: Path) -> None:
    empty = schema.CURVES.read(tmp_path)
    assert list(empty.columns) == schema.CURVES.names and empty.empty


def test_numbers_that_are_not_finite_read_as_missing() -> None:
    frame = schema.FRONTIER.typed(pd.DataFrame({"kl": ["inf", "x", "2"], "task": ["a", "b", "c"]}))
    assert frame["kl"].isna().tolist() == [True, True, False]
