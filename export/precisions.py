# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A bundle's graphs in other precisions: made from those in FP32, and kept where their keypoints hold.

Needs no torch and no checkpoint: any bundle can be given them later. Each pair is run on the CPU against FP32 first
(sdtc_ros.engine.accuracy_check), FP16 with all its roundings (export.rounded); the figures go to model.json. A GPU is
judged again, by its own outputs, when its engine is opened.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from export.folder import new_bundle
from export.half import to_half
from export.int8 import write_int8
from export.ranges import hot_values, lies_beside, save_graph
from export.rounded import rounded
from export.stored import load_full
from sdtc_ros.engine.accuracy_check import WINDOWS, Deviation, measure_deviation
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.errors import BundleError
from sdtc_ros.models.bundle import Bundle, load_bundle, read_manifest, save_manifest
from sdtc_ros.models.bundle_files import DATA, MANIFEST, graph_names
from sdtc_ros.options import PRECISIONS


@dataclass(frozen=True)
class Made:
    """What became of a precision: its deviation where it ran, and why it is not in the bundle, empty where it is."""

    precision: str
    deviation: Deviation | None
    refusal: str


def add_precisions(
    out: Path, wanted: Sequence[str], windows: int = WINDOWS, bundle: Bundle | None = None
) -> tuple[Bundle, list[Made]]:
    """Give the bundle in `out` graphs in the `wanted` precisions (fp16, int8); those it has of others stay.

    bundle: that one, where it is loaded already. Its FP32 files stay as they are, and it is usable at every moment.
    Raises BundleError where it cannot be used, UsageError where the folder cannot be written.
    """
    bundle = bundle or load_bundle(out)
    with new_bundle(out) as work:
        again = {name for precision in wanted if precision in bundle.precisions for name in bundle.files_of(precision)}
        for name in (MANIFEST, *(name for name in bundle.files if name not in again)):
            shutil.copy2(bundle.folder / name, work / name)
        made = make_precisions(work, wanted, windows)
    return load_bundle(out), made


def make_precisions(folder: Path, wanted: Sequence[str], windows: int = WINDOWS) -> list[Made]:
    """The same for a bundle in a folder that nobody else reads."""
    manifest = read_manifest(folder)
    kept: dict[str, Any] = {name: entry for name, entry in manifest.get("precisions", {}).items() if name not in wanted}
    results = []
    for precision in dict.fromkeys(wanted):
        result = _made(folder, manifest, precision, windows)
        if result.deviation is not None and not result.refusal:
            kept[precision] = _entry(precision, result.deviation.to_json(precision))
        else:
            _remove(folder, precision)
        results.append(result)
    save_manifest(folder, manifest, kept)
    return results


def write_precision(bundle: Bundle, precision: str) -> None:
    """Write a bundle's graphs in `precision` beside it, unjudged; raises BundleError where it has no use for it."""
    targets = [bundle.folder / name for name in graph_names(precision)]
    if precision == "fp16":
        for source, target, hot in zip(bundle.graphs(), targets, hot_values(bundle), strict=True):
            save_graph(to_half(load_full(source), hot), target, beside=lies_beside(source))
        return
    made = [
        write_int8(source, target, beside=lies_beside(source))
        for source, target in zip(bundle.graphs(), targets, strict=True)
    ]
    if not any(made):
        raise BundleError("the graphs have no matrix products with constant weights that INT8 would make faster")


def _made(folder: Path, manifest: dict[str, Any], precision: str, windows: int) -> Made:
    _remove(folder, precision)
    try:
        bundle = save_manifest(folder, manifest, {})
        write_precision(bundle, precision)
        bundle = save_manifest(folder, manifest, {precision: _entry(precision, {})})
        with tempfile.TemporaryDirectory() as scratch:
            engine = _judged(bundle, precision, Path(scratch))
            deviation = measure_deviation(engine, bundle, precision=precision, windows=windows)
    except BundleError as error:
        return Made(precision, None, str(error).replace(f"{folder}/", ""))
    return Made(precision, deviation, deviation.refusal(precision))


def _judged(bundle: Bundle, precision: str, scratch: Path) -> OnnxEngine:
    """The engine that answers for a precision: on the CPU FP16 has to be rounded explicitly."""
    if precision != "fp16":
        return OnnxEngine(bundle, precision=precision)
    for source, name in zip(bundle.graphs(precision), graph_names(PRECISIONS[0]), strict=True):
        save_graph(rounded(onnx.load(str(source))), scratch / name, beside=lies_beside(source))
    return OnnxEngine(save_manifest(scratch, read_manifest(bundle.folder), {}))


def _entry(precision: str, deviation: dict[str, Any]) -> dict[str, Any]:
    encoder, temporal = graph_names(precision)
    return {"encoder": encoder, "temporal": temporal, "drift": deviation}


def _remove(folder: Path, precision: str) -> None:
    for name in graph_names(precision):
        for path in (folder / name, folder / (name + DATA)):
            path.unlink(missing_ok=True)
