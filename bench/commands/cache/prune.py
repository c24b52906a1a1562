"""`prefrontier cache prune`."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.cache.artifact import remove_folders
from bench.cache.default import default_store
from bench.cache.locks import locked_if_free
from bench.cache.store import Store
from bench.cache.uses import Use, forget, used_by_others, uses_of
from bench.commands.cache.inventory import (
    Folder,
    Item,
    damaged_folders,
    items,
    leftovers,
    lock_of,
    name_of,
    work_folders,
)
from bench.commands.cache.words import age, size_text
from bench.errors import UserError

CRITERIA = "--older-than, --experiment, --keep, --damaged"


class Pruned(NamedTuple):
    """What may be removed.

    Attributes:
        items: Artifacts.
        work: Work folders, by which trainings could be resumed.
        damaged: What was set aside.
        leftovers: What ended commands left.
        records: Records of experiments.
        running: How many artifacts stay because an experiment that runs refers to them.
    """

    items: list[Item]
    work: list[Folder]
    damaged: list[Folder]
    leftovers: list[Folder]
    records: list[Use]
    running: int


def prune_cache(
    *, older_than: str, experiment: str, keep: Sequence[Path], damaged: bool, dry_run: bool
) -> None:
    """Remove what meets all criteria that are given, and print what was freed.

    Args:
        older_than: Only what was last used so long ago, as in "30d".
        experiment: Only what this experiment uses and no other.
        keep: Results folders; what they refer to stays.
        damaged: Whether to remove what was set aside.
        dry_run: Whether to remove nothing.

    Raises:
        UserError: No criterion is given, or one is not valid.
    """
    if not (older_than or experiment or keep or damaged):
        raise UserError(f"cache prune: say what may go; allowed: {CRITERIA}")
    store = default_store()
    before = time.time() - age(older_than) if older_than else None
    kept = frozenset[str]().union(*map(referred, keep))
    selects = bool(older_than or experiment or keep)
    found = prunable(
        store, before=before, experiment=experiment, kept=kept, damaged=damaged, selects=selects
    )
    count, size = _count_and_size(found) if dry_run else remove(store, found, damaged=damaged)
    verb = "would be removed" if dry_run else "removed"
    print(f"{store.address}: {count} {verb}, {size_text(size)}")
    if found.running:
        print(f"{found.running} artifacts stay: an experiment that runs refers to them")


def prunable(
    store: Store,
    *,
    before: float | None = None,
    experiment: str = "",
    kept: frozenset[str] = frozenset(),
    damaged: bool = False,
    selects: bool = True,
) -> Pruned:
    """Return what of a store may be removed.

    Args:
        store: The store.
        before: Only what was last used before this time (seconds since the epoch).
        experiment: Only what this experiment uses and no other.
        kept: Names of artifacts that stay.
        damaged: Whether what was set aside goes.
        selects: Whether any artifact goes.

    Raises:
        UserError: No such experiment was run.
    """
    uses = uses_of(store)
    its = [use for use in uses if use.experiment == experiment]
    if experiment and not its:
        known = ", ".join(sorted({use.experiment for use in uses})) or "none"
        raise UserError(f"--experiment: no record of '{experiment}' in the cache; allowed: {known}")
    own, others = _names(its), _names(use for use in uses if use not in its)
    running = used_by_others(store)

    def goes(name: str, used: float) -> bool:
        return (
            selects
            and name not in kept
            and (before is None or used < before)
            and (not experiment or (name in own and name not in others))
        )

    there = items(store, uses)
    chosen = [item for item in there if goes(item.name, item.used)]
    removed = {item.name for item in chosen} - running
    left = {item.name for item in there} - removed
    return Pruned(
        items=[item for item in chosen if item.name in removed],
        work=[
            folder
            for folder in work_folders(store)
            if goes(name_of(folder), folder.changed) and name_of(folder) not in running
        ],
        damaged=damaged_folders(store) if damaged else [],
        leftovers=leftovers(store),
        records=[
            use for use in uses if use.artifacts & removed and not use.artifacts & (left | running)
        ],
        running=len(chosen) - len(removed),
    )


def remove(store: Store, found: Pruned, *, damaged: bool = False) -> tuple[str, int]:
    """Remove what may be removed, except what another process makes or a command now uses.

    Args:
        store: The store.
        found: What may be removed.
        damaged: Whether what was set aside elsewhere than on this machine goes too.

    Returns:
        What was removed, in words, and its size (bytes).
    """
    # A command may have started since then: what it refers to is looked up each time.
    gone = [
        item
        for item in found.items
        if item.name not in used_by_others(store) and store.drop(item.kind, item.key)
    ]
    work = [
        folder
        for folder in found.work
        if name_of(folder) not in used_by_others(store) and _removed(store, folder)
    ]
    stays = {item.name for item in found.items} - {item.name for item in gone}
    removed = found._replace(
        items=gone,
        work=work,
        damaged=[folder for folder in found.damaged if _removed(store, folder)],
        leftovers=[folder for folder in found.leftovers if _removed(store, folder)],
        records=[use for use in found.records if not use.artifacts & stays and forget(store, use)],
    )
    store.clear(damaged=damaged)
    return _count_and_size(removed)


def referred(folder: Path) -> frozenset[str]:
    """Return the artifacts that a results folder refers to, by name.

    Raises:
        UserError: It is no results folder.
    """
    from bench.results.loading import load_results

    manifest = load_results(folder).manifest
    listed: list[Any] = [*(manifest.get("artifacts") or [])]
    for part in ("policies", "stages"):
        listed += [entry["folder"] for entry in manifest.get(part) or []]
    if not manifest.get("artifacts"):
        raise UserError(
            f"--keep: {folder} does not say which artifacts it refers to; repeat its run first, "
            "which makes nothing again"
        )
    return frozenset(str(name) for name in listed if re.fullmatch(r"\w+/[0-9a-f]+", str(name)))


def _removed(store: Store, folder: Folder) -> bool:
    """Remove a folder or file, unless another process holds its lock; return whether it did not."""
    lock = lock_of(store, folder.place)
    with locked_if_free(lock) as free:
        if free:
            # The lock is unlinked while it is held: whoever waits for it then takes a new one.
            remove_folders(folder.place, lock)
    return free


def _names(uses: Any) -> frozenset[str]:
    return frozenset[str]().union(*(use.artifacts for use in uses))


def _count_and_size(found: Pruned) -> tuple[str, int]:
    parts = [
        (len(found.items), "artifacts"),
        (len(found.work), "work folders"),
        (len(found.damaged), "damaged folders"),
        (len(found.leftovers), "leftovers"),
        (len(found.records), "records"),
    ]
    text = ", ".join(f"{count} {name}" for count, name in parts if count) or "nothing"
    folders = (*found.work, *found.damaged, *found.leftovers)
    return text, sum(item.size for item in found.items) + sum(f.size for f in folders)
