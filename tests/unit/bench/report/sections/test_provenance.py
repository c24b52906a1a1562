"""What was run: the data, the shared stages, and the facts that the manifest has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.report import as_frame
from helpers.synthetic import make_runs, write_folder

from bench.report.sections.provenance import provenance_section
from bench.results.loading import Results, load_results

DATA = {
    "rows": {"train": 4000, "test": 500},
    "prompts": {"train": 3900, "test": 480},
    "summary": ["  10 rows are left out", "prefs.jsonl: 4,500 rows"],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    runs = make_runs(["polite"], ["sft", "dpo"], 2)
    return load_results(write_folder(tmp_path_factory.mktemp("run"), runs))


def test_stages_facts_and_experiment_are_shown(results: Results) -> None:
    section = provenance_section(results)
    parts = {part.heading: part for part in section.parts}
    assert list(parts) == ["Shared stages", "Run", "Hardware", "Versions", ""]
    stages = as_frame(parts["Shared stages"].tables[0]).set_index("stage")
    assert stages.loc["reward model", "reward accuracy"] == "78%"
    assert stages.loc["sft", ["time (s)", "reward accuracy"]].tolist() == ["12", "—"]
    hardware = dict(as_frame(parts["Hardware"].tables[0]).to_numpy().tolist())
    # No GPU, so no row for it.
    assert hardware == {"cpu": "A Processor", "cores": "2", "memory gb": "16.0"}
    [experiment] = parts[""].texts
    assert experiment.label == "experiment.yaml" and parts[""].folded
    assert experiment.content.startswith("name: synthetic")


def test_recorded_data_is_shown_by_split(results: Results) -> None:
    manifest = results.manifest | {"tasks": {"polite": {"title": "mine", "data": DATA}}}
    part = provenance_section(replace(results, manifest=manifest)).parts[0]
    assert part.heading == "mine: data"
    assert part.paragraphs == ("10 rows are left out", "prefs.jsonl: 4,500 rows")
    assert as_frame(part.tables[0])["preferences"].tolist() == ["4,000", "500"]


def test_what_is_not_known_is_left_out(results: Results) -> None:
    bare = replace(results, manifest={}, experiment="", stages=results.stages.iloc[:0])
    assert not provenance_section(bare)
