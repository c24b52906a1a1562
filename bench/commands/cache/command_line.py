"""The command line of `prefrontier cache`; `bench/cli.py` adds it to its own.

As there, each command imports what it needs when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Show, check and prune the cache.", no_args_is_help=True)


@app.command("list")
def list_cache(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what is in the cache, by kind and by experiment."""
    from bench.commands.cache.listing import print_listing

    print_listing(as_json=as_json)


@app.command()
def verify() -> None:
    """Read every artifact in full, and set damaged ones aside. Exit status 1 if there are any."""
    from bench.commands.cache.verify import verify_cache

    raise typer.Exit(verify_cache())


@app.command()
def prune(
    older_than: Annotated[
        str, typer.Option(help="Remove what was last used so long ago, as in 30d or 12h.")
    ] = "",
    experiment: Annotated[
        str, typer.Option(help="Remove what this experiment uses and no other one.")
    ] = "",
    keep: Annotated[
        list[Path] | None,
        typer.Option(
            help="Keep what this results folder refers to. Can be repeated. Without other options, "
            "remove everything else."
        ),
    ] = None,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Remove what was set aside as damaged.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
) -> None:
    """Remove artifacts, and what ended commands left. What runs is never disturbed."""
    from bench.commands.cache.prune import prune_cache

    prune_cache(
        older_than=older_than,
        experiment=experiment,
        keep=keep or [],
        damaged=damaged,
        dry_run=dry_run,
    )
