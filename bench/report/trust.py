"""How far to trust the verdicts: what the suite found when it was measured on itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from bench.report.display import MISSING, count
from bench.analysis.statistics import SIGNIFICANCE

WHAT = {
    "itself": "a method with itself",
    "crippled": "a method with a copy of less training",
    "known order": "two methods of known order",
}


class Trust(NamedTuple):
    """Sentences, and a table of how comparisons came out; both plain text."""

    sentences: list[str]
    table: pd.DataFrame


def trust(calibration: dict[str, Any] | None) -> Trust:
    """Put a calibration's summary into words. None: there was none when the results were made."""
    if not calibration:
        nothing = (
            "How often such verdicts are right was not known when these results were written: "
            "run `make calibrate`, then the same command again."
        )
        return Trust([nothing], pd.DataFrame())
    return Trust(_sentences(calibration), _table(calibration["kinds"]))


def _sentences(calibration: dict[str, Any]) -> list[str]:
    false, kinds = calibration["false_verdicts"], calibration["kinds"]
    told = [kind for name, kind in kinds.items() if name != "itself"]
    right, none, wrong, total = (
        sum(kind[key] for kind in told) for key in ("right", "none", "wrong", "comparisons")
    )
    sentences = [
        f"On {count(calibration['pipelines'])} small pipelines in which every response is listed, the "
        f"suite compared methods with themselves {count(false['of'])} times, "
        f"{calibration['worlds_per_comparison']} pipelines each, and in {count(false['count'])} of "
        f"them ({_share(false['share'])}, 95% interval {_share(false['low'])} to "
        f"{_share(false['high'])}) called one better than the other, which is false; the test "
        f"allows {SIGNIFICANCE:.0%}.",
    ]
    if total:
        sentences.append(
            f"Of {count(total)} comparisons of which the true order is known, it named the better "
            f"side in {_share(right / total)}, gave no verdict in {_share(none / total)} and was "
            f"wrong in {_share(wrong / total)}."
        )
    if false["low"] > SIGNIFICANCE:
        sentences.append("That is more false verdicts than the test allows: trust none of them.")
    return sentences


def _table(kinds: dict[str, dict[str, int]]) -> pd.DataFrame:
    lines = [
        {
            "compared": WHAT.get(name, name),
            "comparisons": count(kind["comparisons"]),
            "right verdict": MISSING if name == "itself" else _of(kind, "right"),
            "no verdict": _of(kind, "none"),
            "wrong verdict": _of(kind, "wrong"),
        }
        for name, kind in kinds.items()
    ]
    return pd.DataFrame(lines)


def _of(kind: dict[str, int], key: str) -> str:
    return _share(kind[key] / kind["comparisons"]) if kind["comparisons"] else MISSING


def _share(value: float) -> str:
    """Return a percentage with one decimal: false verdicts are counted in those."""
    return f"{100 * value:.1f}%"
