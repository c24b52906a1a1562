"""The command line of the commands in this folder; `bench/cli.py` adds it to its own.

As there, each command imports what it needs when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

ResultsFolder = Annotated[Path, typer.Argument(help="A results folder.")]
Task = Annotated[str, typer.Option(help="The task. Default: the only one.")]
Seed = Annotated[
    int | None,
    typer.Option(help="The seed. Default: of those in the cache, the best on validation prompts."),
]
Temperature = Annotated[
    float | None, typer.Option(help="Sampling temperature. Default: that of the run.")
]
MaxNewTokens = Annotated[
    int | None, typer.Option(help="The longest response, in tokens. Default: that of the run.")
]
SamplingSeed = Annotated[int, typer.Option("--sampling-seed", help="The seed of sampling.")]
Train = Annotated[
    bool, typer.Option("--train", help="Train a policy again that is not in the cache.")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


@app.command("export-model")
def export_model(
    folder: ResultsFolder,
    method: Annotated[str, typer.Option(help="The method whose policy is exported.")],
    task: Task = "",
    seed: Seed = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A new or empty folder. Default: models/TASK-METHOD in the results."),
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Merge adapters into the weights, in float32.")
    ] = False,
    base_model: Annotated[
        str, typer.Option(help="The name that adapters give for the model under them.")
    ] = "",
    train: Train = False,
) -> None:
    """Write a method's policy as a model for transformers, vLLM or llama.cpp, with a card."""
    from bench.commands.policies.export_model import export_model as export

    written = export(
        folder,
        method=method,
        task=task,
        seed=seed,
        out=out,
        merge=merge,
        base_model=base_model,
        train=train,
    )
    typer.echo(written)


@app.command()
def chat(
    folder: ResultsFolder,
    method: Annotated[str, typer.Option(help="The method whose policy responds beside SFT.")],
    task: Task = "",
    seed: Seed = None,
    turns: Annotated[
        bool, typer.Option("--turns", help="Keep the conversation; /new begins another one.")
    ] = False,
    temperature: Temperature = None,
    max_new_tokens: MaxNewTokens = None,
    sampling_seed: SamplingSeed = 0,
    train: Train = False,
    device: Device = "auto",
) -> None:
    """Try a method's policy beside the SFT policy: it answers each line that you enter."""
    from bench.commands.policies.chat import run_chat

    run_chat(
        folder,
        method=method,
        task=task,
        seed=seed,
        turns=turns,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        sampling_seed=sampling_seed,
        train=train,
        device=device,
    )


@app.command()
def answer(
    folder: ResultsFolder,
    prompts: Annotated[str, typer.Option(help="Your prompts: a text file, JSONL, CSV or Parquet.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The JSONL file to write. Default: answers.jsonl in the results."),
    ] = None,
    task: Task = "",
    methods: Annotated[str, typer.Option(help="Only these methods, as in ppo,dpo.")] = "",
    seed: Annotated[
        int | None, typer.Option(help="The seed. Default: the first with all policies.")
    ] = None,
    temperature: Temperature = None,
    max_new_tokens: MaxNewTokens = None,
    sampling_seed: SamplingSeed = 0,
    train: Train = False,
    device: Device = "auto",
) -> None:
    """Write what every method's policy answers to your own prompts: a file and a page."""
    from bench.commands.policies.answer import run_answer

    written = run_answer(
        folder,
        prompts=prompts,
        out=out,
        task=task,
        methods=[name.strip() for name in methods.split(",") if name.strip()],
        seed=seed,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        sampling_seed=sampling_seed,
        train=train,
        device=device,
    )
    for file in written:
        typer.echo(file)
