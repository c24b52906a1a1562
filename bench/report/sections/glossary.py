"""How to read the report: its terms, from the metrics' own help."""

from __future__ import annotations

from bench.report.content.display import metric_help, metric_label
from bench.report.content.section import Column, Part, Section, Table
from bench.results.loading import Results
from bench.results.metrics import METRICS

COLUMNS = (Column("term", "term", "text"), Column("meaning", "meaning", "long"))
TERMS = {
    "optimal frontier": (
        "The highest mean reward that any policy can have at each KL. It depends on the task and "
        "the SFT policy alone, not on any method."
    ),
    "effective samples": (
        "How many samples for each prompt the optimal frontier rests on at a KL (Kish's formula). "
        "The further from the SFT policy, the fewer of its samples count."
    ),
    "privileged": (
        "Trained on the very reward that measures the policies. Such a method shows what the "
        "optimizer could do with a perfect reward; it is never called best."
    ),
}


def _seeds(results: Results) -> str:
    """Return what a seed is: of recorded preferences, it varies the training alone."""
    simulated = (
        "Each seed has its own base model, SFT policy, feedback and reward model, the same for "
        "every method."
    )
    recorded = (
        "Of recorded preferences, all seeds share data, base model and judge. Each has its own SFT "
        "policy and reward model, the same for every method."
    )
    kinds = [simulated] if len(results.judged) < len(results.tasks) else []
    kinds += [recorded] if results.judged else []
    return " ".join(["Finished out of started.", *kinds])


def glossary_section(results: Results) -> Section:
    """Return the section: the metrics of these results, then the other terms."""
    source = results.reward_name
    metrics = [metric for metric in METRICS if results.runs[metric.name].notna().any()]
    terms = {metric_label(m, source): metric_help(m, source) for m in metrics} | TERMS
    terms["seeds"] = _seeds(results)
    rows = tuple({"term": term, "meaning": meaning} for term, meaning in terms.items())
    table = Table(COLUMNS, rows, folded=True, title="Terms")
    return Section("glossary", "How to read it", parts=(Part(tables=(table,)),))
