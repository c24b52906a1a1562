"""`prefrontier claims`: from claims to their verdicts and one page for all."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.cache.files import check_can_be_made, check_writable
from bench.commands.claims.looks import (
    Stage,
    looks_before,
    only_stage,
    stages_until_decided,
)
from bench.commands.experiments.options import Options, check_executor, stay_offline
from bench.commands.experiments.run import say_failure
from bench.config.claim import NamedClaim, claim_names, load_claim
from bench.config.experiment import MOST_JOBS, MOST_SEEDS
from bench.config.validation import check_count
from bench.errors import Missing, Unusable, UserError
from bench.interrupt import exit_status_of
from methods.core.models import distributed

if TYPE_CHECKING:
    from bench.analysis.claims.results import ClaimResult


def run_claims(
    names: Sequence[str], options: Options, folder: Path, *, until_decided: bool, only_plan: bool
) -> int:
    """Test claims and write their page.

    Args:
        names: Built-in claims or files; all built-in ones if there is none.
        options: Seeds, jobs, device and executor.
        folder: Where the results go, a folder for each claim.
        until_decided: Whether seeds are added in stages.
        only_plan: Whether to print the plan alone: with until_decided, that of the first stage.

    Returns:
        The exit status: 1 if a run failed, 130 or 143 if it was interrupted.

    Raises:
        UserError: The input is not valid.
    """
    _check(options, until_decided=until_decided)
    claims = load_claims(names)
    check_can_be_made(folder)
    before = looks_before(claims, folder)
    stages = (
        stages_until_decided(claims, before, folder)
        if until_decided
        else iter([only_stage(claims, options.seeds, before)])
    )
    stay_offline(claim.experiment(claim.claim.seeds[-1]) for claim in claims)
    # These import torch, for which a message about a wrong option should not wait.
    from bench.cache.default import default_store
    from bench.commands.claims.stage import print_stage
    from bench.execution.executors.process import silence_libraries

    silence_libraries()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    default_store().check()
    if only_plan:
        print_stage(next(stages), options, console)
        return 0
    check_writable(folder, default_store().root)
    return _run_stages(stages, {claim.name for claim in claims}, options, folder, console)


def _check(options: Options, *, until_decided: bool) -> None:
    check_count("--seeds", options.seeds, MOST_SEEDS)
    check_count("--jobs", options.jobs, MOST_JOBS)
    check_executor(options)
    if distributed.is_distributed():
        raise UserError("claims: it starts processes itself; start it without accelerate launch")
    if until_decided and options.seeds:
        raise UserError("claims: --seeds is for one stage; leave it or --until-decided out")


def _run_stages(
    stages: Iterator[Stage], names: Set[str], options: Options, folder: Path, console: Console
) -> int:
    from bench.analysis.claims.folder import load_claim_results
    from bench.commands.claims.stage import run_stage
    from bench.execution.scheduling.scheduler import Stopped
    from bench.report.claims.terminal import verdict_table

    # A damaged folder of another claim is found now, not after hours.
    load_claim_results(folder)
    # A run that failed is tried again at the next look.
    failed: dict[str, bool] = {}
    try:
        for stage in stages:
            failed |= run_stage(stage, options, folder, console)
            # If the user stops after this, the page has all claims with the seeds so far.
            page, results = write_pages(stage, folder)
        console.print(verdict_table(each for each in results if each.tested.name in names))
        return say_end(page, sum(failed.values()), console)
    except KeyboardInterrupt as interrupt:
        console.print("interrupted: finished work is kept; the same command resumes it")
        return exit_status_of(interrupt)
    except (Stopped, Unusable, Missing, OSError) as problem:
        return say_failure(problem)


def load_claims(names: Sequence[str]) -> list[NamedClaim]:
    """Return the claims of these names, or in these files; all built-in ones if there is none.

    Raises:
        UserError: One of them cannot be read, or is not valid.
    """
    from bench.analysis.claims.checking import check_contrasts

    claims = [load_claim(name) for name in names or claim_names()]
    if len({claim.name for claim in claims}) < len(claims):
        raise UserError("claims: two of them have one name, and would have one folder")
    for claim in claims:
        check_contrasts(claim, claim.name)
    return claims


def write_pages(stage: Stage, folder: Path) -> tuple[Path, list[ClaimResult]]:
    """Build the reports of a stage's claims, and the page of all claims in the folder.

    Returns:
        The page, and what it shows.
    """
    from bench.analysis.claims.folder import load_claim_results
    from bench.report.build import build_report
    from bench.report.claims.build import build_claims_page

    for claim, _ in stage:
        build_report(folder / claim.name)
    results = load_claim_results(folder)
    return build_claims_page(folder, results), results


def say_end(page: Path, failures: int, console: Console) -> int:
    """Say where the page is; return the exit status: 1 if a run failed."""
    if failures:
        console.print(f"[red]{failures} runs failed[/]: the report of each claim lists them")
    console.print(f"claims: {page}", soft_wrap=True)
    return 1 if failures else 0
