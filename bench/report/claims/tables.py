"""Tables of one claim: all its contrasts, and the difference in each task."""

from __future__ import annotations

from typing import Any

from bench.analysis.claims.decisions import Evidence
from bench.analysis.claims.results import ClaimResult
from bench.config.claim import Prediction
from bench.report.claims.rows import conditions_of
from bench.report.claims.words import OUTCOMES, effect_text, measured
from bench.report.content.display import (
    MISSING,
    Number,
    bracketed,
    count,
    p_value,
    parameter,
    signed,
)
from bench.report.content.section import Column, Table

# The p values that decide each prediction beside those of all contrasts.
ONE_SIDED: dict[Prediction, tuple[str, ...]] = {
    "equal": ("lower_p", "higher_p"),
    "not lower": ("not_lower_p", "lower_p"),
    "not higher": ("not_higher_p", "higher_p"),
}
ALL_ONE_SIDED = frozenset(name for names in ONE_SIDED.values() for name in names)
CONTRASTS = (
    Column("contrast", "contrast", "long"),
    Column("measured", "measured", "long"),
    Column("predicted", "predicted", "text"),
    Column("effect", "mean [95% interval]"),
    Column("bound", "bound"),
    Column("difference_p", "p, not 0"),
    Column("equivalence_p", "p, within the bound"),
    Column("not_lower_p", "p, not lower"),
    Column("not_higher_p", "p, not higher"),
    Column("lower_p", "p, lower by the bound"),
    Column("higher_p", "p, higher by the bound"),
    Column("level", "level (Holm)"),
    Column("finding", "finding", "text"),
    Column("outcome", "outcome", "text"),
    Column("seeds", "seeds"),
)
CONDITIONS = (
    Column("contrast", "contrast", "long"),
    Column("task", "task", "long"),
    Column("level", "level"),
    Column("weight", "weight"),
    Column("effect", "mean [95% interval]"),
    Column("seeds", "seeds"),
)
SHARES = (
    Column("factor", "factor", "long"),
    Column("gain", "gain in reward [95% interval]"),
    Column("share", "share of the variance [95% interval]"),
    Column("seeds", "seeds"),
)


def contrast_table(result: ClaimResult) -> Table:
    """Return the table of a claim's contrasts; p values are over all looks, not corrected."""
    contrasts = result.tested.claim.contrasts
    rows = []
    for contrast, decision in zip(contrasts, result.decisions, strict=True):
        of = decision.evidence
        row = {
            "contrast": contrast.name,
            "measured": measured(contrast),
            "predicted": contrast.predicted,
            "effect": effect_text(decision),
            "bound": parameter(contrast.bound),
            "level": Number(f"{decision.level:.2g}", decision.level),
            "finding": decision.finding,
            "outcome": OUTCOMES[decision.outcome],
            "seeds": count(len(of.values)),
        }
        rows.append(row | _ps(of, contrast.predicted))
    # One-sided tests only where a contrast needs them.
    needed = {name for contrast in contrasts for name in ONE_SIDED.get(contrast.predicted, ())}
    left_out = ALL_ONE_SIDED - needed
    return Table(tuple(c for c in CONTRASTS if c.name not in left_out), tuple(rows))


def condition_table(result: ClaimResult) -> Table:
    """Return the table of the difference in each task of each contrast that has several."""
    rows = [
        {
            "contrast": contrast.name,
            "task": condition.task,
            "level": parameter(condition.level),
            "weight": parameter(round(condition.weight, 3)),
            "effect": signed(condition.interval),
            "seeds": count(condition.interval.n),
        }
        for contrast, frame in zip(
            result.tested.claim.contrasts, result.tested.conditions, strict=True
        )
        if len(contrast.tasks) > 1
        for condition in conditions_of(frame)
    ]
    return Table(CONDITIONS, tuple(rows))


def share_table(result: ClaimResult) -> Table:
    """Return the table of what the claim's factors explain."""
    rows = [
        {
            "factor": share.factor,
            "gain": signed(share.gain),
            "share": bracketed(share.share),
            "seeds": count(share.gain.n),
        }
        for share in result.tested.shares
    ]
    return Table(SHARES, tuple(rows))


def _ps(of: Evidence, predicted: Prediction) -> dict[str, Any]:
    """Return the p values by column, the one-sided ones only where they decide."""
    decide = ONE_SIDED.get(predicted, ())
    return {
        "difference_p": p_value(of.difference_p),
        "equivalence_p": p_value(of.equivalence_p),
        **{
            name: p_value(getattr(of, name)) if name in decide else MISSING
            for name in ALL_ONE_SIDED
        },
    }
