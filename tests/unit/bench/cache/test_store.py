"""The store: an artifact is whole or not there, is made once, and damage is noticed."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from helpers.harm import FOREIGN, HARMS, add_foreign

from bench.cache import artifact
from bench.cache.artifact import MANIFEST, damage, read_manifest, seal
from bench.cache.keys import digest
from bench.cache.locks import is_locked, locked
from bench.cache.store import Store
from bench.errors import Missing
from bench.tasks.labeling import Annotator


def write(folder: Path) -> dict[str, Any]:
    """Make an artifact with a file in a folder and one beside it."""
    (folder / "inner").mkdir()
    (folder / "inner" / "weights").write_bytes(bytes(range(256)) * 40)
    (folder / "texts.jsonl").write_text('{"a": 1}\n{"b": 2}\n')
    return {"count": 3}


def test_an_artifact_is_made_once(tmp_path: Path) -> None:
    store, calls = Store(tmp_path), []

    def make(folder: Path) -> dict[str, Any]:
        calls.append(folder)
        return write(folder)

    for _ in range(2):
        store.make("kind", "key", make)
    assert len(calls) == 1
    assert (store.folder("kind", "key") / "texts.jsonl").read_text().startswith('{"a"')
    metrics = store.metrics("kind", "key")
    assert metrics["count"] == 3 and metrics["seconds"] >= 0


def test_what_fails_leaves_nothing_but_its_work(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fail(folder: Path) -> dict[str, Any]:
        write(folder)
        (store.workdir("kind", "key") / "progress").write_text("half")
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        store.make("kind", "key", fail)
    assert not store.has("kind", "key") and not list((tmp_path / "kind").iterdir())
    assert (store.workdir("kind", "key") / "progress").read_text() == "half"
    store.make("kind", "key", write)
    assert store.has("kind", "key") and not list((tmp_path / "work").iterdir())


def test_what_a_killed_maker_left_does_not_get_into_the_artifact(tmp_path: Path) -> None:
    store = Store(tmp_path)
    left = tmp_path / "kind" / ".partial-key-0"
    left.mkdir(parents=True)
    (left / "half").write_text("half")
    store.make("kind", "key", write)
    assert [place.name for place in (tmp_path / "kind").iterdir()] == ["key"]
    assert not (store.folder("kind", "key") / "half").exists()


def test_work_that_outlived_its_maker_goes_once_the_artifact_is_there(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.workdir("kind", "key") / "progress").write_text("half")
    assert not store.has("kind", "key")
    assert store.unfinished("kind", "key").exists()
    store.make("kind", "key", write)
    # Its maker was killed when the artifact was there and its work was not yet removed.
    (store.workdir("kind", "key") / "progress").write_text("half")
    context = multiprocessing.get_context("fork")
    maker = context.Process(target=_hold_lock, args=(store.beside("locks", "kind", "key"),))
    maker.start()
    while not is_locked(store.beside("locks", "kind", "key")):
        assert maker.is_alive()
        time.sleep(0.02)
    # Another process makes it again.
    assert store.has("kind", "key") and store.unfinished("kind", "key").exists()
    maker.kill()
    maker.join()
    assert store.has("kind", "key")
    assert not store.unfinished("kind", "key").exists()


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", ["inner/weights", "texts.jsonl", MANIFEST])
def test_damage_is_noticed_set_aside_and_made_again(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    harm: Callable[[Path], object],
) -> None:
    store = Store(tmp_path)
    store.make("kind", "key", write)
    place = store.folder("kind", "key")
    assert store.has("kind", "key") and not caplog.records
    harm(place / name)
    with pytest.raises(Missing, match="kind/key is missing"):
        store.need("kind", "key")
    [record] = caplog.records
    message = record.getMessage()
    assert str(place) in message and "made again" in message
    assert (Path(name).name if harm is not add_foreign else FOREIGN) in message
    assert (tmp_path / "damaged" / "kind-key").is_dir() and not place.exists()
    store.make("kind", "key", write)
    assert damage(store.need("kind", "key"), full=True) == ""


def test_a_foreign_folder_is_not_an_artifact(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.folder("kind", "key").mkdir(parents=True)
    assert not store.has("kind", "key")
    store.make("kind", "key", write)
    (store.folder("kind", "key") / "adapter_model.safetensors").write_text("foreign")
    assert "adapter_model.safetensors is not one" in damage(store.folder("kind", "key"))
    assert not store.has("kind", "key")


def test_every_byte_of_the_manifest_counts(tmp_path: Path) -> None:
    seal(tmp_path, seconds=1.5, metrics={"labels": 12})
    file = tmp_path / MANIFEST
    whole = file.read_bytes()
    content = json.loads(whole)
    assert read_manifest(tmp_path)["metrics"] == {"labels": 12}
    file.write_text(json.dumps(content | {"metrics": {"labels": 13}}))
    assert damage(tmp_path) == f"{MANIFEST} is damaged"
    for text in ("", "{", "[]", "null", "\0", json.dumps({"files": 3}), "[" * 100_000):
        file.write_text(text)
        assert damage(tmp_path) == f"{MANIFEST} is damaged"


def test_large_files_are_looked_at_and_read_only_where_they_were_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "SMALL", 100)
    file = tmp_path / "weights"
    file.write_bytes(b"1" * 1000)
    seal(tmp_path)
    changed = file.stat().st_mtime_ns
    file.write_bytes(b"0" * 1000)
    # Clocks of file systems may tick in milliseconds.
    os.utime(file, ns=(changed, changed + 10**9))
    assert damage(tmp_path) == "weights is damaged"
    # As a failing disk does it.
    os.utime(file, ns=(changed, changed))
    assert damage(tmp_path) == ""
    assert damage(tmp_path, full=True) == "weights is damaged"
    # A copy has other times.
    file.write_bytes(b"1" * 1000)
    assert damage(tmp_path) == ""


def at_once(work: Callable[[Path], None], root: Path) -> None:
    """Do some work in four processes at once."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work, args=(root,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


def _make_slowly(root: Path) -> None:
    def make(folder: Path) -> dict[str, Any]:
        with (root / "calls").open("a") as calls:
            calls.write(f"{os.getpid()}\n")
        time.sleep(0.3)
        return write(folder)

    Store(root).make("kind", "key", make)


def _hold_lock(file: Path) -> None:
    with locked(file):
        time.sleep(600)


def _make_for_ever(root: Path) -> None:
    def make(folder: Path) -> dict[str, Any]:
        (root / "calls").touch()
        while True:
            time.sleep(60)

    Store(root).make("kind", "key", make)


def test_of_several_processes_one_makes_and_the_others_take(tmp_path: Path) -> None:
    at_once(_make_slowly, tmp_path)
    assert len((tmp_path / "calls").read_text().split()) == 1


def _write_records(root: Path) -> None:
    for number in range(200):
        Store(root).write_record("uses/one.json", json.dumps({"number": number}).encode())


def test_several_processes_write_one_record(tmp_path: Path) -> None:
    at_once(_write_records, tmp_path)
    assert Store(tmp_path).records("uses") == {"uses/one.json": b'{"number": 199}'}


def test_the_lock_of_a_killed_maker_is_free(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_make_for_ever, args=(tmp_path,))
    process.start()
    while not (tmp_path / "calls").exists():
        assert process.is_alive()
        time.sleep(0.01)
    store = Store(tmp_path)
    assert not store.drop("kind", "key")
    process.kill()
    process.join()
    store.make("kind", "key", write)
    assert store.has("kind", "key") and store.drop("kind", "key")


def test_keys_tell_values_and_kinds_of_dataclasses_apart() -> None:
    assert digest(a=1) != digest(a=2)
    assert digest(annotator=Annotator()) == digest(annotator=Annotator())
    assert digest(annotator=Annotator(temperature=2.0)) != digest(annotator=Annotator())
    with pytest.raises(TypeError, match="cannot hash"):
        digest(a=object())


def test_a_dropped_artifact_is_gone_with_its_work_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for key in ("one", "two"):
        store.make("kind", key, write)
    (store.workdir("kind", "one") / "progress").write_text("half")
    # A maker that was killed left it.
    left = tmp_path / "kind" / ".partial-one-0"
    left.mkdir()
    (left / "half").write_text("half")
    for _ in range(2):
        assert store.drop("kind", "one")
    assert not store.has("kind", "one") and store.has("kind", "two")
    assert [place.name for place in (tmp_path / "kind").iterdir()] == ["two"]
    assert not list((tmp_path / "work").iterdir())


def test_of_two_makers_that_saw_no_lock_of_each_other_the_first_counts(tmp_path: Path) -> None:
    store, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    other.make("kind", "key", write)

    def late(folder: Path) -> dict[str, Any]:
        shutil.copytree(other.folder("kind", "key"), store.folder("kind", "key"))
        return {"count": 4}

    store.make("kind", "key", late)
    assert store.metrics("kind", "key")["count"] == 3
    assert [place.name for place in (store.root / "kind").iterdir()] == ["key"]

    def harmed(folder: Path) -> dict[str, Any]:
        late(folder)
        (store.folder("kind", "key") / "texts.jsonl").unlink()
        return {}

    store.drop("kind", "key")
    with pytest.raises(OSError, match="not empty"):
        store.make("kind", "key", harmed)


@pytest.mark.parametrize("moment", ["before", "while"])
def test_what_is_dropped_while_it_is_looked_at_is_not_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    store = Store(tmp_path)

    def look(folder: Path, *, full: bool = False) -> str:
        store.drop("kind", "key")
        if moment == "while":
            raise FileNotFoundError(2, "No such file or directory")
        return damage(folder, full=full)

    for see in (store.has, store.verify):
        store.make("kind", "key", write)
        with monkeypatch.context() as patch:
            patch.setattr("bench.cache.store.damage", look)
            assert not see("kind", "key")
    assert not caplog.records and not (tmp_path / "damaged").exists()


def test_a_record_that_vanishes_is_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_record("uses/one.json", b"{}")
    (tmp_path / "uses" / "two.json").symlink_to("nowhere")
    assert store.records("uses") == {"uses/one.json": b"{}"}


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS])
def test_a_lock_that_may_only_be_read_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def forbid(file: Path) -> FileLock:
        raise OSError(error, os.strerror(error))

    file = tmp_path / "lock"
    with locked(file), monkeypatch.context() as patch:
        patch.setattr("bench.cache.locks._lock", forbid)
        assert is_locked(file)
    monkeypatch.setattr("bench.cache.locks._lock", forbid)
    assert not is_locked(file)
