"""claims.md: all claims in one table, for readers on the web without the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.analysis.claims.results import ClaimResult
from bench.report.claims.choosing import choices
from bench.report.claims.words import LIMITS, VERDICTS, grounds, headline, tally
from bench.report.content.display import file_link, linked, visible
from bench.report.content.section import Column, Table
from bench.report.markdown import markdown_cell, markdown_table, markdown_text

COLUMNS = (
    Column("claim", "claim", "long"),
    Column("paper", "paper", "long"),
    Column("verdict", "verdict", "text"),
    Column("contrasts", "contrasts", "text"),
    Column("effect", "the clearest: mean [95% interval]", "long"),
    Column("seeds", "seeds"),
)


def render_claims_markdown(claims: Sequence[ClaimResult], page: str, figure: str) -> str:
    """Return claims.md.

    Args:
        claims: Tested claims with their verdicts.
        page: The file of the page, which has all contrasts.
        figure: The file of the figure; empty where there is none.
    """
    ordered = sorted(claims, key=lambda result: VERDICTS.index(result.verdict))
    rows = [
        {
            "claim": result.tested.claim.title,
            "paper": linked(visible(result.tested.claim.paper), result.tested.claim.url),
            "verdict": result.verdict,
            "contrasts": tally(result),
            "effect": " / ".join(ground.text for ground in grounds(result)),
            "seeds": str(result.tested.looks[-1]),
        }
        for result in ordered
    ]
    table = Table(COLUMNS, tuple(rows))
    parts = [
        "# prefrontier: published claims, tested",
        markdown_text(headline(claims)),
        "For a choice of method:" if (sentences := choices(claims)) else "",
        "\n".join(f"- {markdown_text(sentence)}" for sentence in sentences),
        f"![Effects in units of the smallest that matters, by claim]({figure})" if figure else "",
        markdown_table(table) if table else "",
        f"All contrasts: {markdown_cell(file_link(page, Path(page)))}.",
        "What this cannot say:",
        "\n".join(f"- {markdown_text(limit)}" for limit in LIMITS),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"
