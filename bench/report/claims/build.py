"""From the results folders of claims to their page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.analysis.claims.folder import FILE, load_claim_results
from bench.analysis.claims.results import ClaimResult
from bench.cache.files import write_text
from bench.report.charts.style import RC, save
from bench.report.claims.figure import NAME, claims_figure
from bench.report.claims.markdown import render_claims_markdown
from bench.report.claims.page import REPORT, render_claims_page
from bench.report.claims.rows import claim_rows, condition_rows
from bench.results.replacing import replaced_together

PAGE = "claims.html"
# A figure of earlier claims goes.
OWNED = (f"{NAME}.png", f"{NAME}.svg")


def has_claims(folder: Path) -> bool:
    """Return whether claims were tested below a folder."""
    return any(folder.glob(f"*/{FILE}"))


def build_claims_page(folder: Path, claims: Sequence[ClaimResult] | None = None) -> Path:
    """Write claims.csv, conditions.csv, claims.md, claims.html and the figure; return the page.

    Args:
        folder: It has a results folder for each claim that was tested.
        claims: Those of the folder, if they are loaded already.

    Raises:
        UserError: A results folder cannot be read.
        WriteError: The page cannot be written.
    """
    claims = load_claim_results(folder) if claims is None else claims
    reports = {c.tested.name for c in claims if (folder / c.tested.name / REPORT).is_file()}
    with replaced_together(folder, OWNED) as new:
        write_text(new / "claims.csv", _csv(claim_rows(claims)))
        write_text(new / "conditions.csv", _csv(condition_rows(claims)))
        if claims:
            _write_figure(claims, new)
        figure = f"{NAME}.svg" if claims else ""
        write_text(new / "claims.md", render_claims_markdown(claims, PAGE, figure))
        write_text(new / PAGE, render_claims_page(claims, reports))
    return folder / PAGE


def _write_figure(claims: Sequence[ClaimResult], folder: Path) -> None:
    from matplotlib import rc_context

    with rc_context(RC):
        save(claims_figure(claims), folder, NAME)


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.8g")
