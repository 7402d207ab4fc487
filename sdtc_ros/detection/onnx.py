# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A person detector by path: ONNX exports of the YOLO family, YOLOX and RTMDet (see `layouts`).

The input is 1 x 3 x H x W float; the image is scaled into its top left corner, the rest is grey 114 (letterbox). Which
class is the person is given by the file's own class names (`names` in its metadata, as Ultralytics writes them), or
by the user; it is never guessed.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.detection.boxes import FloatArray, Image, impossible_boxes, suppress
from sdtc_ros.detection.layouts import Form, Layout, Outputs, class_count, forms, guess, read
from sdtc_ros.detection.session import open_detector
from sdtc_ros.engine.failures import GraphError
from sdtc_ros.engine.ort.session import run_session
from sdtc_ros.errors import BundleError
from sdtc_ros.types import Boxes

PERSON_NAMES = ("person", "people", "pedestrian", "human")
MOST = 300  # people in a frame; more are no people
CANDIDATES = 1000  # boxes that non-maximum suppression looks at
_GREY = 114
_MEAN, _STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # BGR, mmdetection's
BoolArray = npt.NDArray[np.bool_]
_log = logging.getLogger("sdtc_ros")


class OnnxDetector:
    """Runs a detection graph of `layouts`' table; a callable from image to Boxes."""

    def __init__(
        self,
        path: str | Path,
        provider: str = "cpu",
        *,
        size: tuple[int, int] = (640, 640),
        min_score: float = 0.3,
        iou: float = 0.65,
        person_class: str = "",
        threads: int = 0,
        allow_cpu: bool = False,
    ) -> None:
        """Open the graph and find out its layout by a first run.

        size: the input's (width, height) where the graph leaves it open; min_score, iou: thresholds of score and of
        non-maximum suppression; person_class: name or index of the class that is a person, several with commas between,
        empty for the one that the file names so. Raises BundleError where the file is no graph, one of unknown layout,
        or does not say which class is a person, and UsageError for the provider (see open_session; tensorrt-direct is
        cuda here, or cpu, which is logged).
        """
        self._path, self._min_score, self._iou = Path(path), min_score, iou
        if not self._path.is_file():
            raise BundleError(f"detector '{path}' does not exist; give the path of an ONNX file")
        self._session = open_detector(self._path, provider, threads, allow_cpu)
        self._input, self._size = self._input_buffer(size)
        names = class_names(self._session.get_modelmeta().custom_metadata_map.get("names", ""))
        self._classes = len(names) or None
        self._layout: Layout | None = None
        self._form: Form | None = None
        self._proven = False  # whether it found anybody yet whose box can be one
        try:
            outputs = self._run()
        except GraphError as error:
            raise BundleError(f"detector '{path}' cannot be run: {error}") from None
        layout = self._guess(outputs)
        self._persons = persons(self._path, names, person_class, class_count(layout, outputs))

    def __call__(self, image: Image) -> Boxes:
        """People in an H x W x 3 uint8 BGR image, best first; raises BundleError where the first cannot be boxes."""
        height, width = image.shape[:2]
        scale = min(self._size[0] / width, self._size[1] / height)
        corners, scores = self._found(image, (max(1, round(width * scale)), max(1, round(height * scale))))
        sure = np.flatnonzero(~(scores < self._min_score))  # what is not a number is not overlooked
        sure = sure[np.argsort(-scores[sure], kind="stable")][:CANDIDATES]
        near, far = corners[sure, :2], corners[sure, 2:]
        with np.errstate(invalid="ignore", over="ignore"):
            xywh = (np.concatenate([near, far - near], axis=1) / scale).astype(np.float32)
        found = Boxes(xywh, scores[sure].astype(np.float32))
        wrong = impossible_boxes(found, (width, height))
        possible = np.flatnonzero(~wrong)
        kept = possible[suppress(found.xywh[possible], found.scores[possible], self._iou)]
        if len(sure) and not self._proven:
            self._prove(found, wrong, len(kept))
        rows = np.concatenate([kept, np.flatnonzero(wrong)])  # the impossible are left to who counts them
        return Boxes(found.xywh[rows], found.scores[rows])

    def _prove(self, found: Boxes, wrong: BoolArray, count: int) -> None:
        """Refuse a graph whose first boxes are impossible, or more than there can be people: its layout is another."""
        what = ""
        if 2 * wrong.sum() > len(found):
            first = np.flatnonzero(wrong)[0]
            x, y, w, h = found.xywh[first]
            what = (
                f"boxes that cannot be, {wrong.sum()} of {len(found)} (one of {w:.3g} x {h:.3g} pixels at {x:.3g}, "
                f"{y:.3g}, scored {found.scores[first]:.3g})"
            )
        elif count > MOST:
            what = f"{count} people in one image"
        if what:
            assert self._layout is not None
            raise BundleError(
                f"detector '{self._path}' was taken for {self._layout.value} and then gives {what}: it is of another "
                "layout (boxes in 0..1, scores without a sigmoid, pixels in another range?); export it as YOLOv8 or "
                "YOLOX does"
            )
        self._proven = True

    def _found(self, image: Image, size: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
        """Corners in input pixels and scores of an image scaled to `size`, as the likeliest form of input gives them.

        Where a layout's graphs differ in what they take, all forms are tried until one finds somebody.
        """
        small: Image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        layout = self._layout or Layout.YOLOV8
        tried = {}
        for form in (self._form,) if self._form else forms(layout):
            self._fill(small, form)
            outputs = self._run()
            if not self._proven:
                layout = self._guess(outputs)
            tried[form] = read(layout, outputs, self._size, self._persons)
        best = max(tried, key=lambda form: float(np.nan_to_num(tried[form][1]).max(initial=0)))
        if len(tried) > 1 and tried[best][1].max(initial=0) >= 0.5:
            self._form = best
            _log.info("detector '%s' takes %s", self._path.name, best.value)
        return tried[best]

    def _guess(self, outputs: Outputs) -> Layout:
        try:
            self._layout = guess(outputs, self._size, self._classes)
        except BundleError as error:
            raise BundleError(f"detector '{self._path}' gives {error}") from None
        return self._layout

    def _input_buffer(self, size: tuple[int, int]) -> tuple[npt.NDArray[Any], tuple[int, int]]:
        """The memory of the input, and its (width, height); raises BundleError for a graph with another input."""
        inputs = self._session.get_inputs()
        shape, kind = list(inputs[0].shape), inputs[0].type
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or kind not in ("tensor(float)", "tensor(float16)"):
            raise BundleError(
                f"detector '{self._path}' takes {len(inputs)} input(s), the first {kind} of shape {shape}; "
                "it must take one, 1 x 3 x H x W of floats"
            )
        width, height = (
            given if isinstance(given, int) else other for given, other in zip(shape[:1:-1], size, strict=True)
        )
        self._name = inputs[0].name
        buffer = np.zeros((1, 3, height, width), np.float16 if kind == "tensor(float16)" else np.float32)
        return buffer, (width, height)

    def _fill(self, small: Image, form: Form) -> None:
        """Write the scaled image, and grey around it, to the input buffer."""
        height, width = small.shape[:2]
        canvas = np.full((*self._input.shape[2:], 3), _GREY, np.uint8)
        canvas[:height, :width] = small[..., ::-1] if form is Form.RGB_UNIT else small
        planes = canvas.transpose(2, 0, 1)
        if form is Form.BGR_NORMALISED:
            self._input[0] = (planes - np.reshape(_MEAN, (3, 1, 1))) / np.reshape(_STD, (3, 1, 1))
        else:
            np.divide(planes, 255 if form is Form.RGB_UNIT else 1, out=self._input[0], casting="unsafe")

    def _run(self) -> Outputs:
        outputs = run_session(self._session, None, {self._name: self._input})
        return [np.asarray(output, np.float32) for output in outputs]


def class_names(text: str) -> list[str]:
    """The class names in an ONNX file's metadata, Python's dict or list as text (Ultralytics); [] for anything else."""
    try:
        names = ast.literal_eval(text) if text else []
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            return []
        names = [names[i] for i in range(len(names))]
    return [str(name) for name in names] if isinstance(names, list | tuple) else []


def persons(path: Path, names: Sequence[str], wanted: str, count: int | None) -> list[int]:
    """The indices of the classes that are people.

    names: the file's own, [] for none; wanted: what the user says, names or indices with commas between; count: how
    many classes the outputs have room for, None for not known. Raises BundleError where nothing says it, or it is not
    there.
    """
    known = [name.lower() for name in names]
    if wanted.strip():
        return [_index(path, word.strip(), known, count) for word in wanted.split(",")]
    found = [i for i, name in enumerate(known) if name in PERSON_NAMES]
    if found:
        return found
    if names:
        listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise BundleError(f"detector '{path}' has no class of people among its {len(names)} ({listed}); {_OPTION}")
    if count == 1:
        return [0]
    raise BundleError(f"detector '{path}' names no classes in its metadata; {_OPTION}")


_OPTION = "say which is the person with --person-class (node: person_class), a name or an index; COCO's person is 0"


def _index(path: Path, word: str, known: Sequence[str], count: int | None) -> int:
    if word.lower() in known:
        return known.index(word.lower())
    most = count if count is not None else len(known) or None
    if word.isdecimal() and (most is None or int(word) < most):
        return int(word)
    what = f"{most} classes" if most is not None else "classes without names"
    raise BundleError(f"detector '{path}' has no class '{word}': it has {what}")
