"""The command line: `prefrontier --help` lists the commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Compare ways of aligning language models with preferences.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def bench(
    experiment: Annotated[
        str, typer.Argument(help="A built-in experiment (default, quick) or a YAML file.")
    ] = "",
    data: Annotated[
        str, typer.Option(help="Preferences: JSONL, CSV, Parquet, a folder or a hub id.")
    ] = "",
    model: Annotated[
        str, typer.Option(help="tiny, 1M, 10M, 50M, 150M, a model's folder or hub id.")
    ] = "",
    methods: Annotated[str, typer.Option(help="Only these methods: ppo,dpo; or all.")] = "",
    tasks: Annotated[str, typer.Option(help="Only these tasks: polite,haiku,exact")] = "",
    seeds: Annotated[int | None, typer.Option(help="How many seeds, 1 or more.")] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Processes side by side; default: one per core.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Results folder; default: results/NAME.")] = None,
) -> None:
    """Run a comparison and write its report. What is done already is not done again."""
    from bench.commands.run import run_bench

    status = run_bench(
        experiment,
        data=data,
        model=model,
        methods=_names(methods),
        tasks=_names(tasks),
        seeds=seeds,
        jobs=jobs,
        device=device,
        out=out,
    )
    raise typer.Exit(status)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="A results folder.")]) -> None:
    """Make the figures and the report of a results folder anew."""
    from bench.report.build import build_report

    typer.echo(build_report(folder))


@app.command()
def calibrate(
    quick: Annotated[bool, typer.Option("--quick", help="A few comparisons only.")] = False,
    jobs: Annotated[
        int | None, typer.Option(help="Processes side by side; default: one per core.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder; default: results/calibration, or -quick.")
    ] = None,
) -> None:
    """Measure how often the verdicts are right, on many small pipelines of known truth."""
    from bench.commands.calibrate import run_calibration

    raise typer.Exit(run_calibration(quick=quick, jobs=jobs, out=out))


@app.command()
def winrate(
    file: Annotated[Path, typer.Argument(help="Annotations in AlpacaEval's format, a JSON list.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Print the win rates, raw and length-controlled, of a file of pairwise annotations."""
    import json

    from bench.judging.annotations import in_words, read_annotations, win_rates

    annotations, left_out = read_annotations(file)
    rates = win_rates(annotations) | {"n_left_out": left_out}
    typer.echo(json.dumps(rates, indent=2) if as_json else in_words(rates))


@app.command()
def judge(
    folder: Annotated[Path, typer.Argument(help="A results folder.")],
    model: Annotated[str, typer.Option(help="The judge, as its API calls it.")],
    base_url: Annotated[
        str | None, typer.Option(help="Of an OpenAI-compatible API; default: OPENAI_BASE_URL.")
    ] = None,
    key_env: Annotated[
        str, typer.Option(help="The environment variable that holds the key.")
    ] = "OPENAI_API_KEY",
    template: Annotated[
        str | None, typer.Option(help="A file with {prompt}, {first} and {second}.")
    ] = None,
    prompts: Annotated[int, typer.Option(help="At most so many per task and seed.")] = 64,
    methods: Annotated[str, typer.Option(help="Only these methods: ppo,dpo")] = "",
    max_tokens: Annotated[int, typer.Option(help="Of an answer, thoughts included.")] = 2048,
    concurrency: Annotated[int, typer.Option(help="Requests at a time.")] = 8,
    input_price: Annotated[float, typer.Option(help="Dollars per million tokens read.")] = 0,
    output_price: Annotated[float, typer.Option(help="Dollars per million written.")] = 0,
) -> None:
    """Ask a language model which responses are better; what it was asked once is not paid twice."""
    from pydantic import ValidationError

    from bench.errors import UserError
    from bench.commands.judge import run_judge
    from bench.config.llm_judge import LLMJudge
    from bench.config.validation import describe

    try:
        settings = LLMJudge(
            model=model,
            base_url=base_url,
            key_env=key_env,
            template=template,
            prompts=prompts,
            methods=_names(methods),
            max_tokens=max_tokens,
            concurrency=concurrency,
            input_price=input_price,
            output_price=output_price,
        )
    except ValidationError as error:
        raise UserError(describe(error, "judge")) from None
    raise typer.Exit(run_judge(folder, settings))


@app.command("export")
def export_samples(
    folder: Annotated[Path, typer.Argument(help="A results folder.")],
    method: Annotated[str, typer.Option(help="Whose responses.")],
    task: Annotated[str, typer.Option(help="On which task; default: the first.")] = "",
    seed: Annotated[int | None, typer.Option(help="Of which seed; default: the first.")] = None,
    form: Annotated[str, typer.Option("--format", help="alpaca_eval")] = "alpaca_eval",
    out: Annotated[Path | None, typer.Option(help="File to write; default: print it.")] = None,
) -> None:
    """Write a method's test responses for another tool to judge."""
    from bench.errors import UserError
    from bench.commands.export import export
    from bench.cache.files import write_text

    text = export(folder, method=method, task=task, seed=seed, form=form)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        write_text(out, text)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}") from None
    typer.echo(out)


@app.command("methods")
def list_methods(
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Also the values that a comparison tries.")
    ] = False,
) -> None:
    """List the methods that can be compared."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from bench.config.catalog import catalog, learns_from, title

    table = Table("method", "learns from", "dial", box=None, pad_edge=False)
    if verbose:
        table.add_column("grid")
    table.add_column("what it is", overflow="fold")
    for name, found in catalog().items():
        if isinstance(found, str):
            cells, words = ["-", "-", "-"], f"[red]cannot be imported:[/] {escape(found)}"
        else:
            grid = "; ".join(f"{key}: {values}" for key, values in found.grid.items())
            source = learns_from(found)
            cells, words = [source, found.strength or "", escape(grid)], escape(title(found))
        table.add_row(name, *cells[: 3 if verbose else 2], words)
    Console(width=None if sys.stdout.isatty() else 100).print(table)


@app.command("new-method")
def new_method(
    name: Annotated[str, typer.Argument(help="Its name, as margin_dpo.")],
    like: Annotated[str, typer.Option(help="The method to start from.")] = "dpo",
    folder: Annotated[
        Path | None, typer.Option(help="Where to; default: where methods are found.")
    ] = None,
) -> None:
    """Write the file of a new method: it runs at once, and is yours to change."""
    from bench.commands.new_method import draft_method, next_steps, write_method

    draft = draft_method(name, like)
    file = write_method(draft, folder)
    typer.echo(next_steps(draft, like, file))


@app.command("check")
def check_methods(
    names: Annotated[list[str], typer.Argument(help="Methods; all: every one there is.")],
) -> None:
    """Check that a method is what the trainer interface says, on a tiny pipeline."""
    from bench.commands.check import run_checks

    raise typer.Exit(run_checks(names))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; the user's mistakes are one line and exit status 2."""
    from bench.errors import UserError

    try:
        app(arguments)
    except UserError as error:
        print(f"prefrontier: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
