"""The store at a URL: what is published is whole, and machines share nothing but the URL."""

from __future__ import annotations

import errno
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from bench.cache import lease
from bench.cache.artifact import MANIFEST, damage
from bench.cache.default import default_store
from bench.cache.lease import leased
from bench.cache.objects import Objects
from bench.cache.published import Published
from bench.cache.remote import RemoteStore
from bench.cache.store import Store
from bench.errors import Missing, Unusable

CONTENT = bytes(range(256)) * 40
# Seconds that something may take which happens in moments where nothing else runs.
PATIENCE = 60.0


def write(folder: Path) -> dict[str, Any]:
    (folder / "inner").mkdir()
    (folder / "inner" / "weights").write_bytes(CONTENT)
    (folder / "texts.jsonl").write_text("{}\n")
    return {"count": 3}


def never(folder: Path) -> dict[str, Any]:
    raise AssertionError("it is made a second time")


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"memory://{uuid4().hex}" if request.param == "memory" else f"file://{tmp_path}/url"


@pytest.fixture
def nodes(url: str, tmp_path: Path) -> tuple[RemoteStore, RemoteStore]:
    """Return the store as two machines see it."""
    return RemoteStore(tmp_path / "a", url), RemoteStore(tmp_path / "b", url)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, seconds in (("RENEW", 0.05), ("STALE", 1.0), ("LOOK", 0.02)):
        monkeypatch.setattr(lease, name, seconds)
    yield


Nodes = tuple[RemoteStore, RemoteStore]


def test_what_one_machine_makes_the_other_takes(nodes: Nodes) -> None:
    first, second = nodes
    first.check()
    first.make("kind", "key", write)
    assert second.has("kind", "key")
    second.make("kind", "key", never)
    folder = second.need("kind", "key")
    assert (folder / "inner" / "weights").read_bytes() == CONTENT
    assert damage(folder, full=True) == "" and second.metrics("kind", "key")["count"] == 3
    assert not first.objects.sizes("locks"), "the lease is given up"


def test_what_is_dropped_is_gone_for_all_that_have_no_copy(nodes: Nodes) -> None:
    first, second = nodes
    first.make("kind", "key", write)
    assert second.drop("kind", "key")
    assert not second.has("kind", "key") and not second.objects.sizes("kind")
    with pytest.raises(Missing):
        second.need("kind", "key")


def files_of(objects: Objects) -> dict[str, str]:
    return {name.rpartition("/")[2]: name for name in objects.sizes("kind")}


def truncate(objects: Objects, name: str) -> None:
    objects.write(name, (objects.read(name) or b"")[:-1])


def empty(objects: Objects, name: str) -> None:
    objects.write(name, b"")


def zero(objects: Objects, name: str) -> None:
    content = bytearray(objects.read(name) or b"")
    content[1:3] = b"\0\0"
    objects.write(name, bytes(content))


@pytest.mark.parametrize("harm", [truncate, empty, zero, Objects.remove])
@pytest.mark.parametrize("name", ["weights", "texts.jsonl", MANIFEST])
def test_damage_at_the_url_is_noticed_and_made_again(
    nodes: Nodes,
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[Objects, str], object],
    name: str,
) -> None:
    first, second = nodes
    first.make("kind", "key", write)
    harm(first.objects, files_of(first.objects)[name])
    assert not second.has("kind", "key")
    gone = harm is Objects.remove and name == MANIFEST
    assert gone or "made again" in caplog.text
    second.make("kind", "key", write)
    assert second.verify("kind", "key") == "" and second.has("kind", "key")


def test_a_damaged_copy_is_fetched_again(nodes: Nodes) -> None:
    first, _ = nodes
    first.make("kind", "key", write)
    (first.folder("kind", "key") / "texts.jsonl").write_text("noise")
    first.make("kind", "key", never)
    assert damage(first.need("kind", "key"), full=True) == ""


def test_a_manifest_cannot_name_files_elsewhere(nodes: Nodes, tmp_path: Path) -> None:
    first, second = nodes
    first.make("kind", "key", write)
    name = files_of(first.objects)[MANIFEST]
    text = (first.objects.read(name) or b"").replace(b"texts.jsonl", b"../../../x")
    first.objects.write(name, text)
    assert not second.has("kind", "key") and not list(tmp_path.rglob("x"))


def test_of_two_that_publish_the_first_counts(nodes: Nodes) -> None:
    first, second = nodes

    def slow(folder: Path) -> dict[str, Any]:
        # As if the lease of this one had been taken over.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bench.cache.remote.leased", lambda *_, **__: leased_by_nobody())
            first.make("kind", "key", write)
        (folder / "texts.jsonl").write_text("another\n")
        return {"count": 4}

    second.make("kind", "key", slow)
    for node in nodes:
        assert node.metrics("kind", "key")["count"] == 3
        assert (node.need("kind", "key") / "texts.jsonl").read_text() == "{}\n"
        assert node.verify("kind", "key") == ""
    assert len(first.objects.sizes("kind")) == 3


def leased_by_nobody() -> Any:
    from contextlib import nullcontext

    return nullcontext(True)


@pytest.mark.usefixtures("impatient")
def test_of_two_machines_one_makes_and_the_other_waits(nodes: Nodes) -> None:
    calls: list[Path] = []
    making, tried = threading.Event(), threading.Event()

    def make(folder: Path) -> dict[str, Any]:
        calls.append(folder)
        making.set()
        time.sleep(2.0)  # longer than an unrenewed lease holds
        assert tried.wait(PATIENCE)
        return write(folder)

    threads = [threading.Thread(target=node.make, args=("kind", "key", make)) for node in nodes]
    for thread in threads:
        thread.start()
        # In memory, nothing keeps two threads from creating one object at once.
        assert not nodes[0].url.startswith("memory:") or making.wait(PATIENCE)
    assert making.wait(PATIENCE)
    assert not nodes[0].drop("kind", "key") or not nodes[1].drop("kind", "key")
    tried.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(calls) == 1
    assert all(damage(node.need("kind", "key"), full=True) == "" for node in nodes)


@pytest.mark.usefixtures("impatient")
def test_the_lease_of_a_dead_machine_is_taken_over(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = nodes
    first.objects.write("locks/kind-key", json.dumps({"holder": "dead", "time": 0}).encode())
    started = time.monotonic()
    second.make("kind", "key", write)
    assert time.monotonic() - started >= lease.STALE and second.has("kind", "key")
    # Of one's own machine at once: there the local lock tells that the process has ended.
    lost = json.dumps({"holder": first._holder, "time": time.time()}).encode()
    first.objects.write("locks/kind-other", lost)
    monkeypatch.setattr(lease, "STALE", 600.0)
    started = time.monotonic()
    first.make("kind", "other", write)
    assert time.monotonic() - started < 300


def test_a_machine_that_stood_still_takes_no_lease_of_one_that_did_too(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As two programs on a laptop that was closed, or on a machine that is very busy."""
    objects, now = Objects(url), [0.0]

    def sleep(seconds: float) -> None:
        now[0] += 3600.0
        # The holder renews it after two looks of the other.
        if now[0] == 2 * 3600.0:
            objects.write("locks/one", b'{"holder": "me", "id": "renewed"}')

    clock = SimpleNamespace(monotonic=lambda: now[0], time=time.time, sleep=sleep)
    monkeypatch.setattr(lease, "time", clock)
    objects.write("locks/one", b'{"holder": "me"}')
    with leased(objects, "locks/one", "other", done=lambda: now[0] > 6 * 3600.0) as held:
        assert not held
    # One that is never renewed is taken over, a few looks later.
    with leased(objects, "locks/one", "other") as held:
        assert held and now[0] < 20 * 3600.0


def test_a_lease_is_held_by_one_at_a_time(url: str) -> None:
    objects = Objects(url)
    with leased(objects, "locks/one", "me") as held:
        assert held and not objects.create("locks/one", b"other")
        with leased(objects, "locks/one", "other", done=lambda: True) as held:
            assert not held
    assert objects.create("locks/one", b"other")


@pytest.mark.usefixtures("impatient")
def test_a_lease_that_vanishes_is_held_again_and_one_of_another_is_left(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects, before = Objects(url), {*threading.enumerate()}
    with leased(objects, "locks/one", "me"):
        [renewing] = {*threading.enumerate()} - before
        objects.remove("locks/one")
        wait_for(lambda: objects.read("locks/one") is not None)
        other = json.dumps({"holder": "other", "time": 0}).encode()
        read = Objects.read

        def taken_over(self: Objects, name: str) -> bytes | None:
            # Right before it is looked at: it may be written right after a look, as no store
            # does both at once.
            if threading.current_thread() is renewing:
                self.write(name, other)
            return read(self, name)

        monkeypatch.setattr(Objects, "read", taken_over)
        # It ends when it has seen the other.
        renewing.join(PATIENCE)
        assert not renewing.is_alive() and objects.read("locks/one") == other
    assert objects.read("locks/one") == other


@pytest.mark.usefixtures("impatient")
def test_a_lease_is_renewed_once_there_is_room_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects, failures = Objects(url), []

    def fail(*_: object) -> None:
        failures.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    with leased(objects, "locks/one", "me"):
        with monkeypatch.context() as patch:
            patch.setattr(Objects, "write", fail)
            wait_for(lambda: len(failures) > 1)
        before = objects.read("locks/one")
        wait_for(lambda: objects.read("locks/one") != before)


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_name_that_a_killed_process_left_empty_is_made_anew(nodes: Nodes) -> None:
    first, _ = nodes
    first.root.mkdir(parents=True)
    (first.root / "holder").touch()
    assert first._holder and RemoteStore(first.root, first.url)._holder == first._holder


def test_what_is_whole_at_the_url_by_now_is_not_set_aside(nodes: Nodes) -> None:
    first, second = nodes
    first.make("kind", "key", write)
    second._set_aside_published("kind", "key", "it was damaged before")
    assert second.has("kind", "key")


def test_what_another_makes_is_not_set_aside(nodes: Nodes) -> None:
    first, second = nodes
    first.make("kind", "key", write)
    empty(first.objects, files_of(first.objects)["weights"])
    with leased(first.objects, "locks/kind-key", "other"):
        assert not second.has("kind", "key")
        assert not first.objects.sizes("damaged")
    # Its own lease it keeps.
    with second._leased("kind", "key"):
        assert not second.has("kind", "key")
        assert first.objects.sizes("damaged") and first.objects.sizes("locks")


@pytest.mark.usefixtures("impatient")
def test_damage_is_mended_though_a_machine_died_with_the_lease(nodes: Nodes) -> None:
    first, second = nodes
    first.make("kind", "key", write)
    empty(first.objects, files_of(first.objects)["weights"])
    dead = json.dumps({"holder": "dead", "time": time.time()}).encode()
    first.objects.write("locks/kind-key", dead)
    second.make("kind", "key", write)
    assert second.verify("kind", "key") == "" and second.has("kind", "key")


def test_what_others_fetch_while_it_is_published_is_in_nobodys_way(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = nodes
    publish, seen = Published.publish, []

    def meet(published: Published, whole: Path, kind: str, key: str) -> bool:
        made = publish(published, whole, kind, key)
        fetching.start()
        fetching.join(0.3)
        return made

    fetching = threading.Thread(target=lambda: seen.append(first.has("kind", "key")))
    monkeypatch.setattr(Published, "publish", meet)
    first.make("kind", "key", write)
    fetching.join()
    assert seen == [True] and damage(first.need("kind", "key"), full=True) == ""


def test_what_dead_machines_left_at_the_url_is_cleared(nodes: Nodes) -> None:
    first, second = nodes
    first.make("kind", "key", write)
    kept = set(first.objects.sizes("kind"))
    for name in ("kind/key/0123", "kind/half/0123", "damaged/kind-old"):
        first.objects.write(f"{name}/weights", b"half")
    dead = json.dumps({"holder": "dead", "time": 0}).encode()
    first.objects.write("locks/kind-half", dead)
    with leased(first.objects, "locks/kind-made", "other"):
        first.objects.write("kind/made/0123/weights", b"half")
        second.clear(damaged=True)
        left = set(first.objects.sizes(""))
        assert left == {*kept, "locks/kind-made", "kind/made/0123/weights"}
    assert second.verify("kind", "key") == ""


class Gone(RemoteStore):
    """A store whose URL cannot be reached."""

    @property
    def objects(self) -> Objects:
        return Objects("nowhere://gone")


def test_nothing_that_was_made_is_lost_when_the_url_is_gone(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = nodes

    def make(folder: Path) -> dict[str, Any]:
        monkeypatch.setattr(RemoteStore, "objects", Gone.objects)
        return write(folder)

    with pytest.raises(Unusable, match="nowhere://gone"):
        first.make("kind", "key", make)
    assert "nowhere" in first.problem()
    monkeypatch.undo()
    assert not first.has("kind", "key")
    first.make("kind", "key", never)
    assert second.has("kind", "key") and first.problem() == ""


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nowhere://bucket", "Protocol not known: nowhere"),
        ("http://", "http://"),
        ("s3://no-bucket-of-this-name", "s3://no-bucket"),
        ("file:///proc/nothing/here", "proc/nothing"),
    ],
)
def test_a_wrong_url_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str, words: str
) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", address)
    monkeypatch.setenv("PREFRONTIER_CACHE_COPY", str(tmp_path / "copy"))
    with pytest.raises(Unusable) as caught:
        default_store().check()
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "copy").exists()


def test_the_environment_names_the_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFRONTIER_CACHE", str(tmp_path))
    assert default_store() == Store(tmp_path)
    monkeypatch.setenv("PREFRONTIER_CACHE", "memory://some/where/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store = default_store()
    assert isinstance(store, RemoteStore) and store.address == "memory://some/where"
    assert store.root.parent == tmp_path / "prefrontier"
