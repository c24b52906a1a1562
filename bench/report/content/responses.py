"""Sentences on responses that were cut at the longest length, and on policies that repeat one."""

from __future__ import annotations

from collections.abc import Mapping

from bench.analysis.selection import selected_rows
from bench.report.content.display import listed, percent
from bench.results.loading import Results, method_order

# A smaller share of cut responses is not worth a warning.
MOST_CUT = 0.1
# More methods than this are counted, not listed.
MOST_NAMES = 3
# The share of a policy's responses that may be one and the same text.
MOST_REPEATED = 0.25


def cut_warnings(results: Results, task: str) -> list[str]:
    """Warn where many responses of a selected setting, or of the SFT policy, were cut.

    Where all responses are listed, those that do not end are responses like the others.
    """
    about = results.described("tasks").get(task, {})
    rows = selected_rows(results.runs, task)
    ended = rows.groupby("method", sort=False)["ended_rate"].mean().dropna()
    cut = {method: 1 - float(ended[method]) for method in method_order(rows) if method in ended}
    many = {method: share for method, share in cut.items() if share > MOST_CUT}
    if not many or about.get("enumerable"):
        return []
    limit = (about.get("options") or {}).get("response_tokens")
    at = f"at {limit} tokens" if limit else "at the longest length"
    of_sft = "" if "sft" in many or "sft" not in cut else f" ({percent(cut['sft'])} of sft's)"
    remedy = ": raise response_tokens" if limit else ""
    return [f"{_shares(many)} were cut {at}{of_sft}{remedy}."]


def _shares(shares: Mapping[str, float]) -> str:
    """Return "40% of ppo's responses and 30% of dpo's", of many methods only the most."""
    order = sorted(shares, key=lambda method: -shares[method])
    (first, *others), more = order[:MOST_NAMES], order[MOST_NAMES:]
    parts = [f"{percent(shares[first])} of {first}'s responses"]
    parts += [f"{percent(shares[method])} of {method}'s" for method in others]
    return listed([*parts, *([f"those of {len(more)} more"] if more else [])])


def repeated_warnings(results: Results, task: str) -> list[str]:
    """Warn where training made a policy give one and the same response to many prompts."""
    if results.described("tasks").get(task, {}).get("enumerable"):
        return []
    rows = selected_rows(results.runs, task)[["method", "params"]].drop_duplicates()
    samples = results.samples
    samples = samples[(samples["task"] == task) & (samples["split"] == "test")]
    samples = samples.merge(rows, on=["method", "params"])
    if samples.empty:
        return []
    shares = (
        samples.groupby(["method", "seed"], sort=False)["response"]
        .agg(lambda responses: responses.value_counts(normalize=True).iloc[0])
        .groupby(level="method", sort=False)
        .mean()
    )
    # Not of what the SFT policy does as well: training did not cause it.
    most = max(MOST_REPEATED, 2 * shares.get("sft", 0.0))
    many = [method for method in method_order(rows) if shares.get(method, 0.0) > most]
    if not many:
        return []
    return [
        f"{_shares({method: float(shares[method]) for method in many})} are one text, whatever "
        "the prompt: it may exploit the reward model."
    ]
