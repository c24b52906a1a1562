"""The options of `prefrontier bench` and `prefrontier plan`.

Each command imports what it needs when it runs, so that help is shown at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

Jobs = Annotated[
    int | None, typer.Option(help="Parallel processes. Default: one per core, or one on a GPU.")
]
Experiment = Annotated[
    str,
    typer.Argument(
        help="A built-in experiment, such as quick, or a YAML file. "
        "Default: default, or with --data one that suits the model."
    ),
]
Data = Annotated[
    str, typer.Option(help="Your preferences: a JSONL, CSV or Parquet file, a folder, or a hub id.")
]
Model = Annotated[
    str,
    typer.Option(help="The model for --data: tiny, 1M, 10M, 50M, 150M, a folder or a hub id."),
]
Methods = Annotated[
    str, typer.Option(help="Run only these methods, as in ppo,dpo; all runs every method.")
]
Tasks = Annotated[str, typer.Option(help="Run only these tasks, as in polite,exact.")]
Seeds = Annotated[int | None, typer.Option(help="Number of seeds.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Executor = Annotated[str, typer.Option(help="Where jobs run: local, ray (a Ray cluster) or slurm.")]
Address = Annotated[
    str,
    typer.Option(
        help="The Ray cluster: auto, HOST:PORT or ray://HOST:PORT. Default: one of this machine "
        "alone."
    ),
]


@app.command()
def bench(
    experiment: Experiment = "",
    data: Data = "",
    model: Model = "",
    methods: Methods = "",
    tasks: Tasks = "",
    contrast: Annotated[
        list[str] | None,
        typer.Option(
            help="Declare a contrast, as in mine,dpo. Can be repeated. By default, methods named "
            "with --methods beside dpo or ppo are contrasted with them."
        ),
    ] = None,
    seeds: Seeds = None,
    jobs: Jobs = None,
    device: Device = "auto",
    executor: Executor = "local",
    address: Address = "",
    out: Annotated[Path | None, typer.Option(help="Results folder. Default: results/NAME.")] = None,
    keep: Annotated[
        str, typer.Option(help="The trained policies that stay on disk: all, selected or none.")
    ] = "",
    log_to: Annotated[
        list[str] | None,
        typer.Option(
            help="Send training curves while trainings run: tensorboard, wandb or trackio, or "
            "several, as in tensorboard,wandb."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only print what large models take: memory, time, disk."),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Run even what does not seem to fit into memory or on disk."),
    ] = False,
) -> None:
    """Run a comparison and write its report. Finished runs are not repeated."""
    from bench.commands.experiments.options import Options
    from bench.commands.experiments.run import run_bench

    options = Options(
        experiment,
        data=data,
        model=model,
        methods=names_in(methods),
        tasks=names_in(tasks),
        contrasts=contrast or [],
        seeds=seeds,
        jobs=jobs,
        device=device,
        executor=executor,
        address=address,
        out=out,
        keep=keep,
        dry_run=dry_run,
        force=force,
        log_to=names_in(",".join(log_to or [])),
    )
    raise typer.Exit(run_bench(options))


@app.command()
def plan(
    experiment: Experiment = "",
    data: Data = "",
    model: Model = "",
    methods: Methods = "",
    tasks: Tasks = "",
    seeds: Seeds = None,
    jobs: Jobs = None,
    device: Device = "auto",
) -> None:
    """Print the jobs of a comparison, what is cached, and the time with 1 to 64 workers."""
    from bench.commands.experiments.options import Options
    from bench.commands.experiments.plan import show_plan

    options = Options(
        experiment,
        data=data,
        model=model,
        methods=names_in(methods),
        tasks=names_in(tasks),
        seeds=seeds,
        jobs=jobs,
        device=device,
        force=True,
    )
    raise typer.Exit(show_plan(options))


def names_in(text: str) -> list[str]:
    """Return the names in a list that commas separate."""
    return [name.strip() for name in text.split(",") if name.strip()]
