"""What this machine has."""

from __future__ import annotations

from pathlib import Path

import psutil

from bench.requirements.machine import free_memory, size_of, this_machine


def test_the_speed_of_the_cpu_is_measured_and_its_memory_and_disk_read(tmp_path: Path) -> None:
    machine = this_machine("cpu", tmp_path / "not" / "there")
    assert 1e8 < machine.speed < 1e14 and 1e7 < machine.bandwidth < 1e13
    assert 0 < machine.memory <= machine.total == psutil.virtual_memory().total
    assert machine.disk > 0


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").write_bytes(b"1" * 1000)
    (tmp_path / "y").write_bytes(b"2" * 10)
    assert size_of(tmp_path) == 1010 and size_of(tmp_path / "missing") == 0


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    limit, used, statistics = (tmp_path / name for name in ("max", "current", "stat"))
    limits = ((str(limit), str(used), str(statistics), "inactive_file"),)
    limit.write_text("300000000\n")
    used.write_text("100000000\n")
    assert free_memory(limits) == 2e8
    # Files that were read give their memory back.
    statistics.write_text("anon 40000000\ninactive_file 50000000\nactive_file 10000000\n")
    assert free_memory(limits) == 2.5e8
    limit.write_text("max\n")
    assert free_memory(limits) > 2.5e8
