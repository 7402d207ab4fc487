# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The cache: what fits is used, what does not is said and made anew, whoever else is at it or was killed at it."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import stat
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from sdtc_ros.engine import cache as module
from sdtc_ros.engine.cache import Cache, Key, cache_folder
from sdtc_ros.errors import UsageError

KEY = Key("encoder.fp16", {"bundle": "b1", "gpu": "Orin", "tensorrt": "10.3.0"})
FORK = multiprocessing.get_context("fork")


def make(folder: Path) -> tuple[Cache, list[str]]:
    """A cache and what it told the user."""
    lines: list[str] = []
    return Cache(folder, lines.append), lines


def never() -> bytes:
    """A builder that must not be asked."""
    raise AssertionError("built again")


def builder(content: bytes, calls: list[bytes]) -> Callable[[], bytes]:
    """A builder that counts."""

    def build() -> bytes:
        calls.append(content)
        return content

    return build


def test_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SDTC_CACHE, then the XDG folder (absolute only, as its specification says), then ~/.cache."""
    monkeypatch.setenv("HOME", "/home/robot")
    monkeypatch.delenv("SDTC_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path("/home/robot/.cache/sdtc_ros")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path("/home/robot/.cache/sdtc_ros")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/robot")
    assert cache_folder() == Path("/var/cache/robot/sdtc_ros")
    monkeypatch.setenv("SDTC_CACHE", "~/engines")
    assert cache_folder() == Path("/home/robot/engines")


def test_built_once(tmp_path: Path) -> None:
    """The second start builds nothing and says nothing."""
    cache, lines = make(tmp_path / "new" / "folder")
    assert cache.obtain(KEY, lambda: b"engine") == b"engine"
    again, more = make(tmp_path / "new" / "folder")
    assert again.obtain(KEY, never) == b"engine"
    assert lines == more == []
    assert stat.S_IMODE((tmp_path / "new" / "folder").stat().st_mode) == 0o700
    told = json.loads((tmp_path / "new" / "folder" / f"{KEY.stem}.json").read_text())
    assert told["words"] == dict(KEY.words)


@pytest.mark.parametrize("name", ["bundle", "gpu", "tensorrt"])
def test_another_gpu_version_or_bundle_is_said_and_built_anew(tmp_path: Path, name: str) -> None:
    """The old engine is never loaded, and the user learns what differs."""
    cache, lines = make(tmp_path)
    cache.obtain(KEY, lambda: b"old")
    other = Key(KEY.what, {**KEY.words, name: "changed"})
    assert cache.obtain(other, lambda: b"new") == b"new"
    assert lines == [
        f"encoder.fp16: the cached entry does not match ({name} {KEY.words[name]}, now changed); rebuilding it"
    ]
    assert (cache.obtain(KEY, never), cache.obtain(other, never)) == (b"old", b"new")
    third = Key(KEY.what, {**KEY.words, name: "changed again"})
    assert cache.obtain(third, lambda: b"third", explain=False) == b"third"
    assert len(lines) == 1


def damage_content(folder: Path) -> None:
    (folder / f"{KEY.stem}.bin").write_bytes(b"enginf")


def cut_content(folder: Path) -> None:
    (folder / f"{KEY.stem}.bin").write_bytes(b"eng")


def damage_words(folder: Path) -> None:
    path = folder / f"{KEY.stem}.json"
    path.write_text(path.read_text().replace("Orin", "H200"))


def replace_by_folder(folder: Path) -> None:
    (folder / f"{KEY.stem}.bin").unlink()
    (folder / f"{KEY.stem}.bin").mkdir()


@pytest.mark.parametrize("damage", [damage_content, cut_content, damage_words])
def test_damage_is_said_and_mended(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Whatever does not agree with its hash and its key is not loaded."""
    cache, lines = make(tmp_path)
    cache.obtain(KEY, lambda: b"engine")
    damage(tmp_path)
    assert cache.obtain(KEY, lambda: b"engine") == b"engine"
    assert "is damaged and ignored" in lines[0] and not any("damaged" in line for line in lines[1:])
    assert Cache(tmp_path).obtain(KEY, never) == b"engine"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 99}', '{"format": 1, "what": 3, "words": {}}'])
def test_a_sidecar_that_is_none(tmp_path: Path, text: str) -> None:
    """Without its words an engine is not used, and the words of others break nothing."""
    cache, _ = make(tmp_path)
    cache.obtain(KEY, lambda: b"engine")
    (tmp_path / f"{KEY.stem}.json").write_text(text)
    (tmp_path / "notes.json").write_text(text)
    assert cache.read(KEY) is None
    assert cache.entries() == []
    assert cache.obtain(KEY, lambda: b"new") == b"new"


def test_what_cannot_be_read_is_made_but_not_lost(tmp_path: Path) -> None:
    """A folder where the file should be: said, and the engine is there all the same."""
    cache, lines = make(tmp_path)
    cache.obtain(KEY, lambda: b"engine")
    replace_by_folder(tmp_path)
    assert cache.obtain(KEY, lambda: b"engine") == b"engine"
    assert "cannot read the entry" in lines[0]
    assert "cannot write to the cache" in lines[1]


def test_no_room_is_said_once_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: the engine is used, the next start builds it again."""
    cache, lines = make(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    assert cache.obtain(KEY, lambda: b"one") == b"one"
    assert cache.obtain(Key("temporal", {}), lambda: b"two") == b"two"
    assert len(lines) == 1
    assert "(No space left on device): engines are rebuilt at every start" in lines[0]
    assert "SDTC_CACHE" in lines[0]
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """A file in its way (root may write everywhere, so permissions show nothing in a container)."""
    (tmp_path / "file").write_text("")
    cache, lines = make(tmp_path / "file" / "cache")
    assert cache.obtain(KEY, lambda: b"engine") == b"engine"
    assert cache.folder_for(Key("ort", {})) is None
    assert cache.entries() == cache.clear() == []
    assert len(lines) == 1
    assert lines[0].startswith(f"cannot write to the cache '{tmp_path}/file/cache'")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_still_read(tmp_path: Path) -> None:
    """An image may ship its engines."""
    Cache(tmp_path).obtain(KEY, lambda: b"engine")
    tmp_path.chmod(0o500)
    try:
        cache, lines = make(tmp_path)
        assert cache.obtain(KEY, never) == b"engine"
        assert cache.obtain(Key("temporal", {}), lambda: b"new") == b"new"
        assert len(lines) == 1
    finally:
        tmp_path.chmod(0o700)


def test_a_build_that_fails_or_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    """The next one is not held up by it."""
    cache, _ = make(tmp_path)
    for error in (UsageError("no memory"), KeyboardInterrupt()):

        def build(error: BaseException = error) -> bytes:
            raise error

        with pytest.raises(type(error)):
            cache.obtain(KEY, build)
        assert not [*tmp_path.iterdir()]
    assert cache.obtain(KEY, lambda: b"engine") == b"engine"


def build_in_a_process(folder: Path, begun: Event, go: Event, lines: Queue, number: int) -> None:
    """Obtain the engine; building takes until `go`, and the content says who built it."""

    def build() -> bytes:
        begun.set()
        go.wait(60)
        return b"built by %d" % number

    lines.put(Cache(folder, lines.put).obtain(KEY, build))


def test_two_processes_build_once(tmp_path: Path) -> None:
    """The second waits, says so, and uses the first's."""
    begun, go, lines = FORK.Event(), FORK.Event(), FORK.Queue()
    processes = [FORK.Process(target=build_in_a_process, args=(tmp_path, begun, go, lines, i)) for i in (1, 2)]
    processes[0].start()
    assert begun.wait(60)
    processes[1].start()
    assert lines.get(timeout=60) == "encoder.fp16: another process is building it; waiting for that"
    go.set()
    assert [lines.get(timeout=60) for _ in processes] == [b"built by 1", b"built by 1"]
    for process in processes:
        process.join(60)


def test_a_killed_builder_holds_nobody_up(tmp_path: Path) -> None:
    """kill -9 in the middle: the lock goes with the process, and the one that waits builds."""
    begun, never_set, go, lines = FORK.Event(), FORK.Event(), FORK.Event(), FORK.Queue()
    first = FORK.Process(target=build_in_a_process, args=(tmp_path, begun, never_set, FORK.Queue(), 1))
    first.start()
    assert begun.wait(60)
    go.set()
    second = FORK.Process(target=build_in_a_process, args=(tmp_path, FORK.Event(), go, lines, 2))
    second.start()
    assert "waiting" in lines.get(timeout=60)
    os.kill(first.pid or 0, signal.SIGKILL)
    assert lines.get(timeout=60) == b"built by 2"
    first.join(60)
    second.join(60)


@pytest.mark.slow
def test_many_at_once_never_see_half(tmp_path: Path) -> None:
    """Writers that replace the same entry, and a reader that looks at it all the time."""
    processes = [FORK.Process(target=write_often, args=(tmp_path, bytes([65 + i]) * 200_000)) for i in range(2)]
    for process in processes:
        process.start()
    cache, lines = make(tmp_path)
    while any(process.is_alive() for process in processes):
        content = cache.read(KEY)
        assert content is None or set(content) in ({65}, {66})
    assert cache.write(KEY, b"end") is None
    assert cache.read(KEY) == b"end"
    assert all("damaged" in line for line in lines)  # content and words of two writers, seen between two renames


def write_often(folder: Path, content: bytes) -> None:
    for _ in range(30):
        Cache(folder).write(KEY, content)


def test_without_locks_it_builds_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems know no locks."""
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    calls: list[bytes] = []
    cache, lines = make(tmp_path)
    cache.obtain(KEY, builder(b"engine", calls))
    assert (cache.obtain(KEY, never), calls, lines) == (b"engine", [b"engine"], [])


def test_entries_and_clear(tmp_path: Path) -> None:
    """Everything of ours goes, what is not ours stays."""
    cache, _ = make(tmp_path)
    cache.obtain(KEY, lambda: b"12345")
    folder = cache.folder_for(Key("ort", {"gpu": "Orin"}))
    assert folder is not None
    (folder / "engine.profile").write_bytes(b"123")
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / f"{Key('killed', {}).stem}.17.part").write_bytes(b"half")
    (tmp_path / f"{Key('killed', {}).stem}.bin").write_bytes(b"no sidecar")
    assert {entry.what: entry.size for entry in cache.entries()} == {"encoder.fp16": 5, "ort": 3}
    assert len(cache.clear()) == 2
    assert cache.entries() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package.json", "photo.jpg"]


def test_clear_leaves_what_another_process_is_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A builder's lock, the file that it writes, and what lies there before its words do."""
    began, go, lines = FORK.Event(), FORK.Event(), FORK.Queue()
    process = FORK.Process(target=build_in_a_process, args=(tmp_path, began, go, lines, 1))
    process.start()
    assert began.wait(60)
    (tmp_path / f"{KEY.stem}.bin").write_bytes(b"half an entry")
    cache, _ = make(tmp_path)
    cache.clear()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".bin", ".lock"]
    go.set()
    assert lines.get(timeout=60) == b"built by 1"
    process.join(60)
    monkeypatch.setattr(module.os, "fsync", lambda _: Cache(tmp_path).clear())  # in the middle of writing
    cache.write(Key("timing", {}), b"timings")
    assert cache.read(Key("timing", {})) == b"timings"


def test_a_lock_is_gone_after_it_and_whoever_waited_is_alone(tmp_path: Path) -> None:
    """The next in turn does not take the removed file for its lock, while a third makes another."""
    events = [(FORK.Event(), FORK.Event()) for _ in range(3)]
    lines = FORK.Queue()
    processes = [FORK.Process(target=hold_alone, args=(tmp_path, *pair, lines)) for pair in events]
    processes[0].start()
    assert events[0][0].wait(60)
    processes[1].start()
    assert "waiting" in lines.get(timeout=60)
    events[0][1].set()
    assert events[1][0].wait(60)
    processes[2].start()
    assert "waiting" in lines.get(timeout=60)
    assert not events[2][0].is_set()
    for _, go in events[1:]:
        go.set()
    for process in processes:
        process.join(60)
    assert events[2][0].is_set() and not [*tmp_path.iterdir()]


def hold_alone(folder: Path, began: Event, go: Event, lines: Queue) -> None:
    with Cache(folder, lines.put).alone(KEY):
        began.set()
        go.wait(60)


def test_discard(tmp_path: Path) -> None:
    """An engine that TensorRT refuses is forgotten."""
    cache, lines = make(tmp_path)
    cache.obtain(KEY, lambda: b"refused")
    cache.discard(KEY)
    assert (cache.obtain(KEY, lambda: b"new"), lines) == (b"new", [])
