"""Data and models that a task names: files, folders, or the hub."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from bench.data.reading import fingerprint
from bench.errors import UserError, reason_of
from bench.tasks.base import Task
from bench.tasks.recorded import Recorded
from bench.tasks.sentiment import Sentiment
from bench.tasks.sizes import SIZES

# Safetensors and the files that describe them; no pickles and no code.
FILE_PATTERNS = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]
# Files up to this many bytes are hashed by content.
LARGEST_HASHED = 32 * 2**20


@dataclass(frozen=True)
class Source:
    """A model on this machine. Both fields are empty for a model that is made here.

    Attributes:
        folder: Its absolute path.
        hash: Of the folder's files.
    """

    folder: str = ""
    hash: str = ""


@dataclass(frozen=True)
class Sources:
    """The data and models that a task names.

    Attributes:
        data: Hash of the data's content.
        model: The policies' base model.
        judge_model: What the judge starts from.
        reward_classifier: The classifier that replaces the reward model.
        judge_classifier: The classifier that replaces the judge, or the gold reward.
    """

    data: str = ""
    model: Source = Source()
    judge_model: Source = Source()
    reward_classifier: Source = Source()
    judge_classifier: Source = Source()


def find_sources(task: Recorded) -> Sources:
    """Find the data and models of recorded preferences. Models on the hub are downloaded.

    Raises:
        UserError: Something does not exist.
    """
    return Sources(
        data=fingerprint(task.data, task.split),
        model=find_model(task.model),
        judge_model=find_model(task.judge_model),
        reward_classifier=find_model(task.reward_classifier.model),
        judge_classifier=find_model(task.judge_classifier.model),
    )


def find_texts(task: Sentiment) -> Sources:
    """Find the texts, model and classifier of a sentiment task, in the same way."""
    return Sources(
        data=fingerprint(task.data, task.split),
        model=find_model(task.model),
        judge_classifier=find_model(task.classifier.model),
    )


def find_model(name: str) -> Source:
    """Find a model.

    Args:
        name: A folder, a hub id, or an embedded size; empty for none.

    Returns:
        An empty source for an embedded size and for none.

    Raises:
        UserError: There is no such model, or it has no safetensors.
    """
    if not name or name in SIZES:
        return Source()
    folder = Path(name)
    if not folder.is_dir():
        folder = _fetched(name)
    if not (folder / "config.json").is_file():
        raise UserError(f"model '{name}': the folder has no config.json")
    if not any(folder.glob("*.safetensors")):
        raise UserError(f"model '{name}': the folder has no safetensors; no other weights are read")
    return Source(str(folder.absolute()), _hash(folder))


def needs_hub(task: Task) -> bool:
    """Return whether the task names data or models that are on the hub."""
    return not all(Path(name).exists() for name in task.external_sources())


def _fetched(name: str) -> Path:
    """Return the local copy of a model on the hub."""
    sizes = ", ".join(SIZES)
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise UserError(f"model '{name}': no such folder; allowed: {sizes}, a folder or a hub id")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=FILE_PATTERNS))
    except Exception as error:  # of the hub, the system, or an HTTP client with wrong variables
        raise UserError(
            f"model '{name}': no such folder, and it cannot be fetched from the hub "
            f"({reason_of(error)}); allowed: {sizes}, a folder or a hub id"
        ) from None


def _hash(folder: Path) -> str:
    """Return a hash of a folder's files: small ones by content, large ones by size and date."""
    total = hashlib.sha256()
    for file in sorted(f for f in folder.iterdir() if f.is_file()):
        status = file.stat()
        total.update(file.name.encode())
        if status.st_size <= LARGEST_HASHED:
            total.update(file.read_bytes())
        else:
            total.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    return total.hexdigest()[:20]
