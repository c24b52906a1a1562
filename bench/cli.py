"""The command line: `prefrontier --help` lists the commands.

Each command imports what it needs when it runs, so that help is shown at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bench.commands.cache.command_line import app as cache_commands
from bench.commands.claims.command_line import app as claims_commands
from bench.commands.ending import Interruptible, run
from bench.commands.experiments.command_line import Jobs, names_in
from bench.commands.experiments.command_line import app as experiment_commands
from bench.commands.policies.command_line import app as policy_commands

app = typer.Typer(
    cls=Interruptible,
    help="Compare ways of aligning language models with preferences.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(experiment_commands)
app.add_typer(claims_commands)
app.add_typer(policy_commands)
app.add_typer(cache_commands, name="cache")

ResultsFolder = Annotated[Path, typer.Argument(help="A results folder.")]


@app.command()
def report(
    folder: Annotated[
        Path, typer.Argument(help="A results folder, or a folder with some below it.")
    ],
    paper: Annotated[
        bool, typer.Option("--paper", help="Write every chart in the sizes of papers too.")
    ] = False,
) -> None:
    """Rebuild the report of a results folder; of a folder of several, a page about all below it."""
    from bench.report.several.index import write_report

    typer.echo(write_report(folder, paper))


@app.command()
def compare(
    folders: Annotated[
        list[Path], typer.Argument(help="Two to six results folders; the first is the baseline.")
    ],
    out: Annotated[
        Path, typer.Option(help="The HTML file to write, or a folder for comparison.html.")
    ] = Path("comparison.html"),
) -> None:
    """Compare the results of several folders in one page."""
    from bench.report.several.comparison import write_comparison

    typer.echo(write_comparison(folders, out))


@app.command()
def calibrate(
    quick: Annotated[bool, typer.Option("--quick", help="Make only a few comparisons.")] = False,
    jobs: Jobs = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the results. "
            "Default: results/calibration, or results/calibration-quick."
        ),
    ] = None,
) -> None:
    """Measure how often verdicts are right, on many small tasks where the truth is known."""
    from bench.commands.calibrate import run_calibration

    raise typer.Exit(run_calibration(quick=quick, jobs=jobs, out=out))


@app.command()
def winrate(
    file: Annotated[Path, typer.Argument(help="Annotations in AlpacaEval's format, a JSON list.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the raw and the length-controlled win rate of a file of pairwise annotations."""
    from bench.commands.winrate import win_rate_text

    typer.echo(win_rate_text(file, as_json=as_json))


@app.command()
def judge(
    folder: ResultsFolder,
    model: Annotated[str, typer.Option(help="The judge's name at its API.")],
    base_url: Annotated[
        str | None,
        typer.Option(help="An OpenAI-compatible API. Default: OPENAI_BASE_URL, or OpenAI's."),
    ] = None,
    key_env: Annotated[
        str, typer.Option(help="The environment variable that holds the API key.")
    ] = "OPENAI_API_KEY",
    template: Annotated[
        str | None, typer.Option(help="A prompt template with {prompt}, {first} and {second}.")
    ] = None,
    prompts: Annotated[int, typer.Option(help="The most prompts per task and seed.")] = 64,
    methods: Annotated[str, typer.Option(help="Judge only these methods, as in ppo,dpo.")] = "",
    max_tokens: Annotated[
        int, typer.Option(help="The most tokens of an answer, reasoning included.")
    ] = 2048,
    concurrency: Annotated[int, typer.Option(help="Number of parallel requests.")] = 8,
    input_price: Annotated[float, typer.Option(help="Dollars per million tokens read.")] = 0,
    output_price: Annotated[float, typer.Option(help="Dollars per million tokens written.")] = 0,
) -> None:
    """Ask a language model which responses are better. Answers are cached, never paid for twice."""
    from bench.commands.judge import judge_settings, run_judge

    settings = judge_settings(
        model=model,
        base_url=base_url,
        key_env=key_env,
        template=template,
        prompts=prompts,
        methods=names_in(methods),
        max_tokens=max_tokens,
        concurrency=concurrency,
        input_price=input_price,
        output_price=output_price,
    )
    raise typer.Exit(run_judge(folder, settings))


@app.command("export")
def export_samples(
    folder: ResultsFolder,
    method: Annotated[str, typer.Option(help="The method whose responses are exported.")],
    task: Annotated[str, typer.Option(help="The task. Default: the first.")] = "",
    seed: Annotated[int | None, typer.Option(help="The seed. Default: the first.")] = None,
    form: Annotated[str, typer.Option("--format", help="The format of the file.")] = "alpaca_eval",
    out: Annotated[Path | None, typer.Option(help="File to write. Default: stdout.")] = None,
) -> None:
    """Write a method's test responses for another tool to judge."""
    from bench.commands.export import export, print_or_write

    print_or_write(export(folder, method=method, task=task, seed=seed, form=form), out)


@app.command("methods")
def list_methods(
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Also show the values that a comparison tries.")
    ] = False,
) -> None:
    """List the methods that can be compared."""
    from bench.commands.methods import print_methods

    print_methods(with_grid=verbose)


@app.command()
def columns() -> None:
    """Print every table and column that a run writes, and every metric, as Markdown."""
    from bench.commands.columns import columns_page

    typer.echo(columns_page(), nl=False)


@app.command("new-method")
def new_method(
    name: Annotated[str, typer.Argument(help="The new method's name, such as margin_dpo.")],
    like: Annotated[str, typer.Option(help="The existing method to start from.")] = "dpo",
    folder: Annotated[
        Path | None, typer.Option(help="Where to write the file. Default: the methods' folder.")
    ] = None,
) -> None:
    """Write the file of a new method. It runs as it is; change it as you like."""
    from bench.commands.new_method import draft_method, next_steps, write_method

    draft = draft_method(name, like)
    file = write_method(draft, folder)
    typer.echo(next_steps(draft, file))


@app.command("check")
def check_methods(
    names: Annotated[
        list[str], typer.Argument(help="Names of methods; all stands for every method.")
    ],
) -> None:
    """Check on a tiny task that methods conform to the trainer interface."""
    from bench.commands.check import run_checks

    raise typer.Exit(run_checks(names))


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; a mistake of the user is one line and exit status 2."""
    run(app, sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    main()
