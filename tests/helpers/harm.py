"""Ways in which a file of a cache can be damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

FOREIGN = "foreign.bin"


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def lengthen(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"x")


def empty(file: Path) -> None:
    file.write_bytes(b"")


def noise(file: Path) -> None:
    file.write_bytes(Random("noise").randbytes(file.stat().st_size))


def zeros(file: Path) -> None:
    content = file.read_bytes()
    start = len(content) // 3
    block = min(4096, max(1, len(content) // 3))
    changed = content[:start] + b"\0" * block + content[start + block :]
    # Where there were zeros before, nothing is damaged.
    file.write_bytes(changed if changed != content else b"\1" + content[1:])


def remove(file: Path) -> None:
    file.unlink()


def replace_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def add_foreign(file: Path) -> None:
    file.with_name(FOREIGN).write_bytes(b"foreign")


def edit(file: Path) -> None:
    content = file.read_bytes()
    middle = len(content) // 2
    file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


HARMS: list[Callable[[Path], None]] = [
    truncate,
    lengthen,
    empty,
    noise,
    zeros,
    remove,
    replace_by_folder,
    add_foreign,
    edit,
]
