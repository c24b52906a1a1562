"""How methods are trained, and what is written of a training."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from bench.execution.training import CURVES_FILE, USAGE_FILE, Trained, training_sampling
from methods.core.models.policy import ModelPolicy
from methods.core.models.sampling import SamplingParams
from methods.core.training.context import CHECKPOINTS
from methods.core.training.progress import folder_checksum


def test_methods_sample_with_parameters_that_have_gradients() -> None:
    soft = SamplingParams(temperature=0.7, max_new_tokens=3)
    assert training_sampling(soft) == soft
    assert training_sampling(SamplingParams(temperature=0)) == SamplingParams()
    without_cuts = SamplingParams(temperature=0.7)
    assert training_sampling(SamplingParams(temperature=0.7, top_k=5)) == without_cuts
    assert training_sampling(SamplingParams(temperature=0.7, top_p=0.9)) == without_cuts


@pytest.mark.parametrize("links", [True, False])
def test_checkpoints_stay_with_the_progress_until_their_artifact_is_whole(
    tmp_path: Path, reference: ModelPolicy, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    work, folder = tmp_path / "work" / CHECKPOINTS, tmp_path / "policy"
    for number in ("1", "2"):
        (work / number).mkdir(parents=True)
        (work / number / "weights").write_text(number * 100)
    before = {place.name: folder_checksum(place) for place in work.iterdir()}
    if not links:
        monkeypatch.setattr(os, "link", _refuse)
    folder.mkdir()
    Trained(reference, {"labels": 1}, [{"step": 2}], work).write(folder)
    for each in (work, folder / CHECKPOINTS):
        assert {place.name: folder_checksum(place) for place in each.iterdir()} == before
    # Neither takes room on the disk besides the other, where that is possible.
    assert (work / "1" / "weights").samefile(folder / CHECKPOINTS / "1" / "weights") == links
    assert json.loads((folder / USAGE_FILE).read_text()) == {"labels": 1}
    assert json.loads((folder / CURVES_FILE).read_text()) == [{"step": 2}]


def _refuse(source: str, target: str) -> None:
    raise OSError(errno.EPERM, "no links on this disk", source)
