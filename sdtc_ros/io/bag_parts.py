# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The storage files of a rosbag2 and its metadata.yaml: which parts are announced, which are there, what each holds.

Every part is read by itself, so that a missing or damaged one costs its own messages only, and no text in
metadata.yaml decides which messages belong to a topic.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sdtc_ros.apple_double import is_apple_double, without_apple_double
from sdtc_ros.errors import InputError
from sdtc_ros.io.part_files import PACKED_SUFFIXES, STORAGE_SUFFIXES, Key, Part, Scratch, open_part, plain_name
from sdtc_ros.io.recover import MCAP_MAGIC


@dataclass
class Metadata:
    """What metadata.yaml announces: its files, and the number of messages by topic and type."""

    files: list[str] = field(default_factory=list)
    counts: dict[Key, int] = field(default_factory=dict)
    by_file: dict[str, int] = field(default_factory=dict)


def is_storage_file(path: Path) -> bool:
    """Whether it looks like a bag's storage file: by its name, compressed or not, or by its first bytes."""
    if plain_name(path.name).endswith(STORAGE_SUFFIXES):
        return not is_apple_double(path)
    try:
        with path.open("rb") as file:
            return file.read(8) == MCAP_MAGIC
    except OSError:
        return False


def storage_files(path: Path) -> list[Path]:
    """The storage files of a bag (a folder, or one such file itself), in recording order; none: it is no bag.

    Of a part that is there both plain and compressed, the plain one is taken.
    """
    if not path.is_dir():
        return [path] if is_storage_file(path) else []
    named = [file for file in without_apple_double(path.iterdir()) if plain_name(file.name).endswith(STORAGE_SUFFIXES)]
    names = {file.name for file in named}
    found = [file for file in named if file.suffix not in PACKED_SUFFIXES or file.stem not in names]
    return sorted(found, key=lambda file: (len(plain_name(file.name)), file.name))  # bag_10 comes after bag_9


def read_metadata(folder: Path, problems: list[str]) -> Metadata | None:
    """What metadata.yaml announces, or None where there is none; a clause in `problems` where it cannot be read.

    Raises InputError where it may not be read.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path = folder / "metadata.yaml"
    if not path.is_file():
        return None
    try:
        about = YAML(typ="safe").load(path.read_text(encoding="utf-8"))["rosbag2_bagfile_information"]
        counts = Counter[Key]()
        for topic in about["topics_with_message_count"]:
            key = str(topic["topic_metadata"]["name"]), str(topic["topic_metadata"]["type"])
            counts[key] += int(topic["message_count"])
        files = [PurePosixPath(str(name).replace("\\", "/")).name for name in about["relative_file_paths"]]
        listed = about.get("files") or []
        by_file = {PurePosixPath(str(entry["path"])).name: int(entry["message_count"]) for entry in listed}
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (OSError, UnicodeDecodeError, YAMLError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        problems.append("metadata.yaml is damaged; the files beside it were read without it")
        return None
    if sum(by_file.values()) != sum(counts.values()):
        by_file = {}
    return Metadata(files, dict(counts), by_file)


def find_parts(path: Path, metadata: Metadata | None, scratch: Scratch, problems: list[str]) -> list[Part]:
    """The parts of a bag in recording order, opened so far that their messages are counted.

    Parts that are announced and missing are among them; a difference between announced and found is a clause in
    `problems`. Raises InputError where a file may not be read.
    """
    there = {file.name: file for file in storage_files(path)}
    listed = [name for name in metadata.files if name] if metadata else []
    alike = {plain_name(name): name for name in there}  # a part may have been unpacked after the recording
    names = [name if name in there else alike.get(plain_name(name), name) for name in listed]
    missing = [name for name in names if name not in there]
    unlisted = [name for name in there if name not in names]
    if path.is_dir() and not metadata:
        gaps = _gaps(list(there))
        names, missing, unlisted = sorted([*there, *gaps], key=lambda name: (len(plain_name(name)), name)), gaps, []
    if missing:
        source = "metadata.yaml lists" if metadata else "the others' numbers tell of"
        problems.append(f"{_several('part', missing)} that {source} {'is' if len(missing) == 1 else 'are'} missing")
    if unlisted and metadata:
        problems.append(f"{_several('part', unlisted)} not listed in metadata.yaml {_was(unlisted)} read as well")
    return [open_part(name, there.get(name), scratch, problems) for name in [*names, *unlisted]]


def _gaps(names: list[str]) -> list[str]:
    """The names that are missing in the numbering of parts (rec_0, rec_2: rec_1), where all are numbered alike."""
    parsed = [re.fullmatch(r"(.*_)(\d+)(\..*)", name) for name in names]
    if not all(parsed) or len({match[1] for match in parsed if match}) != 1:
        return []
    numbers = {int(match[2]): match[3] for match in parsed if match}
    if max(numbers, default=0) > 10 * len(numbers) + 100:  # a date, not a number
        return []
    stem = next(match[1] for match in parsed if match)
    ending = next(iter(numbers.values()))
    return [f"{stem}{n}{ending}" for n in range(max(numbers, default=0)) if n not in numbers]


def _several(what: str, names: list[str]) -> str:
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"{what if len(names) == 1 else f'{len(names)} {what}s'} {shown}"


def _was(names: list[str]) -> str:
    return "was" if len(names) == 1 else "were"


def gap_lengths(parts: list[Part], key: Key, metadata: Metadata | None) -> list[list[int | None]]:
    """How many messages of a topic each LOSS among each part's records stands for; None where that is not known.

    Known are a single gap, from the number announced, and one gap a part where the parts' own numbers are announced.
    """
    sizes = [[segment[key] for segment in part.segments] or [part.counts[key]] for part in parts]
    gaps: list[list[int | None]] = [
        [None] * (1 if part.file is None else len(row) - 1) for part, row in zip(parts, sizes, strict=True)
    ]
    announced = metadata.counts.get(key, 0) if metadata else None
    lost = -1 if announced is None else announced - sum(map(sum, sizes))
    if lost < 0:
        return gaps
    groups, in_gap = 0, False
    for part, row in zip(parts, sizes, strict=True):
        for n, size in enumerate(row):
            in_gap = in_gap and not size
            if (n < len(row) - 1 or part.file is None) and not in_gap:
                groups, in_gap = groups + 1, True
    if groups <= 1 or not lost:
        first = [(i, n) for i, row in enumerate(gaps) for n in range(len(row))][:1]
        return [[lost if (i, n) in first else 0 for n in range(len(row))] for i, row in enumerate(gaps)]
    if metadata and len(metadata.counts) == 1 and metadata.by_file:
        short = [metadata.by_file.get(p.name, 0) - sum(row) for p, row in zip(parts, sizes, strict=True)]
        if sum(short) == lost and all(len(row) == 1 for row, n in zip(gaps, short, strict=True) if n):
            return [[n] if len(row) == 1 else [0] * len(row) for row, n in zip(gaps, short, strict=True)]
    return gaps
