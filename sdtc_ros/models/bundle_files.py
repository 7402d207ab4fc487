# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The files of a model bundle: their names, their hashes, and that no file a graph reads goes without one."""

from __future__ import annotations

import hashlib
import mmap
import re
from collections.abc import Mapping
from pathlib import Path

from sdtc_ros.errors import BundleError
from sdtc_ros.options import PRECISIONS

MANIFEST = "model.json"
ENCODER, TEMPORAL = "encoder.onnx", "temporal.onnx"
DATA = ".data"  # what ONNX appends to a graph's name for the file of its weights
# How ONNX names the file of a weight that lies beside the graph: the pair "location", NAME as protobuf writes it.
_LOCATION = re.compile(rb"\n\x08location\x12([\x80-\xff]*[\x00-\x7f])")


def graph_names(precision: str) -> tuple[str, str]:
    """The names of encoder and temporal graph in a precision, as export writes them."""
    word = "" if precision == PRECISIONS[0] else f".{precision}"
    encoder, temporal = (name.replace(".onnx", f"{word}.onnx") for name in (ENCODER, TEMPORAL))
    return encoder, temporal


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Raise BundleError for a file that is missing or not the one listed, or whose weights lie in one not listed."""
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"model bundle '{folder}' lacks its file {name}; export or copy the bundle again")
        if file_hash(path) != digest:
            raise BundleError(f"'{path}' does not match {MANIFEST} (its SHA-256 differs); copy the bundle again")
        unlisted = sorted(_weight_files(path).difference(files)) if path.suffix == ".onnx" else []
        if unlisted:
            raise BundleError(
                f"'{path}' has weights in a file {unlisted[0]}, which {MANIFEST} does not list; export the bundle again"
            )


def _weight_files(graph: Path) -> set[str]:
    """The files beside a graph in which its weights lie, by the names that the graph has for them.

    They are found in its bytes, because reading it as ONNX needs a package that the robot does not have: eleven bytes
    that stand before every such name, and that weights hold by chance never (one in 10^26 a byte).
    """
    if not graph.stat().st_size:
        return set()
    with graph.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = set()
        for match in _LOCATION.finditer(content):
            length = sum((byte & 127) << 7 * place for place, byte in enumerate(match[1]))
            found.add(content[match.end() : match.end() + length].decode("utf-8", "replace"))
        return found
