"""The options of `prefrontier claims`. It imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.experiments.command_line import Address, Device, Executor, Jobs

app = typer.Typer()


@app.command()
def claims(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Built-in claims, or YAML files. Default: all built-in claims."),
    ] = None,
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided",
            help="Add seeds in stages, until each contrast is decided or hardly can be.",
        ),
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option(help="Number of seeds, in one stage. With few, hardly anything is decided."),
    ] = None,
    jobs: Jobs = None,
    device: Device = "auto",
    executor: Executor = "local",
    address: Address = "",
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("results/claims"),
    plan: Annotated[
        bool, typer.Option("--plan", help="Only print the jobs, and what they take.")
    ] = False,
) -> None:
    """Test published claims; say which hold here, by how much, and under which conditions."""
    from bench.commands.claims.run import run_claims
    from bench.commands.experiments.options import Options

    options = Options(seeds=seeds, jobs=jobs, device=device, executor=executor, address=address)
    status = run_claims(names or [], options, out, until_decided=until_decided, only_plan=plan)
    raise typer.Exit(status)
