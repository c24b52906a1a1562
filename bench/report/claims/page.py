"""The page of tested claims: one HTML file without scripts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from bench.analysis.claims.decisions import ClaimVerdict, Outcome
from bench.analysis.claims.results import ClaimResult
from bench.config.claim import Claim
from bench.report.claims.choosing import choices
from bench.report.claims.dose import dose
from bench.report.claims.forest import axis, forest, key
from bench.report.claims.rows import conditions_of
from bench.report.claims.tables import condition_table, contrast_table, share_table
from bench.report.claims.words import (
    LIMITS,
    OUTCOMES,
    VERDICTS,
    Ground,
    counted,
    effect_text,
    grounds,
    headline,
    looks_text,
    measured,
    turn_text,
)
from bench.report.content.display import Link, count, file_link, linked, seconds
from bench.report.content.section import Table
from bench.report.page.html import render_template

REPORT = "report.html"
STYLES = ("page.css", "claims.css")


class ContrastView(NamedTuple):
    """A contrast in the row of its claim.

    Attributes:
        name: What is compared.
        measured: What its number is.
        effect: The mean with its interval.
        outcome: What that means for the prediction.
        outcome_text: The same in words.
        forest: Its chart.
        dose: Its chart by level; empty where it has no levels.
        turn: At which levels one side is ahead; empty where there are no levels or no sides.
    """

    name: str
    measured: str
    effect: str
    outcome: Outcome
    outcome_text: str
    forest: Markup
    dose: Markup
    turn: str


class ClaimView(NamedTuple):
    """What the page shows of a claim.

    Attributes:
        id: Its anchor.
        claim: What its file says.
        verdict: On all its contrasts.
        paper: With its address.
        url: The address, as a link where it is one of the web.
        grounds: What the verdict rests on.
        contrasts: In their order.
        cost: How many seeds have values, at which looks it was tested, and what its jobs took.
        tables: Contrasts, conditions, and what factors explain.
        report: Leads to the report of its experiment; None where there is none.
    """

    id: str
    claim: Claim
    verdict: ClaimVerdict
    paper: Link | str
    url: Link | str
    grounds: list[Ground]
    contrasts: list[ContrastView]
    cost: str
    tables: list[Table]
    report: Link | None


def render_claims_page(claims: Sequence[ClaimResult], reports: Collection[str]) -> str:
    """Return the page.

    Args:
        claims: Tested claims with their verdicts.
        reports: The names of the claims whose folder has a report.
    """
    views = [
        _claim_view(f"claim-{number}", result, result.tested.name in reports)
        for number, result in enumerate(claims, start=1)
    ]
    groups = {verdict: [view for view in views if view.verdict == verdict] for verdict in VERDICTS}
    contrasts = sum(len(result.decisions) for result in claims)
    return render_template(
        "claims.html.j2",
        STYLES,
        title="published claims, tested",
        about=f"{counted(len(claims), 'claim')}, {counted(contrasts, 'contrast')}",
        headline=headline(claims),
        choices=choices(claims),
        groups={verdict: group for verdict, group in groups.items() if group},
        limits=LIMITS,
        claims=[view for group in groups.values() for view in group],
        axis=axis(),
        key=key(),
    )


def _claim_view(anchor: str, result: ClaimResult, has_report: bool) -> ClaimView:
    tested = result.tested
    claim = tested.claim
    report = file_link("Report of its experiment", Path(tested.name) / REPORT)
    return ClaimView(
        anchor,
        claim,
        result.verdict,
        linked(claim.paper, claim.url),
        linked(claim.url, claim.url),
        grounds(result),
        list(_contrast_views(result)),
        _cost(result),
        [contrast_table(result), condition_table(result), share_table(result)],
        report if has_report else None,
    )


def _contrast_views(result: ClaimResult) -> Iterable[ContrastView]:
    tested = result.tested
    for contrast, decision, frame in zip(
        tested.claim.contrasts, result.decisions, tested.conditions, strict=True
    ):
        conditions = conditions_of(frame) if contrast.levels else []
        yield ContrastView(
            contrast.name,
            measured(contrast),
            effect_text(decision),
            decision.outcome,
            OUTCOMES[decision.outcome],
            forest(contrast, decision),
            dose(conditions),
            turn_text(conditions) if contrast.minus else "",
        )


def _cost(result: ClaimResult) -> str:
    """Return the number of seeds that have values, a range where contrasts differ, and seconds."""
    numbers = [len(decision.evidence.values) for decision in result.decisions]
    ends = dict.fromkeys((min(numbers), max(numbers)))
    seeds = " to ".join(map(count, ends))
    looks = looks_text(result.tested.looks)
    return f"{seeds} seeds{looks and f' ({looks})'}, {seconds(result.tested.seconds)} s"
