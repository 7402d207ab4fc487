# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""One storage file of a rosbag2: made plain where it is compressed, counted, and read message by message.

A part that is compressed as a whole, or an SQLite file with a write-ahead log that its recorder never folded in, is
first made a plain file in a temporary folder. MCAP files are read by the bag library and, past damage, by `recover`.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sdtc_ros.errors import InputError
from sdtc_ros.io.recover import LOSS, MCAP_MAGIC, SQLITE_MAGIC, Record, open_sqlite, recover, refuse_ros1, zstd

STORAGE_SUFFIXES = (".mcap", ".db3")
PACKED_SUFFIXES = (".zstd", ".zst")
_LARGEST = 1 << 30  # bytes that one message may unpack to
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
Key = tuple[str, str]  # a topic and its message type


@dataclass
class Part:
    """A storage file: `file` can be read (None: it is missing), `counts` messages by topic and type, as it says.

    whole: it has its index; span: times of its first and last message (nanoseconds), or None; segments: of a part that
    is not whole, the messages between the places where an unknown number is lost.
    """

    name: str
    file: Path | None
    counts: Counter[Key] = field(default_factory=Counter)
    whole: bool = False
    span: tuple[int, int] | None = None
    segments: list[Counter[Key]] = field(default_factory=list)

    def widen(self, first: int, last: int) -> None:
        """Let the span hold these times too."""
        self.span = (min(first, self.span[0]), max(last, self.span[1])) if self.span else (first, last)


class Scratch:
    """A temporary folder that is made when it is needed and removed with this object."""

    def __init__(self) -> None:
        self._path: Path | None = None

    def path(self, name: str) -> Path:
        """The path of a file in it."""
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="sdtc-bag-"))
            weakref.finalize(self, shutil.rmtree, self._path, True)
        return self._path / name


def plain_name(name: str) -> str:
    """The name of a storage file without the ending that says it is compressed."""
    return name[: -len(PurePosixPath(name).suffix)] if name.endswith(PACKED_SUFFIXES) else name


def open_part(name: str, source: Path | None, scratch: Scratch, problems: list[str]) -> Part:
    """A part whose messages are counted; source: where it lies, or None where it is missing.

    Raises InputError for a file that may not be read or unpacked, and for ROS 1 messages.
    """
    if source is None:
        return Part(name, None)
    try:
        file = _plain_file(source, scratch, problems)
        part = Part(name, file)
        if not _is_storage(file):
            problems.append(f"{source.name} is not a bag file: it is neither MCAP nor SQLite")
            return Part(name, None)
        try:
            (_count_sqlite if _is_sqlite(file) else _count_mcap)(part)
            part.whole = True
        except InputError:
            raise
        except Exception:  # whatever the libraries trip over in a damaged file, the records may be whole
            _count_recovered(part)
    except PermissionError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}") from error
    return part


def _plain_file(source: Path, scratch: Scratch, problems: list[str]) -> Path:
    """The part as a plain storage file: itself, or a copy that is unpacked or holds what lies in a write-ahead log."""
    plain = plain_name(source.name)
    try:
        if source.name != plain:
            target = scratch.path(plain)
            reason = _unpack(source, target)
            if reason:
                problems.append(f"{source.name} could be unpacked in part only ({reason})")
            return target
        logs = [source.with_name(source.name + ending) for ending in ("-wal", "-journal")]
        if any(log.is_file() and log.stat().st_size for log in logs):
            return _folded(source, logs, scratch)
        if source.suffix not in STORAGE_SUFFIXES:  # the bag library goes by the name
            target = scratch.path(plain + ".mcap")
            target.symlink_to(source.resolve())
            return target
    except PermissionError:
        raise
    except OSError as error:
        raise InputError(
            f"{source} cannot be unpacked into {tempfile.gettempdir()}: {error.strerror or error}; "
            "set TMPDIR to a folder with more space"
        ) from error
    return source


def _unpack(source: Path, target: Path) -> str:
    """Write what a zstd file holds as far as it can be read; returns what ended it too early, or ''."""
    decoder, begun = zstd().ZstdDecompressor(), False
    with source.open("rb") as file, target.open("wb") as out:
        while piece := file.read(1 << 16):
            try:
                while piece:
                    out.write(decoder.decompress(piece))
                    begun, piece = True, b""
                    if decoder.eof:  # a file may hold several frames, one after another
                        piece, decoder, begun = decoder.unused_data, zstd().ZstdDecompressor(), False
            except OSError:
                raise
            except Exception as error:  # ZstdError
                return str(error)
    return "it is cut short" if begun else ""


def _folded(source: Path, logs: list[Path], scratch: Scratch) -> Path:
    """A copy of an SQLite file into which SQLite has put what its write-ahead log or journal holds."""
    target = scratch.path(source.name)
    for file in (source, *logs):
        if file.is_file():
            shutil.copyfile(file, target.with_name(file.name))
    try:
        with sqlite3.connect(target) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            database.execute("SELECT count(*) FROM sqlite_master").fetchall()
        database.close()
    except sqlite3.DatabaseError:
        shutil.copyfile(source, target)  # the log does not fit: as the file lies there
    return target


def _count_sqlite(part: Part) -> None:
    assert part.file is not None
    database = open_sqlite(part.file)
    try:
        rows = database.execute(
            "SELECT name, type, count(messages.id), min(timestamp), max(timestamp) FROM topics "
            "LEFT JOIN messages ON topics.id = messages.topic_id GROUP BY topics.id"
        ).fetchall()
    finally:
        database.close()
    for name, kind, count, first, last in rows:
        part.counts[str(name), str(kind)] += int(count)
        if count:
            part.widen(int(first), int(last))


def _count_mcap(part: Part) -> None:
    from rosbags.rosbag2 import Reader

    assert part.file is not None
    with Reader(part.file) as reader:
        for connection in reader.connections:
            refuse_ros1(part.file, getattr(connection.ext, "serialization_format", ""))
            part.counts[connection.topic, connection.msgtype or ""] += connection.msgcount
        if reader.message_count:
            part.widen(reader.start_time, reader.end_time - 1)


def _count_recovered(part: Part) -> None:
    assert part.file is not None
    part.segments = [Counter()]
    for record in recover(part.file, []):
        if record == LOSS:
            part.segments.append(Counter())
        else:
            part.segments[-1][record.topic, record.type] += 1
            part.widen(record.time, record.time)
    part.counts = sum(part.segments, Counter())


def part_records(part: Part, key: Key, problems: list[str]) -> Iterator[Record]:
    """A part's messages of a topic and type in order of recording; past damage, those that can still be found."""
    if part.file is None:
        yield LOSS
        return
    given = Counter[int]()
    if part.whole:
        try:
            for record in _sqlite_records(part.file, key) if _is_sqlite(part.file) else _mcap_records(part.file, key):
                yield record
                given[record.time] += 1
            return
        except Exception:  # damage in the middle surfaces as any kind of error
            part.whole = False
    for record in recover(part.file, problems):
        if record == LOSS:
            yield LOSS
        elif (record.topic, record.type) == key:
            if given[record.time]:
                given[record.time] -= 1
            else:
                yield record


def _is_storage(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(16).startswith((MCAP_MAGIC, SQLITE_MAGIC))


def _is_sqlite(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def _mcap_records(file: Path, key: Key) -> Iterator[Record]:
    from rosbags.rosbag2 import Reader

    with Reader(file) as reader:
        connections = [c for c in reader.connections if (c.topic, c.msgtype or "") == key]
        if connections:  # none would mean all
            for _, time, data in reader.messages(connections):
                yield Record(*key, time, data)


def _sqlite_records(file: Path, key: Key) -> Iterator[Record]:
    database = open_sqlite(file)
    try:
        rows = database.execute(
            "SELECT messages.id, timestamp FROM messages JOIN topics ON topics.id = messages.topic_id "
            "WHERE name = ? AND type = ? ORDER BY timestamp, messages.id", key,
        ).fetchall()  # fmt: skip
        for number, time in rows:
            try:
                (data,) = database.execute("SELECT data FROM messages WHERE id = ?", (number,)).fetchone()
            except (sqlite3.DatabaseError, TypeError):
                data = None
            yield Record(*key, int(time), data if isinstance(data, bytes) else None)
    finally:
        database.close()


def unpacked(record: Record) -> Record:
    """The record with its data unpacked where its bag compresses message by message; lost where that fails."""
    if record.data is None or record.data[:4] != _ZSTD_MAGIC:  # serialized data begin with a zero
        return record
    try:
        decoder = zstd().ZstdDecompressor()
        data = bytes(decoder.decompress(record.data, _LARGEST))
        return record._replace(data=data if decoder.eof else None)
    except Exception:  # ZstdError
        return record._replace(data=None)
