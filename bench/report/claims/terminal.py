"""What `prefrontier claims` prints at the end."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from bench.analysis.claims.results import ClaimResult
from bench.report.claims.words import OUTCOMES
from bench.report.content.display import signed, visible


def verdict_table(claims: Iterable[ClaimResult]) -> Table:
    """Return a table of claims: a row for each contrast."""
    table = Table("claim", "contrast", "predicted", box=None, padding=(0, 2, 0, 0))
    for title in ("effect", "seeds"):
        table.add_column(title, justify="right")
    table.add_column("outcome")
    for result in claims:
        contrasts = result.tested.claim.contrasts
        table.add_row(f"{result.tested.name}: {result.verdict}", style="bold")
        for contrast, decision in zip(contrasts, result.decisions, strict=True):
            mean, seeds = signed(decision.evidence.mean), str(len(decision.evidence.values))
            outcome = OUTCOMES[decision.outcome]
            table.add_row("", visible(contrast.name), contrast.predicted, mean, seeds, outcome)
    return table
