"""Estimates in words: a line, a table, and what would fit."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from bench.requirements.estimate import Estimate, remedies, without_policies

# How far an estimate of memory may be off; closer than this to what is free, it may not fit.
TOLERANCE = 0.15


def summary(estimate: Estimate) -> str:
    """Return what a task takes and what the machine has, in a line."""
    machine = estimate.work.machine
    place = "memory" if machine.device == "cpu" else f"memory of {machine.name}"
    texts = estimate.work.texts
    assumed = (
        f"; assumed of data that is not read: {texts.rows:,} preferences, prompts of "
        f"{texts.prompt:.0f} tokens"
        if texts.assumed
        else ""
    )
    cached = f" besides {gigabytes(machine.cached)} in the cache" if machine.cached >= 1e8 else ""
    close = estimate.fits_in_memory and estimate.memory * (1 + TOLERANCE) > machine.memory
    return (
        f"{estimate.name}: about {gigabytes(estimate.memory)} of {gigabytes(machine.memory)} of "
        f"free {place} ({estimate.largest.name}){', which is close' if close else ''}; "
        f"{duration(estimate.seconds)}; {gigabytes(estimate.saved)} of "
        f"{gigabytes(machine.disk)} of disk{cached}{assumed}"
    )


def needs_table(estimate: Estimate) -> Table:
    """Return what each stage and each setting takes."""
    table = Table(title=f"{estimate.name}: {estimate.work.task.model}", title_justify="left")
    table.add_column("work")
    parts = ("weights", "gradients", "Adam", "activations", "cache", "memory")
    for title in (*parts, "time", "times"):
        table.add_column(title, justify="right")
    for need in estimate.needs:
        memory = need.memory
        cells = map(
            gigabytes,
            (
                memory.weights,
                memory.gradients,
                memory.optimizer,
                memory.activations,
                memory.cache,
                memory.total,
            ),
        )
        table.add_row(need.name, *cells, duration(need.seconds), str(need.times))
    return table


def does_not_fit(estimate: Estimate) -> str:
    """Return what does not fit, and what would, in a line."""
    machine, problems = estimate.work.machine, []
    if not estimate.fits_in_memory:
        problems.append(
            f"{_who_takes(estimate)} about {gigabytes(estimate.memory)} of memory, "
            f"and {gigabytes(machine.memory)} are free; {_remedies(remedies(estimate))}"
        )
    if not estimate.fits_on_disk:
        cached = f" besides {gigabytes(machine.cached)} in the cache" if machine.cached else ""
        problems.append(
            f"the models take {gigabytes(estimate.saved)} of disk, and {gigabytes(machine.disk)} "
            f"are free{cached}; use fewer seeds or settings{_keep_none(estimate)}, or set "
            "PREFRONTIER_CACHE to a larger disk"
        )
    return f"tasks.{estimate.name}: {'; '.join(problems)}; --force runs it anyway"


def _who_takes(estimate: Estimate) -> str:
    largest, processes = estimate.largest.name, estimate.work.processes
    if estimate.jobs > 1:
        return f"{estimate.jobs} jobs such as {largest} take"
    return f"{largest} in {processes} processes takes" if processes > 1 else f"{largest} takes"


def _keep_none(estimate: Estimate) -> str:
    """Return a remedy for the disk, where it is one."""
    after = without_policies(estimate)
    if after.saved >= estimate.saved:
        return ""
    pooled = estimate.work.evaluation.frontier_policies > 0
    words = "keep: none and evaluation.frontier_policies: 0" if pooled else "keep: none"
    return f", {words} ({gigabytes(after.saved)})"


def _remedies(found: Sequence[tuple[str, Estimate]]) -> str:
    if not found:
        return "no setting makes it fit: use a smaller model"
    options = [f"{words} ({gigabytes(after.memory)})" for words, after in found]
    return f"it would fit with {', or with '.join(options)}"


def gigabytes(size: float) -> str:
    """Return a size in GB, from bytes."""
    size /= 1e9
    return f"{size:.1f} GB" if size < 10 else f"{size:.0f} GB"


def duration(seconds: float) -> str:
    """Return a duration in the largest unit that it is more than 1.5 of."""
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds > 1.5 * size:
            digits = 1 if seconds < 10 * size else 0
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} seconds"
