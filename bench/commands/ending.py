"""How the command line ends: in one line where it fails by a mistake of the user."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from bench.errors import UserError, one_line
from bench.interrupt import exit_status_of

# Paths have at most so many characters on Linux.
LONGEST_ARGUMENT = 4096
# What help lists before all other commands.
FIRST = ("bench", "plan")


class Interruptible(TyperGroup):
    """Says in one line that a command was interrupted, if the command does not say so itself."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=lambda name: name not in FIRST)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            print("prefrontier: interrupted", file=sys.stderr)
            raise typer.Exit(exit_status_of(interrupt)) from None


def run(app: typer.Typer, arguments: Sequence[str]) -> NoReturn:
    """Run a command line and exit with its status.

    Args:
        app: All commands.
        arguments: The command line, without the program's name.
    """
    try:
        _check_lengths(arguments)
        status = app(arguments, prog_name="prefrontier", standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        _fail(str(error), error.status)
    except typer.TyperException as error:
        if message := _usage(error):
            _fail(message)
        sys.exit(2)  # all of the help was printed
    except OSError as error:
        if error.errno == errno.EPIPE:
            _close_stdout()
            sys.exit(1)
        if error.errno == errno.ENAMETOOLONG:
            _fail(f"{error.filename}: the name is too long")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _fail(f"{error.filename or 'the results or the cache'}: {error.strerror}", status=1)
        raise
    sys.exit(status if isinstance(status, int) else 0)


def _check_lengths(arguments: Sequence[str]) -> None:
    """Raise UserError if an argument is longer than any path or list of names can be."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if len(argument) > LONGEST_ARGUMENT:
            name = before if before.startswith("--") else "arguments"
            raise UserError(
                f"{name}: {len(argument):,} characters; at most {LONGEST_ARGUMENT:,} are allowed"
            )


def _usage(error: typer.TyperException) -> str:
    """Return what is wrong with a command line, and where to read what is right."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "prefrontier"
    place = command.removeprefix("prefrontier").strip() or "command line"
    message = error.format_message().rstrip(".")
    return message and f"{place}: {message[0].lower()}{message[1:]}; see `{command} --help`"


def _fail(message: str, status: int = 2) -> NoReturn:
    print(f"prefrontier: {one_line(message)}", file=sys.stderr)
    sys.exit(status)


def _close_stdout() -> None:
    """Forget what is still to be written: nobody reads it, as in `prefrontier columns | head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
