# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The model bundle: a folder of `model.json`, `encoder.onnx` and `temporal.onnx`, read, checked and written.

`model.json` says what the graphs cannot: skeleton, crop size, delta, the shapes of a crop's tokens, the SHA-256 of
every file, where the weights come from and how well they do. Nothing of a bundle is used before its hashes agree.
Beside the graphs in FP32, which every bundle has, it may hold the same two in FP16 or INT8 (`precisions`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdtc_ros.errors import BundleError
from sdtc_ros.models.bundle_files import DATA, ENCODER, MANIFEST, TEMPORAL, check_files, file_hash
from sdtc_ros.options import PRECISIONS
from sdtc_ros.skeleton import Skeleton, skeleton_by_name
from sdtc_ros.whole_file import write_whole

FORMAT = 2  # with moves; what has none is of format 1, which older versions read
DETECTOR = "person-detector"  # the kind that the model.json of a detector says; a bundle's says none
DECODES = ("udp-dark", "movenet")  # how temporal.onnx decodes its heatmaps; informative
_TYPES: dict[str, type | tuple[type, ...]] = {
    "name": str, "skeleton": str, "input_size": list, "delta": int, "channel_order": str, "mean": list, "std": list,
    "decode": str, "tokens": dict, "files": dict,
}  # fmt: skip
_FULL = PRECISIONS[0]


@dataclass(frozen=True)
class Precision:
    """Two more graphs of a bundle, and what they move: `deviation` against FP32, as engine.accuracy_check tells it."""

    encoder: Path
    temporal: Path
    deviation: Mapping[str, Any]


@dataclass(frozen=True)
class Bundle:
    """A checked bundle.

    input_size: a crop's (width, height) in pixels; delta: the window is 2 * delta + 1 frames; tokens: per-crop shape
    of every named tensor that the encoder gives; moves: whether the temporal graph takes them (engine.base.Engine), so
    that a window's frames need not share a crop; training, accuracy, parity: what `model.json` tells of itself;
    precisions: what it holds beside FP32, by name (fp16, int8).
    """

    folder: Path
    name: str
    skeleton: Skeleton
    input_size: tuple[int, int]
    delta: int
    tokens: Mapping[str, tuple[int, ...]]
    files: Mapping[str, str]
    training: Mapping[str, Any]
    accuracy: Mapping[str, Any]
    parity: Mapping[str, Any]
    precisions: Mapping[str, Precision] = field(default_factory=dict)
    moves: bool = False

    @property
    def encoder(self) -> Path:
        """The graph crops N x H x W x 3 uint8 -> tokens."""
        return self.folder / ENCODER

    @property
    def temporal(self) -> Path:
        """The graph tokens of windows -> keypoints and covariance."""
        return self.folder / TEMPORAL

    def graphs(self, precision: str = _FULL) -> tuple[Path, Path]:
        """Encoder and temporal graph in fp32, fp16 or int8; raises BundleError where the bundle has no such graphs."""
        if precision == _FULL:
            return self.encoder, self.temporal
        if precision not in self.precisions:
            has = ", ".join([_FULL, *self.precisions])
            way = f"; `python -m export add {self.folder} --precisions {precision}` adds them"
            raise BundleError(
                f"model bundle '{self.folder}' has no graphs in {precision}, but in {has}"
                + way * (precision in PRECISIONS)
            )
        chosen = self.precisions[precision]
        return chosen.encoder, chosen.temporal

    def files_of(self, precision: str) -> list[str]:
        """The names of the files that belong to these graphs alone; raises BundleError as `graphs` does."""
        graphs = tuple(path.name for path in self.graphs(precision))
        return [name for name in self.files if name.removesuffix(DATA) in graphs]

    @property
    def bundle_hash(self) -> str:
        """SHA-256 (hex) of what the poses depend on: the FP32 files and their contract, not the prose beside them.

        Graphs in other precisions are made from these and come and go without a change of it.
        """
        others = {name for precision in self.precisions for name in self.files_of(precision)}
        contract = {
            "files": {name: digest for name, digest in self.files.items() if name not in others},
            "skeleton": self.skeleton.name,
            "input_size": list(self.input_size),
            "delta": self.delta,
            "tokens": {name: list(shape) for name, shape in self.tokens.items()},
            **({"moves": True} if self.moves else {}),
        }
        return hashlib.sha256(json.dumps(contract, sort_keys=True).encode()).hexdigest()

    def hash_of(self, precision: str) -> str:
        """As `bundle_hash`, of what the poses in this precision depend on; raises BundleError as `graphs` does."""
        if precision == _FULL:
            return self.bundle_hash
        digests = [self.bundle_hash, *(self.files[name] for name in sorted(self.files_of(precision)))]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def default_bundle() -> Path:
    """The model that is used where none is named: MoveNet Lightning with trajectories over five frames."""
    return Path(__file__).parent / "sdtc-lite"


def load_bundle(path: str | Path) -> Bundle:
    """Read and check the bundle in folder `path`; raises BundleError with one sentence for whatever is wrong."""
    folder = Path(path)
    if not folder.is_dir():
        raise BundleError(f"model bundle '{folder}' is not a folder; give the folder that contains {MANIFEST}")
    manifest = read_manifest(folder)
    check_files(folder, manifest["files"])
    return _bundle(folder, manifest)


def _bundle(folder: Path, manifest: Mapping[str, Any]) -> Bundle:
    """The bundle of a manifest that was checked."""
    return Bundle(
        folder=folder,
        name=manifest["name"],
        skeleton=_skeleton(folder, manifest["skeleton"]),
        input_size=(manifest["input_size"][0], manifest["input_size"][1]),
        delta=manifest["delta"],
        tokens={name: tuple(shape) for name, shape in manifest["tokens"].items()},
        files=dict(manifest["files"]),
        training=manifest.get("training", {}),
        accuracy=manifest.get("accuracy", {}),
        parity=manifest.get("parity", {}),
        precisions={name: _precision(folder, entry) for name, entry in manifest.get("precisions", {}).items()},
        moves=manifest.get("moves", False),
    )


def write_manifest(
    folder: str | Path,
    *,
    name: str,
    skeleton: str,
    input_size: tuple[int, int],
    delta: int,
    tokens: Mapping[str, tuple[int, ...]],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    training: Mapping[str, Any] | None = None,
    accuracy: Mapping[str, Any] | None = None,
    parity: Mapping[str, Any] | None = None,
    precisions: Mapping[str, Mapping[str, Any]] | None = None,
    decode: str = DECODES[0],
    moves: bool = False,
) -> Bundle:
    """Write `model.json` for the graphs already in `folder` (with their `.onnx.data`, if any); returns the bundle.

    mean, std and decode are informative (all three are in the graphs); precisions: {"fp16": {"encoder": file name,
    "temporal": file name, "drift": {...}}, ...}. Raises BundleError where a graph is missing.
    """
    manifest = {
        "format": FORMAT if moves else 1, "name": name, "skeleton": skeleton, "input_size": list(input_size),
        "delta": delta, "channel_order": "bgr", "mean": list(mean), "std": list(std), "decode": decode,
        "tokens": {key: list(shape) for key, shape in tokens.items()}, **({"moves": True} if moves else {}),
        "files": {},
        "training": dict(training or {}), "accuracy": dict(accuracy or {}), "parity": dict(parity or {}),
    }  # fmt: skip
    return save_manifest(Path(folder), manifest, precisions or {})


def save_manifest(folder: Path, manifest: Mapping[str, Any], precisions: Mapping[str, Mapping[str, Any]]) -> Bundle:
    """Write a bundle's `model.json` with the hashes of the files now in it, and these precisions; returns the bundle.

    Raises BundleError for a manifest of a wrong form or a graph that is missing.
    """
    files = {path.name: file_hash(path) for path in sorted(folder.glob("*.onnx*")) if path.is_file()}
    manifest = {**manifest, "files": files, "precisions": {name: dict(entry) for name, entry in precisions.items()}}
    if not precisions:
        del manifest["precisions"]
    _check_manifest(folder, manifest)
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    return _bundle(folder, manifest)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The object in a bundle's `model.json`, its form checked, its files not; raises BundleError."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"'{folder}' is not a model bundle: it has no {MANIFEST}") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"'{path}' cannot be read ({error}); export or copy the bundle again") from None
    if not isinstance(manifest, dict):
        raise BundleError(f"'{path}' is not a JSON object; export or copy the bundle again")
    _check_manifest(folder, manifest)
    return manifest


def _check_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Raise BundleError at the first key that is missing or of the wrong form."""
    path = folder / MANIFEST
    if manifest.get("kind") == DETECTOR:
        raise BundleError(f"'{folder}' is a person detector, not a pose model; give the folder of a pose model")
    version = manifest.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BundleError(f"'{path}' has no valid format version; export the bundle again")
    if version > FORMAT:
        raise BundleError(f"'{path}' is of format {version}, newer than {FORMAT}: install a newer sdtc_ros to use it")
    for key, kind in _TYPES.items():
        if key not in manifest:
            raise BundleError(f"'{path}' lacks the key '{key}'; export the bundle again")
        if not isinstance(manifest[key], kind) or isinstance(manifest[key], bool):
            raise BundleError(f"'{path}': '{key}' has a value of the wrong type; export the bundle again")
    checks = {
        "input_size": len(manifest["input_size"]) == 2 and _positive(manifest["input_size"], at_least=2),
        "delta": manifest["delta"] >= 0,
        "channel_order": manifest["channel_order"] == "bgr",
        "decode": manifest["decode"] in DECODES,
        "moves": isinstance(manifest.get("moves", False), bool),
        "tokens": bool(manifest["tokens"])
        and all(isinstance(shape, list) and _positive(shape) for shape in manifest["tokens"].values()),
        "files": all(isinstance(digest, str) and Path(name).name == name for name, digest in manifest["files"].items()),
    }
    for key, good in checks.items():
        if not good:
            raise BundleError(
                f"'{path}': '{key}' has the value {manifest.get(key)!r}, which this version does not support"
            )
    for key in ("training", "accuracy", "parity"):
        if not isinstance(manifest.get(key, {}), dict):
            raise BundleError(f"'{path}': '{key}' has a value of the wrong type; export the bundle again")
    precisions = manifest.get("precisions", {})
    if not isinstance(precisions, dict) or not all(_is_precision(entry) for entry in precisions.values()):
        raise BundleError(f"'{path}': 'precisions' has a value of the wrong type; export the bundle again")
    graphs = [entry[part] for entry in precisions.values() for part in ("encoder", "temporal")]
    for name in (ENCODER, TEMPORAL, *graphs):
        if name not in manifest["files"]:
            raise BundleError(f"'{path}' lists no {name} among its files; export the bundle again")


def _is_precision(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and all(isinstance(entry.get(part), str) for part in ("encoder", "temporal"))
        and isinstance(entry.get("drift", {}), dict)
    )


def _precision(folder: Path, entry: Mapping[str, Any]) -> Precision:
    return Precision(folder / entry["encoder"], folder / entry["temporal"], entry.get("drift", {}))


def _skeleton(folder: Path, name: str) -> Skeleton:
    try:
        return skeleton_by_name(name)
    except BundleError as error:
        raise BundleError(f"model bundle '{folder}': {error}") from None


def _positive(numbers: list[Any], at_least: int = 1) -> bool:
    return all(isinstance(n, int) and not isinstance(n, bool) and n >= at_least for n in numbers)
