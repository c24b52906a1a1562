"""Progress files, from which a killed training resumes. What is damaged does not count.

The name of a progress file holds the checksum of its content, so both appear at once.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path
from typing import Any

DIGITS = 20

logger = logging.getLogger("prefrontier")


def save_progress(folder: Path, content: dict[str, Any]) -> None:
    """Save tensors and plain values, and remove what was saved before.

    Args:
        folder: Where they are kept.
        content: Tensors and plain values.
    """
    import torch

    partial = folder / "progress.partial"
    torch.save(content, partial)
    file = folder / f"progress-{file_checksum(partial)}.pt"
    if file.is_dir():
        shutil.rmtree(file)
    partial.replace(file)
    for other in folder.glob("progress-*.pt"):
        if other.is_dir():
            shutil.rmtree(other)
        elif other != file:
            other.unlink(missing_ok=True)


def load_progress(folder: Path, device: str) -> dict[str, Any] | None:
    """Return what was saved last; None where nothing was, or it is damaged, which is said.

    Args:
        folder: Where it is kept.
        device: Where tensors are loaded to.
    """
    import torch

    files = [file for file in folder.glob("progress-*.pt") if file.is_file()]
    # A kill can leave the file before beside the last one.
    for file in sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True):
        if file.stem == f"progress-{file_checksum(file)}":
            content: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
            return content
        logger.warning("%s: is damaged: the training does not resume from it", file)
    return None


def folder_checksum(folder: Path) -> str:
    """Return a checksum of the names and contents of all files in a folder; "" if it is gone."""
    if not folder.is_dir():
        return ""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    lines = [f"{file.relative_to(folder).as_posix()} {file_checksum(file)}" for file in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:DIGITS]


def file_checksum(file: Path) -> str:
    """Return a checksum of a file's content."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:DIGITS]
