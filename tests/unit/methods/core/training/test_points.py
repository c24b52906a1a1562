"""The points of a training on disk: those who follow it see what `log` was given, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from methods.core.models.sampling import SamplingParams
from methods.core.training.context import Context
from methods.core.training.points import POINTS_FILE, append_point, last_step, read_points


def context_in(folder: Path) -> Context:
    folder.mkdir(exist_ok=True)
    return Context(folder, [], [], SamplingParams(), 100, 0, folder, "cpu")


def test_every_point_is_on_disk_at_once(tmp_path: Path) -> None:
    context = context_in(tmp_path)
    for step in (16, 32, 48):
        context.log(step, loss=1 / step, gap=float("inf"))
        assert read_points(tmp_path) == context.curves and last_step(tmp_path) == step


def test_points_that_were_not_saved_are_replaced_on_resuming(tmp_path: Path) -> None:
    stopped = context_in(tmp_path)
    stopped.log(16, loss=1.0)
    stopped.save_progress({})
    stopped.log(32, loss=0.5)
    resumed = context_in(tmp_path)
    resumed.load_progress()
    resumed.log(32, loss=0.25)
    resumed.log(48, loss=0.125)
    assert [point["loss"] for point in read_points(tmp_path)] == [1.0, 0.25, 0.125]
    assert resumed.curves == read_points(tmp_path)
    again = context_in(tmp_path)
    again.log(16, loss=2.0)
    assert [point["loss"] for point in read_points(tmp_path)] == [2.0]


def test_half_a_line_is_no_point(tmp_path: Path) -> None:
    assert read_points(tmp_path) == [] and last_step(tmp_path) is None
    for step in range(1000):
        append_point(tmp_path, {"step": step, "loss": 0.5})
    with (tmp_path / POINTS_FILE).open("a") as file:
        file.write('{"step": 1000, "lo')
    assert len(read_points(tmp_path)) == 1000 and last_step(tmp_path) == 999
    # On a full disk the next one may follow it.
    for step in (1001, 1002):
        append_point(tmp_path, {"step": step, "loss": 0.5})
    assert [point["step"] for point in read_points(tmp_path)][-2:] == [999, 1002]
    assert last_step(tmp_path) == 1002


def test_a_curve_that_cannot_be_written_ends_no_training(tmp_path: Path) -> None:
    context = replace(context_in(tmp_path), workdir=tmp_path / "nowhere")
    context.log(16, loss=1.0)
    context.log(32, loss=0.5)
    assert [point["step"] for point in context.curves] == [16, 32]
