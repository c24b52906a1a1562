"""Why a job failed, in one line that names the remedy where it is known.

Most messages name it where they are raised. This adds it to those of libraries and of the system.
"""

from __future__ import annotations

import errno
import re

# A longer message is cut in the middle: libraries say first what happened, and last why.
MOST_CHARACTERS = 500
OUT_OF_MEMORY = (
    "set loading.lora.rank to train adapters, loading.gradient_checkpointing, or a smaller "
    "loading.micro_batch_tokens; or shorten responses and prompts (response_tokens, "
    "max_prompt_tokens), or take a smaller model"
)
KILLED = (
    "the system ends processes that use too much memory: run fewer at a time (--jobs 1), or "
    f"{OUT_OF_MEMORY}"
)
NO_SPACE = "free some space, or set PREFRONTIER_CACHE to a folder on another disk"
EXIT_CODES = re.compile(r"exit codes? of the workers? (?:is|are) \{(.+?)\}")
MEMORY_MESSAGES = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|CUBLAS_STATUS_ALLOC_FAILED", re.I
)


def error_text(problem: BaseException) -> str:
    """Return the error in one line, with what to do about it where that is known."""
    text = f"{type(problem).__name__}: {problem}"
    if isinstance(problem, MemoryError) or MEMORY_MESSAGES.search(text):
        # What follows describes the allocator's state at length.
        return one_line(". ".join(text.split(". ")[:2]).rstrip("."), OUT_OF_MEMORY)
    if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
        return one_line(text, NO_SPACE)
    return one_line(text)


def death_text(problem: BaseException) -> str:
    """Return why a worker process died, with what to do about it where that is known."""
    codes = EXIT_CODES.search(str(problem))
    if codes is None:
        return one_line(f"worker died: {problem}")
    died = f"worker died: {codes[1]}"
    return one_line(died, KILLED if "SIGKILL" in died else "")


def one_line(text: str, remedy: str = "") -> str:
    """Return a message of at most `MOST_CHARACTERS` in one line, the remedy behind it whole."""
    text, end = " ".join(text.split()), f": {remedy}" if remedy else ""
    room = MOST_CHARACTERS - len(end)
    if len(text) > room:
        half = (room - 3) // 2
        text = f"{text[:half]}...{text[-half:]}"
    return text + end
