# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Bags in several parts, as a recorder leaves them, for tests to damage."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from ruamel.yaml import YAML

from sdtc_ros.io.bag import COMPRESSED_TYPE, IMAGE_TYPE, bag_message_types
from sdtc_ros.messages.poses import to_header
from sdtc_ros.messages.typestore import typestore

EACH = 4  # frames a part
START = 1_763_700_000_000_000_000
STEP = 40_000_000
TOPIC = "/camera"
YAML_FILE = "metadata.yaml"
_CACHE = tempfile.TemporaryDirectory(prefix="sdtc-split-")  # every kind is written once


def stamp(number: int) -> int:
    """The stamp of a frame by its number in the recording."""
    return START + number * STEP


def write_split(folder: Path, storage: str = "mcap", parts: int = 3, packed: str = "", others: bool = False) -> Path:
    """A bag of `parts` files rec_N of EACH frames; packed: '', 'file' or 'message'; others: with a second topic."""
    cached = Path(_CACHE.name) / f"{storage}-{parts}-{packed}-{others}"
    if not cached.exists():
        _write(cached, storage, parts, packed, others)
    shutil.copytree(cached, folder)
    return folder


def _write(folder: Path, storage: str, parts: int, packed: str, others: bool) -> None:
    folder.mkdir()
    entries, names = [], []
    for part in range(parts):
        one = folder / f"one{part}"
        _write_part(one, storage, part, packed, others)
        about = YAML(typ="safe").load((one / YAML_FILE).read_text())["rosbag2_bagfile_information"]
        file = next(file for file in one.iterdir() if file.name != YAML_FILE)
        names.append(f"rec_{part}{''.join(file.suffixes)}")
        file.rename(folder / names[-1])
        (one / YAML_FILE).unlink()
        one.rmdir()
        entries.append(about)
    whole: dict[str, Any] = dict(entries[0])
    whole["relative_file_paths"] = names
    whole["message_count"] = sum(entry["message_count"] for entry in entries)
    for n, topic in enumerate(whole["topics_with_message_count"]):
        topic["message_count"] = sum(entry["topics_with_message_count"][n]["message_count"] for entry in entries)
    whole["files"] = [
        {"path": name, "message_count": entry["message_count"], "starting_time": entry["starting_time"],
         "duration": entry["duration"]}
        for name, entry in zip(names, entries, strict=True)
    ]  # fmt: skip
    save_metadata(folder, whole)


def load_metadata(folder: Path) -> dict[str, Any]:
    """What metadata.yaml holds."""
    return YAML(typ="safe").load((folder / YAML_FILE).read_text())["rosbag2_bagfile_information"]


def save_metadata(folder: Path, about: dict[str, Any]) -> None:
    """Write metadata.yaml anew."""
    with (folder / YAML_FILE).open("w") as file:
        YAML(typ="safe").dump({"rosbag2_bagfile_information": about}, file)


def _write_part(path: Path, storage: str, part: int, packed: str, others: bool) -> None:
    types, store = bag_message_types(), typestore()
    writer = Writer(path, version=8, storage_plugin=StoragePlugin[storage.upper()])
    if packed:
        writer.set_compression(CompressionMode[packed.upper()], CompressionFormat.ZSTD)
    noise = np.random.default_rng(part)
    with writer:
        camera = writer.add_connection(TOPIC, IMAGE_TYPE, typestore=store)
        second = writer.add_connection("/other", COMPRESSED_TYPE, typestore=store) if others else None
        for number in range(part * EACH, (part + 1) * EACH):
            header = to_header(stamp(number), "optical", types)
            data = noise.integers(0, 255, 40 * 60 * 3, np.uint8)
            data[0] = number
            image = store.types[IMAGE_TYPE](
                header=header, height=40, width=60, encoding="bgr8", is_bigendian=0, step=180, data=data
            )
            writer.write(camera, stamp(number), store.serialize_cdr(image, IMAGE_TYPE))
            for _ in range(part + 1 if second else 0):  # parts of unlike numbers
                other = store.types[COMPRESSED_TYPE](header=header, format="jpeg", data=np.zeros(3, np.uint8))
                writer.write(second, stamp(number), store.serialize_cdr(other, COMPRESSED_TYPE))
