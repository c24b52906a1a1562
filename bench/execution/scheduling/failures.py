"""Why a job failed, in one line that names the remedy where it is known.

Most messages name it where they are raised. This adds it to those of libraries and of the system.
"""

from __future__ import annotations

import errno
import re
import signal

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
MEMORY_MESSAGES = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|CUBLAS_STATUS_ALLOC_FAILED", re.I
)
FULL = (errno.ENOSPC, errno.EDQUOT)
# Some libraries, such as safetensors, say what the system said in their text alone.
FULL_MESSAGES = re.compile(r"no space left|disk quota|os error (28|122)\b", re.I)


def error_text(problem: BaseException) -> str:
    """Return the error in one line, with what to do about it where that is known."""
    text = f"{type(problem).__name__}: {problem}"
    if is_out_of_memory(problem):
        # What follows describes the allocator's state at length.
        return one_line(". ".join(text.split(". ")[:2]).rstrip("."), OUT_OF_MEMORY)
    if is_disk_full(problem):
        return one_line(text, NO_SPACE)
    return one_line(text)


def is_out_of_memory(problem: BaseException) -> bool:
    """Return whether the memory did not suffice, of the machine or of the GPU."""
    text = f"{type(problem).__name__}: {problem}"
    return isinstance(problem, MemoryError) or MEMORY_MESSAGES.search(text) is not None


def is_disk_full(problem: BaseException | None) -> bool:
    """Return whether a disk or a quota is full, by an error or by what it arose from."""
    while problem is not None:
        if isinstance(problem, OSError) and problem.errno in FULL:
            return True
        if FULL_MESSAGES.search(str(problem)):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


def death_text(exit_code: int | None) -> str:
    """Return why a worker process died, with what to do about it where that is known.

    Args:
        exit_code: As the system gives it; the negative number of a signal.
    """
    if exit_code is None or exit_code >= 0:
        return f"its process ended with exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    return one_line(f"its process was ended by {name}", KILLED if name == "SIGKILL" else "")


def hung_text(limit: float) -> str:
    """Return what is said of a job that took longer than its limit (s)."""
    taken = f"{limit / 60:.0f} minutes" if limit >= 120 else f"{limit:.0f} seconds"
    return f"it was ended after {taken}, many times what was estimated: it seems to hang"


def one_line(text: str, remedy: str = "") -> str:
    """Return a message of at most `MOST_CHARACTERS` in one line, the remedy behind it whole."""
    text, end = " ".join(text.split()), f": {remedy}" if remedy else ""
    room = MOST_CHARACTERS - len(end)
    if len(text) > room:
        half = (room - 3) // 2
        text = f"{text[:half]}...{text[-half:]}"
    return text + end
