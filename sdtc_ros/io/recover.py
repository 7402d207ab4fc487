# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What can still be read of a damaged bag file: records one after another, no index, no summary, no footer needed.

A recorder that was killed leaves an MCAP file without its index or an SQLite file that is shorter than it says; bag
libraries refuse both. MCAP's layout is that of https://mcap.dev/spec (records of one opcode byte, eight length bytes
and the content; chunks hold records of their own, perhaps compressed, and are followed by an index of their messages);
rosbag2's SQLite tables are topics and messages.
"""

from __future__ import annotations

import sqlite3
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from sdtc_ros.errors import InputError

MCAP_MAGIC = b"\x89MCAP0\r\n"
SQLITE_MAGIC = b"SQLite format 3\x00"
_HEADER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _INDEX, _FOOTER = 0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x02
# the decoders raise errors of their own making besides these; damaged bytes must never end a replay
_DAMAGE = (struct.error, ValueError, KeyError, IndexError, EOFError, OSError, RuntimeError, MemoryError)


class Record(NamedTuple):
    """One serialized message; `time` is when it was recorded (nanoseconds).

    data None: the message was recorded and is lost; an empty topic: it is not known how many were lost here.
    """

    topic: str
    type: str
    time: int
    data: bytes | None


LOSS = Record("", "", 0, None)  # messages are lost here, and nobody knows how many


def recover(path: Path, problems: list[str]) -> Iterator[Record]:
    """The records of an .mcap or .db3 file in file order, as far as they can be read.

    What is lost is appended to `problems`, a clause each, and stands among the records at its place (see Record).
    Raises InputError for a file of neither kind, and for one that holds ROS 1 messages.
    """
    with path.open("rb") as file:
        magic = file.read(16)
    if magic.startswith(MCAP_MAGIC):
        return _recover_mcap(path, problems)
    if magic == SQLITE_MAGIC:
        return _recover_sqlite(path, problems)
    raise InputError(f"{path} is not a bag file: it is neither MCAP nor SQLite")


def refuse_ros1(path: Path, profile: str) -> None:
    """Raise InputError where an MCAP file's profile, or a channel's encoding, is ROS 1's."""
    if profile == "ros1":
        raise InputError(
            f"{path} is an MCAP file of ROS 1 messages; convert the original ROS 1 bag with: "
            "rosbags-convert --src BAG.bag --dst FOLDER"
        )


class _Channels:
    """Schemas and channels met so far: which topic and type a message's channel number stands for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.schemas: dict[int, str] = {}
        self.channels: dict[int, tuple[str, str]] = {}

    def take(self, op: int, content: bytes) -> Record | None:
        """Learn from a schema or channel record; a Record where it is a message of a known channel."""
        if op == _SCHEMA:
            self.schemas[struct.unpack_from("<H", content)[0]] = _string(content, 2)
        elif op == _CHANNEL:
            number, schema = struct.unpack_from("<HH", content)
            topic = _string(content, 4)
            refuse_ros1(self._path, _string(content, 8 + len(topic.encode())))
            self.channels[number] = (topic, self.schemas.get(schema, ""))
        elif op == _MESSAGE:
            number, _, time = struct.unpack_from("<HIQ", content)
            if number in self.channels:
                return Record(*self.channels[number], time, content[22:])
        return None


def _string(content: bytes, at: int) -> str:
    (size,) = struct.unpack_from("<I", content, at)
    return content[at + 4 : at + 4 + size].decode()


def _recover_mcap(path: Path, problems: list[str]) -> Iterator[Record]:
    channels, damaged, ended = _Channels(path), 0, False
    given: Counter[tuple[str, int]] | None = None  # the messages of a damaged chunk that could be read
    listed = False  # whether that chunk's index tells which others it held
    size_left = path.stat().st_size
    with path.open("rb") as file:
        file.seek(len(MCAP_MAGIC))
        while len(head := file.read(9)) == 9 and not ended:
            op, size = head[0], int.from_bytes(head[1:], "little")
            if given is not None and op != _INDEX:
                if not listed:
                    yield LOSS
                given, listed = None, False
            if size > size_left:
                size = size_left  # a damaged length; what is read then is short, and the file is over
            if op in (_HEADER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _INDEX):
                content = file.read(size)
                whole, found = len(content) == size and size < size_left, Counter[tuple[str, int]]()
                try:
                    if op == _HEADER:
                        refuse_ros1(path, _string(content, 0))
                    elif op == _INDEX and given is not None and whole:
                        listed = True
                        yield from _lost(channels, content, given)
                    inner = _chunk_records(content) if op == _CHUNK else [(op, content)] if whole else []
                    for inner_op, inner_content in inner:
                        record = channels.take(inner_op, inner_content)
                        if record:
                            found[record.topic, record.time] += 1
                            yield record
                except _DAMAGE:
                    damaged += whole
                    given = found if whole else None
            else:
                ended = op == _FOOTER
                file.seek(size, 1)
    if damaged:
        problems.append(f"{damaged} damaged {'chunk' if damaged == 1 else 'chunks'} of {path.name} could not be read")
    if not ended:
        yield LOSS
        problems.append(f"{path.name} is cut short, it has no end")


def _lost(channels: _Channels, index: bytes, given: Counter[tuple[str, int]]) -> Iterator[Record]:
    """The messages that a chunk's index (of one channel) lists and that are not among those given."""
    number, size = struct.unpack_from("<HI", index)
    if number not in channels.channels:
        yield LOSS
        return
    topic, kind = channels.channels[number]
    for (time,) in sorted(struct.iter_unpack("<Q8x", index[6 : 6 + size // 16 * 16])):
        if given[topic, time]:
            given[topic, time] -= 1
        else:
            yield Record(topic, kind, time, None)


def _chunk_records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(opcode, content) of a chunk's whole records, also where the chunk itself is cut short."""
    _, _, size, crc, name_size = struct.unpack_from("<QQQII", content)
    compression = content[32 : 32 + name_size].decode()
    raw, error = _decompress(content[40 + name_size :], compression, size)
    if not error and len(raw) == size and crc and crc32(raw) != crc:
        error = "checksum"  # which of its records are damaged is not known: none is given
        raw = b""
    at = 0
    while at + 9 <= len(raw):
        end = at + 9 + int.from_bytes(raw[at + 1 : at + 9], "little")
        if end > len(raw):
            break
        yield raw[at], raw[at + 9 : end]
        at = end
    if error or at != size:
        raise ValueError(error or "a record runs beyond the chunk")


def _decompress(data: bytes, compression: str, size: int) -> tuple[bytes, str]:
    """A chunk's content, as much as there is (at most `size` bytes), and what ended it too early."""
    decoder: Any
    if compression == "zstd":
        decoder = zstd().ZstdDecompressor()
    elif compression == "lz4":
        decoder = import_module("lz4.frame").LZ4FrameDecompressor()
    elif compression == "":
        return data, ""
    else:
        raise ValueError(compression)
    out = bytearray()
    try:
        for at in range(0, len(data), 1 << 16):  # piece by piece: what comes before the damage is kept
            if len(out) > size or decoder.eof:
                break
            out += decoder.decompress(data[at : at + (1 << 16)], size + 1 - len(out))
    except Exception as error:  # ZstdError and LZ4's errors share no base
        return bytes(out[:size]), str(error) or "damaged"
    return bytes(out[:size]), ""


def zstd() -> Any:
    """The module of Python 3.14's zstd, or the one that the bag library brings for older ones."""
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def open_sqlite(path: Path) -> sqlite3.Connection:
    """A database file for reading, as it lies there: not locked, not changed, whatever its folder allows."""
    database = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
    database.execute("PRAGMA writable_schema=ON")  # else a file shorter than its header says is refused outright
    return database


def _recover_sqlite(path: Path, problems: list[str]) -> Iterator[Record]:
    database = open_sqlite(path)
    try:
        topics = {number: (name, kind) for number, name, kind in database.execute("SELECT id, name, type FROM topics")}
        # in the order of the table itself: the index on the timestamps lies at the file's end, the part that is lost
        for number, time, data in database.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id"):
            if number in topics and isinstance(time, int) and isinstance(data, bytes):
                yield Record(*topics[number], time, data)
            elif number in topics:
                yield Record(*topics[number], 0, None)
    except (sqlite3.DatabaseError, OverflowError) as error:
        yield LOSS
        problems.append(f"{path.name} is damaged or cut short ({error})")
    finally:
        database.close()
