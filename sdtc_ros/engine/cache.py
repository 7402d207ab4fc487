# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What is made once on a computer and cached: TensorRT engines, timing caches, verdicts of the accuracy check.

An entry is a file and a JSON file beside it that says in words what the content depends on (`Key`) and its SHA-256.
Whatever does not agree with both is never used. Nothing here must succeed: where the folder cannot be written that is
reported once, and things are made again at the next start.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

FORMAT = 1
Report = Callable[[str], None]  # takes one line for the user
_LEFT = re.compile(r"(.+-[0-9a-f]{20})\.(bin|\d+\.part|lock)$")  # our files that no sidecar names
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """`$SDTC_CACHE`, else `$XDG_CACHE_HOME/sdtc_ros`, else `~/.cache/sdtc_ros`; it need not exist."""
    if chosen := os.environ.get("SDTC_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path("~/.cache").expanduser()) / "sdtc_ros"


@dataclass(frozen=True)
class Key:
    """What an entry is (`what` begins its file's name) and, by name, everything that its content depends on."""

    what: str
    words: Mapping[str, str]

    @property
    def stem(self) -> str:
        """The entry's file name without its suffix."""
        text = json.dumps([FORMAT, self.what, dict(self.words)], sort_keys=True)
        return f"{self.what}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


@dataclass(frozen=True)
class Entry:
    """An entry as the folder shows it; size in bytes, made in seconds since the epoch."""

    stem: str
    what: str
    words: Mapping[str, str]
    size: int
    made: float


class Cache:
    """A folder of entries, shared by any number of processes."""

    def __init__(self, folder: Path | None = None, report: Report = _log.warning) -> None:
        """folder: `cache_folder()` unless it is given; report: called with each line for the user."""
        self.folder = folder or cache_folder()
        self._report = report
        self._said: set[str] = set()

    def obtain(self, key: Key, build: Callable[[], bytes], *, explain: bool = True) -> bytes:
        """The entry's content, built where none fits; of several processes that want it one builds, the others wait.

        explain: report why a cached entry does not match; not for what is made in seconds, where nobody needs to know.
        """
        content = self.read(key)
        if content is None:
            if explain:
                self._explain(key)
            with self.alone(key):
                content = self.read(key)  # somebody may have built it meanwhile
                if content is None:
                    content = build()
                    self._write(key, content)
        return content

    def read(self, key: Key) -> bytes | None:
        """The entry's content, or None where there is none or it is damaged, which is reported."""
        sidecar = _sidecar(self.folder / f"{key.stem}.json")
        if sidecar is None:
            return None
        try:
            content = (self.folder / f"{key.stem}.bin").read_bytes()
        except OSError as error:
            self._say(f"{key.what}: cannot read the entry in '{self.folder}' ({error.strerror}); ignored")
            return None
        same = sidecar.get("what") == key.what and sidecar.get("words") == dict(key.words)
        if not same or sidecar.get("sha256") != hashlib.sha256(content).hexdigest():
            self._say(f"{key.what}: the entry in '{self.folder}' is damaged and ignored")
            return None
        return content

    def write(self, key: Key, content: bytes) -> None:
        """Keep the content; where that fails it is reported once, and nothing is left behind."""
        with self.alone(key):
            self._write(key, content)

    def _write(self, key: Key, content: bytes) -> None:
        sidecar = {
            "format": FORMAT, "what": key.what, "words": dict(key.words), "sha256": hashlib.sha256(content).hexdigest(),
        }  # fmt: skip
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_whole(self.folder / f"{key.stem}.bin", content)
            _write_whole(self.folder / f"{key.stem}.json", json.dumps(sidecar, indent=2).encode())
        except OSError as error:
            self._cannot_keep(error)

    def folder_for(self, key: Key) -> Path | None:
        """A folder for what another program keeps under this key, or None (and a report) where there can be none."""
        folder = self.folder / key.stem
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not os.access(folder, os.W_OK):
                raise PermissionError(13, "it cannot be written")
            words = {"format": FORMAT, "what": key.what, "words": dict(key.words), "folder": True}
            _write_whole(self.folder / f"{key.stem}.json", json.dumps(words, indent=2).encode())
        except OSError as error:
            self._cannot_keep(error)
            return None
        return folder

    def discard(self, key: Key) -> None:
        """Forget an entry that turned out not to be usable."""
        self._remove(key.stem)

    def entries(self) -> list[Entry]:
        """All entries, the newest first."""
        found = []
        for path in self.folder.glob("*.json"):
            sidecar = _sidecar(path)
            if sidecar is not None:
                parts = [path.with_suffix(".bin"), *(self.folder / path.stem).rglob("*")]
                size = sum(part.stat().st_size for part in parts if part.is_file())
                found.append(Entry(path.stem, sidecar["what"], sidecar["words"], size, path.stat().st_mtime))
        return sorted(found, key=lambda entry: -entry.made)

    def clear(self) -> list[Entry]:
        """Remove all entries, and nothing else that may lie in the folder; returns those that are gone."""
        entries = self.entries()
        for entry in entries:
            self._remove(entry.stem)
        for left in self.folder.glob("*"):  # of processes that were killed while they wrote
            if ours := _LEFT.match(left.name):
                _remove_idle(left, self.folder / f"{ours[1]}.lock")
        kept = {entry.stem for entry in self.entries()}
        return [entry for entry in entries if entry.stem not in kept]

    def _remove(self, stem: str) -> None:
        for name in (f"{stem}.json", f"{stem}.bin"):
            with suppress(OSError):
                (self.folder / name).unlink()
        shutil.rmtree(self.folder / stem, ignore_errors=True)

    @contextmanager
    def alone(self, key: Key) -> Iterator[None]:
        """Alone, among all processes, with this key; others wait and say so. Where there can be no lock, without."""
        path = self.folder / f"{key.stem}.lock"
        stream = self._locked(key, path)
        if stream is None:
            yield  # cannot write to the cache here, so there is nobody to wait for
            return
        with stream:  # closing it ends the lock; so does the end of the process, however it comes
            try:
                yield
            finally:
                with suppress(OSError):
                    path.unlink()  # while it is ours: who waits for it sees that it is gone, and makes another

    def _locked(self, key: Key, path: Path) -> IO[str] | None:
        """The lock file, locked and still in its place; None where there can be none."""
        import fcntl

        while True:
            try:
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                stream = path.open("w")
            except OSError:
                return None
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._report(f"{key.what}: another process is building it; waiting for that")
                fcntl.flock(stream, fcntl.LOCK_EX)
            except OSError as error:
                _log.debug("no lock in '%s': %s", self.folder, error)  # some network file systems have none
                return stream
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                    return stream
            stream.close()

    def _explain(self, key: Key) -> None:
        """Report why the cached entries of that name do not match, if there are any."""
        others = [entry.words for entry in self.entries() if entry.what == key.what]
        if not others:
            return
        differences = [
            [f"{name} {_short(words.get(name, 'unknown'))}, now {_short(value)}" for name, value in key.words.items()
             if words.get(name) != value]
            for words in others
        ]  # fmt: skip
        nearest = min(differences, key=len)
        if nearest:
            self._report(f"{key.what}: the cached entry does not match ({'; '.join(nearest)}); rebuilding it")

    def _cannot_keep(self, error: OSError) -> None:
        self._say(
            f"cannot write to the cache '{self.folder}' ({error.strerror}): engines are rebuilt at every start; "
            "free some space there, or set SDTC_CACHE to another folder"
        )

    def _say(self, text: str) -> None:
        """Report, once."""
        if text not in self._said:
            self._said.add(text)
            self._report(text)


def _short(value: str) -> str:
    """A hash's beginning, anything else whole."""
    return value[:12] if len(value) == 64 else value


def _sidecar(path: Path) -> dict[str, Any] | None:
    """The JSON beside an entry, or None where it is none of ours."""
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(sidecar, dict) and sidecar.get("format") == FORMAT
    return sidecar if ours and isinstance(sidecar.get("words"), dict) and isinstance(sidecar.get("what"), str) else None


def _remove_idle(path: Path, lock: Path) -> None:
    """Remove a file, unless a process holds the lock of its entry."""
    import fcntl

    with suppress(OSError), ExitStack() as held:
        if lock.exists():
            stream = held.enter_context(lock.open("rb"))
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            except OSError as error:
                _log.debug("no lock in '%s': %s", lock.parent, error)
        path.unlink()


def _write_whole(path: Path, content: bytes) -> None:
    """Replace a file so that at no moment, and after no crash, half of it is there; raises OSError."""
    partial = path.with_name(f"{path.stem}.{os.getpid()}.part")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
