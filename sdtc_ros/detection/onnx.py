# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A person detector by path: the YOLO family's ONNX exports, told apart by the shapes that they give.

| export | output | boxes | input |
|---|---|---|---|
| YOLOX, raw | 1 x A x (5 + classes) | centre and log-size in cells of the stride; objectness; classes | BGR 0..255 |
| YOLOX or RTMDet with NMS | 1 x N x 5 and labels 1 x N | corners, score | BGR 0..255 |
| YOLOv8, YOLO11 | 1 x (4 + classes) x A | centre and size; classes | RGB 0..1 |
| YOLOv10, YOLO26, NMS in the graph | 1 x N x 6 | corners, score, class | RGB 0..1 |

A is the number of cells of strides 8, 16 and 32; all boxes but YOLOX's are in pixels of the input. The input is
1 x 3 x H x W float; the image is scaled into its top left corner, the rest is grey 114 (letterbox).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.detection.boxes import FloatArray, Image, no_boxes, suppress
from sdtc_ros.engine.failures import GraphError
from sdtc_ros.engine.ort.session import open_session, provider_of, run_session
from sdtc_ros.errors import BundleError
from sdtc_ros.types import Boxes

STRIDES = (8, 16, 32)
_GREY = 114
Found = tuple[FloatArray, FloatArray]  # corners N x 4 in input pixels, scores N
Outputs = list[npt.NDArray[Any]]
_log = logging.getLogger("sdtc_ros")


class OnnxDetector:
    """Runs a detection graph of the module's table; a callable from image to Boxes."""

    def __init__(
        self,
        path: str | Path,
        provider: str = "cpu",
        *,
        size: tuple[int, int] = (640, 640),
        min_score: float = 0.2,
        iou: float = 0.65,
        person: int = 0,
        threads: int = 0,
        allow_cpu: bool = False,
    ) -> None:
        """Open the graph and find out its format by a first run.

        size: the input's (width, height) where the graph leaves it open; min_score, iou: thresholds of score and of
        non-maximum suppression; person: the person's class index. Raises BundleError where the file is no graph, or
        one of unknown form, and UsageError for the provider (see open_session; tensorrt-direct is cuda here, or cpu,
        which is logged).
        """
        self._path, self._min_score, self._iou, self._person = Path(path), min_score, iou, person
        if not self._path.is_file():
            raise BundleError(f"detector '{path}' is not there; give the path of an ONNX file")
        self._session = _open(self._path, provider, threads, allow_cpu)
        inputs = self._session.get_inputs()
        shape, kind = list(inputs[0].shape), inputs[0].type
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or kind not in ("tensor(float)", "tensor(float16)"):
            raise BundleError(
                f"detector '{path}' takes {len(inputs)} input(s), the first {kind} of shape {shape}; "
                "it must take one, 1 x 3 x H x W of floats"
            )
        width, height = (
            given if isinstance(given, int) else other for given, other in zip(shape[:1:-1], size, strict=True)
        )
        self._size = (width, height)
        self._input = np.full((1, 3, height, width), _GREY, np.float16 if kind == "tensor(float16)" else np.float32)
        self._name = inputs[0].name
        try:
            first = self._run()
        except GraphError as error:
            raise BundleError(f"detector '{path}' cannot be run: {error}") from None
        self._read, self._rgb = self._format(first)

    def __call__(self, image: Image) -> Boxes:
        """People in an H x W x 3 uint8 BGR image."""
        height, width = image.shape[:2]
        scale = min(self._size[0] / width, self._size[1] / height)
        self._fill(image, (max(1, round(width * scale)), max(1, round(height * scale))))
        corners, scores = self._read(self._run())
        sure = np.flatnonzero(scores >= self._min_score)
        if len(sure) == 0:
            return no_boxes()
        near, far = corners[sure, :2], corners[sure, 2:]
        xywh = (np.concatenate([near, far - near], axis=1) / scale).astype(np.float32)
        kept = suppress(xywh, scores[sure], self._iou)
        return Boxes(xywh[kept], np.clip(scores[sure][kept], 0, 1).astype(np.float32))

    def _fill(self, image: Image, size: tuple[int, int]) -> None:
        """Write the letterboxed image of `size` (width, height) to the input buffer."""
        small = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        planes = (small[..., ::-1] if self._rgb else small).transpose(2, 0, 1)
        unit = 255 if self._rgb else 1
        self._input[:] = _GREY / unit
        np.divide(planes, unit, out=self._input[0, :, : size[1], : size[0]], casting="unsafe")

    def _run(self) -> Outputs:
        outputs = run_session(self._session, None, {self._name: self._input})
        return [np.asarray(output, np.float32) for output in outputs]

    def _format(self, outputs: Outputs) -> tuple[Callable[[Outputs], Found], bool]:
        """The reader of outputs of these shapes, and whether the graph wants RGB in 0..1."""
        width, height = self._size
        cells = sum((width // stride) * (height // stride) for stride in STRIDES)
        shapes = [output.shape for output in outputs]
        first = shapes[0]
        if len(shapes) == 2 and len(first) == 3 and first[2] == 5 and shapes[1] == first[:2]:
            return self._read_labelled, False
        if len(shapes) == 1 and len(first) == 3 and first[0] == 1:
            if first[1] == cells and first[2] > 5 + self._person:
                return self._read_yolox, False
            if first[2] == cells and first[1] > 4 + self._person:
                return self._read_yolov8, True
            if first[2] == 6:
                return self._read_end_to_end, True
        raise BundleError(
            f"detector '{self._path}' gives outputs of shapes {shapes} for a {width} x {height} input, none of "
            f"1 x {cells} x (5 + classes), 1 x (4 + classes) x {cells}, 1 x N x 6, or 1 x N x 5 with labels 1 x N"
        )

    def _read_yolox(self, outputs: Outputs) -> Found:
        rows = outputs[0][0]
        cells, strides = _cells(self._size)
        centre, size = (rows[:, :2] + cells) * strides, np.exp(np.minimum(rows[:, 2:4], 20.0)) * strides
        return _corners(centre, size), rows[:, 4] * rows[:, 5 + self._person]

    def _read_yolov8(self, outputs: Outputs) -> Found:
        rows = outputs[0][0].T
        return _corners(rows[:, :2], rows[:, 2:4]), rows[:, 4 + self._person]

    def _read_end_to_end(self, outputs: Outputs) -> Found:
        rows = outputs[0][0]
        return rows[:, :4], np.where(np.rint(rows[:, 5]) == self._person, rows[:, 4], 0)

    def _read_labelled(self, outputs: Outputs) -> Found:
        rows, labels = outputs[0][0], outputs[1][0]
        return rows[:, :4], np.where(np.rint(labels) == self._person, rows[:, 4], 0)


def _open(path: Path, provider: str, threads: int, allow_cpu: bool) -> Any:
    """The graph's session; that the CPU takes a GPU's place is logged."""
    direct = provider == "tensorrt-direct"  # has no ONNX Runtime in it: the detector takes the GPU where that can too
    on = "cuda" if direct else provider
    session = open_session(path, on, threads=threads, allow_cpu=allow_cpu or direct)
    if on != "cpu" and provider_of(session) == "cpu":
        _log.warning("detector '%s' runs on the CPU: ONNX Runtime cannot use provider '%s' here", path.name, on)
    return session


def _corners(centre: FloatArray, size: FloatArray) -> FloatArray:
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def _cells(size: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """The (x, y) of every cell of every stride, A x 2, and its stride, A x 1, in YOLOX's order."""
    places, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: size[1] // stride, : size[0] // stride]
        places.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(places).astype(np.float32), np.concatenate(strides).astype(np.float32)
