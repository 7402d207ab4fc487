# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The person detector that the package ships with: NanoDet (RangiLyu/nanodet), cut to the person class.

Its graph takes images of any size in multiples of 32 and gives, for every cell of strides 8, 16 and 32, a score and
how far the four sides of a person's box lie from the cell's centre. Where the weights come from, under which licences
and what was changed is written beside them, in models/nanodet-person.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sdtc_ros.detection.boxes import FloatArray, Image, no_boxes, suppress
from sdtc_ros.detection.session import open_detector
from sdtc_ros.engine.ort.session import run_session
from sdtc_ros.errors import BundleError, UsageError
from sdtc_ros.models.bundle import DETECTOR
from sdtc_ros.models.bundle_files import MANIFEST, check_files
from sdtc_ros.types import Boxes

STEP = 32  # the largest stride: an image's sides are filled up to multiples of it
STRIDES = (8, 16, 32)
LARGEST = 2048
BATCH = 16  # images at once
Arrays = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class PersonConfig:
    """Settings of the person detector.

    size: pixels to which an image's longer side is scaled, a multiple of 32: 416 finds people from about 1/12 of the
    longer side on, 608 from 1/18 at twice the time; min_score: boxes scored lower are dropped; overlap: intersection
    over union with a better box from which on a box is that one again.
    """

    size: int = 416
    min_score: float = 0.3
    overlap: float = 0.6

    def __post_init__(self) -> None:
        """Raise UsageError for a value without sense."""
        if not STEP <= self.size <= LARGEST or self.size % STEP:
            raise UsageError(f"the detector's size must be a multiple of {STEP} up to {LARGEST}, got {self.size}")
        for name in ("min_score", "overlap"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(f"the detector's {name} must be between 0 and 1, got {getattr(self, name)}")


def default_detector() -> Path:
    """The folder of the person detector that the package ships with."""
    return Path(__file__).parents[1] / "models" / "nanodet-person"


def read_detector(folder: Path) -> dict[str, Any]:
    """The object in a person detector's model.json, its files checked; raises BundleError for anything else."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"'{path}' cannot be read ({error}); reinstall the package") from None
    if not isinstance(manifest, dict) or not _fits(manifest):
        raise BundleError(f"'{path}' does not describe a person detector that this version supports")
    check_files(folder, manifest["files"])
    return manifest


def holds_detector(folder: Path) -> bool:
    """Whether the folder's model.json says that it is a person detector's."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("kind") == DETECTOR


def _fits(manifest: dict[str, Any]) -> bool:
    files, graph = manifest.get("files"), manifest.get("graph")
    return (
        manifest.get("kind") == DETECTOR
        and manifest.get("strides") == list(STRIDES)
        and isinstance(files, dict)
        and all(isinstance(digest, str) and Path(name).name == name for name, digest in files.items())
        and graph in files
    )


class PersonDetector:
    """A callable from an H x W x 3 uint8 BGR image to Boxes, and `many` for images of several cameras at once."""

    def __init__(
        self,
        config: PersonConfig | None = None,
        provider: str = "cpu",
        *,
        folder: Path | None = None,
        threads: int = 0,
        allow_cpu: bool = False,
    ) -> None:
        """Open the graph and run it once.

        provider, threads, allow_cpu: as of `open_detector`; folder: of another one than the package's. Raises
        BundleError for files that are damaged or another detector's, UsageError for the provider.
        """
        self.config = config or PersonConfig()
        folder = folder or default_detector()
        graph = folder / read_detector(folder)["graph"]
        side = (STEP, self.config.size, self.config.size)
        ranges = {"batch": (1, 1, BATCH), "height": side, "width": side}
        self._session = open_detector(graph, provider, threads, allow_cpu, ranges)
        self._canvas = np.zeros((0, 0, 0, 3), np.uint8)
        self(np.zeros((STEP, STEP, 3), np.uint8))

    def __call__(self, image: Image) -> Boxes:
        """People in an H x W x 3 uint8 BGR image, best first: boxes in its pixels, cut off at its edges."""
        return self.many([image])[0]

    def many(self, images: Sequence[Image]) -> list[Boxes]:
        """People in each of several images; those that are of one size once scaled share a batch."""
        found: list[Boxes] = [no_boxes()] * len(images)
        shapes = [padded_shape(image.shape, self.config.size) for image in images]
        for shape in dict.fromkeys(shapes):
            same = [i for i, other in enumerate(shapes) if other == shape]
            for rows in (same[start : start + BATCH] for start in range(0, len(same), BATCH)):
                scores, sides = self._run([images[i] for i in rows], shape)
                for i, score, side in zip(rows, scores, sides, strict=True):
                    found[i] = self._boxes(images[i].shape, shape, score, side)
        return found

    def _run(self, images: list[Image], shape: tuple[int, int]) -> Arrays:
        """Scores N x A and sides N x A x 4 of images that are scaled into the top left of `shape` (height, width)."""
        if len(self._canvas) < len(images) or self._canvas.shape[1:3] != shape:
            self._canvas = np.zeros((len(images), *shape, 3), np.uint8)
        batch = self._canvas[: len(images)]
        for canvas, image in zip(batch, images, strict=True):
            width, height = scaled_size(image.shape, self.config.size)
            shrunk = width < image.shape[1]
            method = cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR
            cv2.resize(image, (width, height), dst=canvas[:height, :width], interpolation=method)
            canvas[height:], canvas[:, width:] = 0, 0
        scores, sides = run_session(self._session, ["scores", "sides"], {"images": batch})
        return scores, sides

    def _boxes(self, image: tuple[int, ...], shape: tuple[int, int], scores: FloatArray, sides: FloatArray) -> Boxes:
        """The people of one image of shape `image`: scores A and sides A x 4 -> boxes in its pixels."""
        rows = np.flatnonzero(scores >= self.config.min_score)
        if len(rows) == 0:
            return no_boxes()
        width, height = scaled_size(image, self.config.size)
        scale = np.array([image[1] / width, image[0] / height], np.float32)
        centres, limit = cell_centres(shape)[rows], np.array([image[1], image[0]], np.float32)
        near = np.clip((centres - sides[rows, :2]) * scale, 0, limit)
        far = np.clip((centres + sides[rows, 2:]) * scale, 0, limit)
        xywh = np.concatenate([near, far - near], axis=1)
        whole = np.flatnonzero((xywh[:, 2:] > 0).all(axis=1))
        kept = whole[suppress(xywh[whole], scores[rows][whole], self.config.overlap)]
        return Boxes(xywh[kept], scores[rows][kept])


def scaled_size(image: tuple[int, ...], size: int) -> tuple[int, int]:
    """The (width, height) of an image of shape `image` whose longer side is made `size` pixels long."""
    height, width = image[:2]
    scale = size / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def padded_shape(image: tuple[int, ...], size: int) -> tuple[int, int]:
    """The (height, width) in multiples of 32 that a scaled image of shape `image` is filled up to."""
    width, height = scaled_size(image, size)
    return -(-height // STEP) * STEP, -(-width // STEP) * STEP


@lru_cache(maxsize=16)
def cell_centres(shape: tuple[int, int]) -> FloatArray:
    """The (x, y) of every cell's centre in an image of `shape` (height, width): A x 2, strides 8, 16, 32, by rows."""
    centres = []
    for stride in STRIDES:
        y, x = np.mgrid[: shape[0] // stride, : shape[1] // stride]
        centres.append((np.stack([x.ravel(), y.ravel()], axis=1) + 0.5) * stride)
    return np.concatenate(centres).astype(np.float32)
