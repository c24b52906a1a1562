"""Where data and models of a recorded task come from: folders, files, or the hub."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from bench.data.reading import fingerprint
from bench.errors import UserError
from bench.tasks.base import Task
from bench.tasks.recorded import Recorded
from bench.tasks.sentiment import Sentiment
from bench.tasks.sizes import SIZES

# Safetensors and what describes them: neither pickles nor code.
WANTED = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]
SMALL = 32 * 2**20


@dataclass(frozen=True)
class Source:
    """A model: its folder, and a hash of what lies there. Both empty for one made here."""

    folder: str = ""
    hash: str = ""


@dataclass(frozen=True)
class Sources:
    """What a recorded task is made from. data: hash of its content."""

    data: str = ""
    model: Source = Source()
    judge_model: Source = Source()
    reward_classifier: Source = Source()
    judge_classifier: Source = Source()


def find_sources(task: Recorded) -> Sources:
    """Find data and models, fetching from the hub what is there. Raises UserError."""
    return Sources(
        data=fingerprint(task.data, task.split),
        model=find_model(task.model),
        judge_model=find_model(task.judge_model),
        reward_classifier=find_model(task.reward_classifier.model),
        judge_classifier=find_model(task.judge_classifier.model),
    )


def find_texts(task: Sentiment) -> Sources:
    """Find texts, model and classifier of a sentiment task, likewise."""
    return Sources(
        data=fingerprint(task.data, task.split),
        model=find_model(task.model),
        judge_classifier=find_model(task.classifier.model),
    )


def find_model(name: str) -> Source:
    """Find a model; nothing for one that is made here. Raises UserError where there is none."""
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
    """Return whether anything of the task has to come from the hub."""
    return not all(Path(name).exists() for name in task.external_sources())


def _fetched(name: str) -> Path:
    """Return the local copy of a model on the hub."""
    sizes = ", ".join(SIZES)
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise UserError(f"model '{name}': no such folder; allowed: {sizes}, a folder or a hub id")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=WANTED))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"model '{name}': neither a folder nor to be had from the hub ({reason}); allowed: "
            f"{sizes}, a folder or a hub id"
        ) from None


def _hash(folder: Path) -> str:
    """Return a hash of small files' content, and of large ones' size and time of change."""
    total = hashlib.sha256()
    for file in sorted(f for f in folder.iterdir() if f.is_file()):
        about = file.stat()
        total.update(file.name.encode())
        if about.st_size <= SMALL:
            total.update(file.read_bytes())
        else:
            total.update(f"{about.st_size} {about.st_mtime_ns}".encode())
    return total.hexdigest()[:20]
