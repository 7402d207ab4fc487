# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What can still be read of a damaged bag file: records one after another, no index, no summary, no footer needed.

A recorder that was killed leaves an MCAP file without its index or an SQLite file that is shorter than it says; bag
libraries refuse both. MCAP's layout is that of https://mcap.dev/spec (records of one opcode byte, eight length bytes
and the content; chunks hold records of their own, perhaps compressed), rosbag2's SQLite tables are topics and messages.
"""

from __future__ import annotations

import sqlite3
import struct
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from sdtc_ros.errors import InputError

MCAP_MAGIC = b"\x89MCAP0\r\n"
SQLITE_MAGIC = b"SQLite format 3\x00"
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _FOOTER = 0x03, 0x04, 0x05, 0x06, 0x02
# the decoders raise errors of their own making besides these; damaged bytes must never end a replay
_DAMAGE = (struct.error, ValueError, KeyError, IndexError, EOFError, OSError, RuntimeError)


class Record(NamedTuple):
    """One serialized message; `time` is when it was recorded (nanoseconds)."""

    topic: str
    type: str
    time: int
    data: bytes


def salvage(path: Path, problems: list[str]) -> Iterator[Record]:
    """The records of an .mcap or .db3 file in file order, as far as they can be read.

    What is lost is appended to `problems`, a clause each. Raises InputError for a file of neither kind.
    """
    with path.open("rb") as file:
        magic = file.read(16)
    if magic.startswith(MCAP_MAGIC):
        return _salvage_mcap(path, problems)
    if magic == SQLITE_MAGIC:
        return _salvage_sqlite(path, problems)
    raise InputError(f"{path} is no bag file: it begins neither as MCAP nor as SQLite")


class _Channels:
    """Schemas and channels met so far: which topic and type a message's channel number stands for."""

    def __init__(self) -> None:
        self.schemas: dict[int, str] = {}
        self.channels: dict[int, tuple[str, str]] = {}

    def take(self, op: int, content: bytes) -> Record | None:
        """Learn from a schema or channel record; a Record where it is a message of a known channel."""
        if op == _SCHEMA:
            self.schemas[struct.unpack_from("<H", content)[0]] = _string(content, 2)
        elif op == _CHANNEL:
            number, schema = struct.unpack_from("<HH", content)
            self.channels[number] = (_string(content, 4), self.schemas.get(schema, ""))
        elif op == _MESSAGE:
            number, _, time = struct.unpack_from("<HIQ", content)
            if number in self.channels:
                return Record(*self.channels[number], time, content[22:])
        return None


def _string(content: bytes, at: int) -> str:
    (size,) = struct.unpack_from("<I", content, at)
    return content[at + 4 : at + 4 + size].decode()


def _salvage_mcap(path: Path, problems: list[str]) -> Iterator[Record]:
    channels, damaged, ended = _Channels(), 0, False
    with path.open("rb") as file:
        file.seek(len(MCAP_MAGIC))
        while len(head := file.read(9)) == 9 and not ended:
            op, size = head[0], int.from_bytes(head[1:], "little")
            if op in (_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK):
                content = file.read(size)
                whole = len(content) == size
                try:
                    inner = _chunk_records(content) if op == _CHUNK else [(op, content)] if whole else []
                    for inner_op, inner_content in inner:
                        record = channels.take(inner_op, inner_content)
                        if record:
                            yield record
                except _DAMAGE:
                    damaged += whole
            else:
                ended = op == _FOOTER
                file.seek(size, 1)
    if damaged:
        problems.append(f"{damaged} damaged {'chunk' if damaged == 1 else 'chunks'} of {path.name} could not be read")
    if not ended:
        problems.append(f"{path.name} is cut short, it has no end")


def _chunk_records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(opcode, content) of a chunk's whole records, also where the chunk itself is cut short."""
    _, _, size, crc, name_size = struct.unpack_from("<QQQII", content)
    compression = content[32 : 32 + name_size].decode()
    raw = _decompress(content[40 + name_size :], compression)
    if len(raw) == size and crc and crc32(raw) != crc:
        raise ValueError("checksum")
    at = 0
    while at + 9 <= len(raw):
        end = at + 9 + int.from_bytes(raw[at + 1 : at + 9], "little")
        if end > len(raw):
            return
        yield raw[at], raw[at + 9 : end]
        at = end


def _decompress(data: bytes, compression: str) -> bytes:
    """A chunk's content, as much as there is: stream decoders give what a cut stream still holds."""
    decoder: Any
    if compression == "zstd":
        module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
        decoder = import_module(module).ZstdDecompressor()
    elif compression == "lz4":
        decoder = import_module("lz4.frame").LZ4FrameDecompressor()
    elif compression == "":
        return data
    else:
        raise ValueError(compression)
    try:
        return bytes(decoder.decompress(data))
    except Exception as error:  # ZstdError and LZ4's errors share no base
        raise ValueError(str(error)) from error


def _salvage_sqlite(path: Path, problems: list[str]) -> Iterator[Record]:
    database = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
    try:
        database.execute("PRAGMA writable_schema=ON")  # else a file shorter than its header says is refused outright
        topics = {number: (name, kind) for number, name, kind in database.execute("SELECT id, name, type FROM topics")}
        # in the order of the table itself: the index on the timestamps lies at the file's end, the part that is lost
        for number, time, data in database.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id"):
            if number in topics:
                yield Record(*topics[number], time, data)
    except sqlite3.DatabaseError as error:
        problems.append(f"{path.name} is damaged or cut short ({error})")
    finally:
        database.close()
