"""Sentences on responses that were cut at the longest length, and on policies that repeat one."""

from __future__ import annotations

from bench.analysis.selection import selected_rows
from bench.report.content.display import listed, percent
from bench.results.loading import Results, method_order

# A smaller share of cut responses is not worth a warning.
MOST_CUT = 0.1
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
    at = f"cut at {limit} tokens" if limit else "cut at the longest length"
    (first, share), *others = many.items()
    parts = [f"{percent(share)} of {first}'s responses"]
    parts += [f"{percent(share)} of {method}'s" for method, share in others]
    return [f"{listed(parts)} were {at}. {_what_follows(cut, many, bool(limit))}"]


def _what_follows(cut: dict[str, float], many: dict[str, float], has_option: bool) -> str:
    """Say what cut responses mean: a limit that is too short, or policies that do not end."""
    remedy = "; raise response_tokens" if has_option else ""
    if "sft" in many or "sft" not in cut:
        return f"Their rewards and lengths are those of cut texts{remedy}."
    whose = "its" if len(many) == 1 else "their"
    return (
        f"Training made {whose} responses longer: only {percent(cut['sft'])} of the SFT policy's "
        f"were cut{remedy}."
    )


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
    parts = [f"{percent(float(shares[method]))} of {method}'s responses" for method in many]
    return [
        f"{listed(parts)} are one and the same text, whatever the prompt. Such a policy may have "
        "found what the reward model likes; read the samples."
    ]
