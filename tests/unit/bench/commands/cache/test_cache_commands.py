"""`prefrontier cache`: what is listed, what is found damaged, and what is pruned and what never."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from bench.cache.artifact import MANIFEST
from bench.cache.default import default_store
from bench.cache.store import SLURM, Store
from bench.cache.uses import uses_of, using
from bench.cli import main
from bench.commands.cache.inventory import work_folders
from bench.commands.cache.prune import prunable, remove
from bench.commands.cache.words import age, size_text
from bench.errors import UserError

OLD, NEW, SHARED, UNUSED = (f"{number:020x}" for number in range(4))
HOUR = 3600.0


def write(folder: Path) -> dict[str, Any]:
    (folder / "weights").write_bytes(b"1" * 1000)
    return {}


def make_all(store: Store, at: float) -> None:
    for key in (OLD, NEW, SHARED, UNUSED):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", lambda: at)
            store.make("policy", key, write)


@pytest.fixture(params=["folder", "url"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """Return a store in which two experiments share an artifact, and one is of none."""
    address = str(tmp_path) if request.param == "folder" else f"memory://{uuid4().hex}"
    monkeypatch.setenv("PREFRONTIER_CACHE", address)
    monkeypatch.setenv("PREFRONTIER_CACHE_COPY", str(tmp_path))
    store = default_store()
    now = time.time()
    make_all(store, now - 48 * HOUR)
    for name, its, hours in (("old", OLD, 30), ("new", NEW, 1)):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda hours=hours: now - hours * HOUR)
            with using(store, name, f"prefrontier bench {name}", [f"policy/{its}"]) as record:
                record([f"policy/{SHARED}"])
    yield store


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["cache", *arguments])
    return int(ended.value.code or 0)


def left(store: Store) -> set[str]:
    return {key for _, key in store.names()}


def test_list_says_what_each_experiment_refers_to(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    (store.workdir("policy", "f" * 20) / "progress").write_text("half")
    assert run("list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    [kind] = found["kinds"]
    assert (kind["kind"], kind["artifacts"], kind["size"]) == ("policy", 4, 4000)
    assert 0.9 * HOUR < time.time() - kind["newest_use"] < 1.1 * HOUR
    assert 47 * HOUR < time.time() - kind["oldest_use"] < 49 * HOUR
    experiments = {row["experiment"]: row for row in found["experiments"]}
    assert list(experiments) == ["new", "old"]
    assert experiments["old"]["kinds"] == {"policy": 2} and not experiments["old"]["running"]
    assert found["unused"]["artifacts"] == 1
    assert found["work"]["folders"] == [f"policy-{'f' * 20}"]
    assert run("list") == 0
    text = capsys.readouterr().out
    assert "old" in text and "4.0 kB" in text and "1 artifacts that no experiment" in text


def test_verify_reads_all_and_sets_damaged_ones_aside(
    store: Store, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert run("verify") == 0
    assert "4 artifacts, all are whole" in capsys.readouterr().out
    file = store.folder("policy", OLD) / "weights"
    about = file.stat()
    file.write_bytes(b"0" * 1000)
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert run("verify") == 1
    assert "1 damaged" in capsys.readouterr().out
    [record] = caplog.records
    assert "weights is damaged" in record.getMessage() and OLD in record.getMessage()
    assert (store.root / "damaged" / f"policy-{OLD}").is_dir()
    assert run("verify") == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--older-than", "20h"], {NEW, SHARED}),
        (["--older-than", "31h"], {OLD, NEW, SHARED}),
        (["--experiment", "old"], {NEW, SHARED, UNUSED}),
        (["--experiment", "new", "--older-than", "20h"], {OLD, NEW, SHARED, UNUSED}),
        (["--damaged"], {OLD, NEW, SHARED, UNUSED}),
    ],
)
def test_prune_removes_what_meets_all_criteria(
    store: Store, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: set[str]
) -> None:
    assert run("prune", "--dry-run", *arguments) == 0
    assert "would be removed" in capsys.readouterr().out
    assert left(store) == {OLD, NEW, SHARED, UNUSED}
    assert run("prune", *arguments) == 0
    assert left(store) == expected
    gone = 4 - len(expected)
    assert not gone or f"{gone} artifacts" in capsys.readouterr().out


def test_prune_keeps_what_results_refer_to(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    referred = {"artifacts": [f"policy/{OLD}"], "policies": [{"folder": f"policy/{NEW}"}]}

    class Loaded:
        manifest = referred

    monkeypatch.setattr("bench.results.loading.load_results", lambda folder: Loaded)
    assert run("prune", "--keep", str(tmp_path)) == 0
    assert left(store) == {OLD, NEW}
    referred.pop("artifacts")
    assert run("prune", "--keep", str(tmp_path)) == 2


def test_without_a_criterion_nothing_is_removed(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("prune") == 2
    assert "--older-than, --experiment, --keep, --damaged" in capsys.readouterr().err
    assert run("prune", "--experiment", "other") == 2
    assert "allowed: new, old" in capsys.readouterr().err
    assert run("prune", "--older-than", "soon") == 2
    assert left(store) == {OLD, NEW, SHARED, UNUSED}


def _hold(root: Path, ready: Any, end: Any) -> None:
    store = Store(root)
    names = [f"policy/{OLD}", f"policy/{SHARED}"]
    with using(store, "old", "prefrontier bench old", names), store.lock("policy", UNUSED):
        (root / "policy" / f".partial-{UNUSED}-0").mkdir(exist_ok=True)
        ready.set()
        end.wait(60)


def test_prune_never_takes_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path))
    store = Store(tmp_path)
    make_all(store, time.time() - HOUR)
    work = store.workdir("policy", OLD)
    context = multiprocessing.get_context("fork")
    ready, end = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready, end))
    process.start()
    assert ready.wait(60)
    # UNUSED is being made, OLD and SHARED belong to an experiment that runs.
    assert run("prune", "--older-than", "0m") == 0
    assert left(store) == {OLD, SHARED, UNUSED}
    assert (tmp_path / "policy" / f".partial-{UNUSED}-0").exists()
    end.set()
    process.join()
    assert work.exists() is False, "what lies beside a whole artifact is of no use"
    assert run("prune", "--older-than", "0m") == 0
    assert not left(store) and not list((tmp_path / "policy").iterdir())
    assert not list((tmp_path / "uses").glob("*.json")), "its record refers to nothing"


def test_prune_never_takes_what_starts_meanwhile(tmp_path: Path) -> None:
    store = Store(tmp_path)
    make_all(store, time.time() - HOUR)
    for name, its in (("old", [OLD, SHARED]), ("new", [NEW]), ("unused", [UNUSED])):
        with using(store, name, f"prefrontier bench {name}", [f"policy/{key}" for key in its]):
            pass
    for key in (NEW, UNUSED):
        (tmp_path / "policy" / f".partial-{key}-0").mkdir()
    found = prunable(store, before=time.time() + HOUR)
    assert len(found.items) == 4 and len(found.records) == 3
    context = multiprocessing.get_context("fork")
    ready, end = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready, end))
    process.start()
    assert ready.wait(60)
    text, _ = remove(store, found)
    end.set()
    process.join()
    assert text.startswith("1 artifacts") and text.endswith("1 records")
    assert left(store) == {OLD, SHARED, UNUSED}
    partials = {place.name for place in (tmp_path / "policy").glob(".partial-*")}
    assert partials == {f".partial-{UNUSED}-0"}
    records = {use.experiment for use in uses_of(store)}
    assert records == {"old", "unused"}


def test_prune_clears_what_ended_commands_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.make("policy", OLD, write)
    store.workdir("policy", OLD).joinpath("progress").write_text("half")
    keeps = store.workdir("policy", NEW)
    (tmp_path / "policy" / ".partial-x-0").mkdir()
    (tmp_path / "locks").mkdir(exist_ok=True)
    (tmp_path / "locks" / f"policy-{OLD}").touch()
    (tmp_path / "damaged" / "policy-1").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFRONTIER_CACHE", str(tmp_path))
        assert run("prune", "--damaged") == 0
    assert left(store) == {OLD} and keeps.exists()
    assert not list((tmp_path / "locks").iterdir())
    assert not list((tmp_path / "damaged").iterdir())
    assert [place.name for place in (tmp_path / "policy").iterdir()] == [OLD]
    assert (store.folder("policy", OLD) / MANIFEST).exists()


def test_what_was_sent_to_slurm_is_no_artifact(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    orders = store.root / SLURM / "4711"
    orders.mkdir(parents=True)
    (orders / "order.pkl").write_bytes(b"1")
    assert run("verify") == 0 and "4 artifacts, all are whole" in capsys.readouterr().out
    assert run("prune", "--older-than", "0m") == 0
    assert not left(store) and (orders / "order.pkl").exists()


def test_folders_may_vanish_while_they_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    inner = store.workdir("policy", OLD) / "inner"
    inner.mkdir()
    (inner.parent / "progress").write_text("half")
    scan = os.scandir

    def scandir(folder: Any = ".") -> Any:
        if Path(folder) == inner:
            raise FileNotFoundError(2, "No such file or directory")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    [folder] = work_folders(store)
    assert folder.size == 4


def test_a_damaged_record_does_not_count(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.write_record("uses/bad-1.json", b"{")
    assert run("list", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["experiments"]) == 2


def test_sizes_and_ages_in_words() -> None:
    assert [size_text(x) for x in (0, 999, 1500, 25e6, 3e13)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "25 MB",
        "30.0 TB",
    ]
    assert age("1.5h") == 5400 and age("30d") == 30 * 86400
    with pytest.raises(UserError, match="as in 30d"):
        age("30")
