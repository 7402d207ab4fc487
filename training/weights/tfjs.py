# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""TensorFlow.js graph models (`model.json` with its `.bin`) read without TensorFlow: nodes in order, and weights.

The format is TensorFlow.js's: `modelTopology.node` is a GraphDef in JSON (bytes as base64), `weightsManifest` lists the
weights in the order in which the `.bin` files hold them, plain, in half precision or quantised
(value = quantised * scale + min).
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import BundleError

PLAIN = ("float32", "int32", "bool", "uint8", "float16")
QUANTISED = ("uint8", "uint16", "float16")


@dataclass(frozen=True)
class Node:
    """One operation. inputs: names of nodes, `:1` and so on for a further output; attributes: decoded to plain values.

    A string attribute is a str, a list one a list of int, float or str; an attribute of type or shape stays as in the
    file.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Graph:
    """A graph model. weights: by the name of their Const node, floats as float32; made_by: what the file says of it."""

    path: Path
    nodes: tuple[Node, ...]
    weights: dict[str, npt.NDArray[Any]]
    made_by: str


def graph_file(folder: Path | str, name: str) -> Path:
    """Where an unpacked package holds `name`.json: in the folder or in its `models`; BundleError where in neither."""
    folder = Path(folder)
    if not folder.is_dir():
        raise BundleError(f"{folder} is not a folder: give the unpacked package")
    for path in (folder / f"{name}.json", folder / "models" / f"{name}.json"):
        if path.is_file():
            return path
    raise BundleError(f"{folder} holds no {name}.json, nor does its folder 'models': give the unpacked package")


def is_graph_file(path: Path | str) -> bool:
    """Whether a path is to be read as a TensorFlow.js model: a .json file."""
    return Path(path).suffix == ".json"


def read_graph(path: Path | str) -> Graph:
    """Read the graph model in a `.json` file and the `.bin` files that it names, which lie beside it.

    Raises BundleError with one sentence for a file that is missing, broken or of another format, and for a `.bin` that
    is shorter or longer than the weights that the `.json` lists.
    """
    path = Path(path)
    content = read_json(path)
    try:
        nodes = tuple(_node(entry) for entry in content["modelTopology"]["node"])
        groups = [(group["paths"], group["weights"]) for group in content["weightsManifest"]]
        weights: dict[str, npt.NDArray[Any]] = {}
        for paths, entries in groups:
            weights |= _read_weights(path, paths, entries)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise BundleError(f"{path} is not a TensorFlow.js graph model ({what[:100]})") from error
    return Graph(path, nodes, weights, str(content.get("generatedBy", "")))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; BundleError where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not valid JSON ({str(error)[:100]})") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path} must hold a JSON object, not a {type(content).__name__}")
    return content


def _node(entry: dict[str, Any]) -> Node:
    attributes = {name: _attribute(value) for name, value in entry.get("attr", {}).items()}
    return Node(str(entry["name"]), str(entry["op"]), tuple(entry.get("input", ())), attributes)


def _attribute(value: dict[str, Any]) -> Any:
    """A GraphDef attribute in JSON as a plain value; its integers are strings there, its bytes base64."""
    if not value:
        return None
    kind, held = next(iter(value.items()))
    if kind == "list":
        return [_attribute({name: item}) for name, items in held.items() for item in items]
    if kind == "i":
        return int(held)
    if kind == "f":
        return float(held)
    if kind == "s":
        return base64.b64decode(held).decode()
    return held


def _read_weights(path: Path, names: list[str], entries: list[dict[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    """The weights of one group, which its files hold one after the other."""
    data = b"".join(_read_binary(path, path.parent / Path(name).name) for name in names)
    stored = [_stored_type(entry) for entry in entries]
    sizes = [math.prod(entry["shape"]) * kind.itemsize for entry, kind in zip(entries, stored, strict=True)]
    if len(data) != sum(sizes):
        files, wanted = ", ".join(names), sum(sizes)
        how = "is cut short" if len(data) < wanted else "belongs to another model"
        raise BundleError(f"{path.parent / files} {how}: it has {len(data)} bytes where {path.name} lists {wanted}")
    weights, start = {}, 0
    for entry, kind, size in zip(entries, stored, sizes, strict=True):
        values = np.frombuffer(data, kind, size // kind.itemsize, start).reshape(entry["shape"])
        weights[str(entry["name"])] = _expanded(values, entry)
        start += size
    return weights


def _read_binary(path: Path, binary: Path) -> bytes:
    try:
        return binary.read_bytes()
    except OSError as error:
        raise BundleError(f"{binary}, which {path.name} names, cannot be read: {error.strerror or error}") from error


def _stored_type(entry: dict[str, Any]) -> np.dtype[Any]:
    """How the file holds a weight's numbers."""
    quantised = entry.get("quantization")
    name = quantised["dtype"] if quantised else entry["dtype"]
    if name not in (QUANTISED if quantised else PLAIN):
        raise ValueError(f"weight {entry['name']} is of type {name}")
    return np.dtype(name).newbyteorder("<")


def _expanded(values: npt.NDArray[Any], entry: dict[str, Any]) -> npt.NDArray[Any]:
    """Stored numbers -> the weight, in float32 for every kind of float."""
    quantised = entry.get("quantization")
    if quantised and quantised["dtype"] != "float16":
        values = values.astype(np.float32) * np.float32(quantised["scale"]) + np.float32(quantised["min"])
        values = values if entry["dtype"] == "float32" else np.round(values)
    kind = np.float32 if entry["dtype"] == "float16" else np.dtype(entry["dtype"])
    return values.astype(kind)
