"""What TensorBoard would show of a folder of logs."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

Scalars = dict[tuple[str, str, int], float]


def scalars(logs: Path) -> Scalars:
    """Return each value by the log's folder, the metric and the step; none may be there twice."""
    found: Scalars = {}
    for folder in sorted(path for path in logs.iterdir() if path.is_dir()):
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
        for metric in events.Tags()["scalars"]:
            for event in events.Scalars(metric):
                place = (folder.name, metric, event.step)
                assert place not in found, place
                found[place] = event.value
    return found
