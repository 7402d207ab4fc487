# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the outputs of detection graphs mean: recognised by shape, by class names and by the range of the values.

| layout | output | columns | input |
|---|---|---|---|
| YOLOX | 1 x A x (5 + classes) | centre and log-size in cells of the stride; objectness; classes | BGR 0..255 |
| YOLOX_DECODED | 1 x A x (5 + classes) | centre and size; objectness; classes | BGR 0..255 |
| YOLOV5 | 1 x 3 A x (5 + classes) | the same | RGB 0..1 |
| YOLOV8, also YOLO11 | 1 x (4 + classes) x A | centre and size; classes | RGB 0..1 |
| YOLOV8_ROWS | 1 x A x (4 + classes) | the same, transposed | RGB 0..1 |
| END_TO_END: YOLOv10, YOLO26, DeepStream | 1 x N x 6 | corners, score, class | RGB 0..1 |
| LABELLED: YOLOX or RTMDet with NMS | 1 x N x 5 and labels 1 x N | corners, score | BGR 0..255, or mean and std |

A is the number of cells of strides 8, 16 and 32; boxes are in pixels of the input, but for YOLOX's.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import BundleError

FloatArray = npt.NDArray[np.float32]
Outputs = list[npt.NDArray[Any]]
Found = tuple[FloatArray, FloatArray]  # corners N x 4 in input pixels, scores N
STRIDES = (8, 16, 32)
COCO = 80
_PIXELS = 16  # a coordinate beyond this is pixels: of YOLOX's cells and logarithms none is as large


class Layout(Enum):
    """The module's table; the value is what the user reads."""

    YOLOX = "YOLOX"
    YOLOX_DECODED = "decoded YOLOX"
    YOLOV5 = "YOLOv5"
    YOLOV8 = "YOLOv8"
    YOLOV8_ROWS = "transposed YOLOv8"
    END_TO_END = "corners, score and class"
    LABELLED = "corners and score, labels apart"


class Form(Enum):
    """What a graph wants pixels to be: ((image - shift) / scale), channels in the order said."""

    BGR_255 = "BGR in 0..255"
    RGB_UNIT = "RGB in 0..1"
    BGR_NORMALISED = "BGR less the mean, over the standard deviation"


_UNIT = (Layout.YOLOV5, Layout.YOLOV8, Layout.YOLOV8_ROWS, Layout.END_TO_END)


def forms(layout: Layout) -> tuple[Form, ...]:
    """What the inputs of a layout may be, the likelier first."""
    if layout is Layout.LABELLED:
        return (Form.BGR_255, Form.BGR_NORMALISED)
    return (Form.RGB_UNIT,) if layout in _UNIT else (Form.BGR_255,)


def guess(outputs: Outputs, size: tuple[int, int], classes: int | None) -> Layout:
    """The layout of outputs for an input of `size` (width, height); classes: how many names the file lists, if any.

    Raises BundleError with words that follow "the detector gives ..." where it is none, or may be more than one.
    """
    shapes = [output.shape for output in outputs]
    first, count = shapes[0], sum((size[0] // stride) * (size[1] // stride) for stride in STRIDES)
    if len(shapes) == 2 and len(first) == 3 and first[0] == 1 and first[2] == 5 and shapes[1] == first[:2]:
        return Layout.LABELLED
    if len(shapes) == 1 and len(first) == 3 and first[0] == 1:
        rows, columns = first[1:]
        if rows == count and columns > 4:
            return _of_rows(outputs[0][0], classes)
        if columns == count and rows > 4:
            return _of_columns(outputs[0][0], classes)
        if rows == 3 * count and columns > 5:
            _agree(columns, 5, classes, Layout.YOLOV5)
            return Layout.YOLOV5
        if columns == 6:
            return Layout.END_TO_END
    raise BundleError(
        f"outputs of shapes {shapes} for a {size[0]} x {size[1]} input, none of 1 x {count} x (5 + classes), "
        f"1 x (4 + classes) x {count} or transposed, 1 x N x 6, or 1 x N x 5 with labels 1 x N"
    )


def _of_rows(rows: FloatArray, classes: int | None) -> Layout:
    """A row a cell: raw or decoded, with an objectness or without."""
    columns, filled = rows.shape[1], rows[np.abs(rows).max(axis=1) > 0]
    if columns == 6 and _corners_and_class(filled):
        return Layout.END_TO_END
    if np.abs(filled[:, :4]).max(initial=0) <= _PIXELS:
        if len(filled) and filled[:, :4].min() >= 0 and filled[:, :4].max() <= 1:
            raise BundleError("boxes in 0..1 where pixels of its input are needed")
        _agree(columns, 5, classes, Layout.YOLOX)
        return Layout.YOLOX
    named = {4 + classes: Layout.YOLOV8_ROWS, 5 + classes: Layout.YOLOX_DECODED} if classes else {
        5: Layout.YOLOV8_ROWS, 4 + COCO: Layout.YOLOV8_ROWS, 5 + COCO: Layout.YOLOX_DECODED
    }  # fmt: skip
    if columns not in named:
        raise BundleError(
            f"{columns} numbers a cell, which may be 4 + {columns - 4} classes ({Layout.YOLOV8_ROWS.value}) or 5 + "
            f"{columns - 5} classes ({Layout.YOLOX_DECODED.value}), and its file "
            + (f"names {classes} classes" if classes else "names no classes that would decide it")
        )
    return named[columns]


def _of_columns(columns: FloatArray, classes: int | None) -> Layout:
    numbers = len(columns)
    if classes is None and numbers == 5 + COCO:
        raise BundleError(f"{numbers} numbers a cell, 4 + 81 classes or an objectness too many, and names no classes")
    _agree(numbers, 4, classes, Layout.YOLOV8)
    places = np.abs(columns[:4]).max(initial=0)
    if 0 < places <= _PIXELS:
        raise BundleError(f"boxes of {places:.3g} at most, which are no pixels of its input: in 0..1, or not decoded?")
    return Layout.YOLOV8


def _agree(columns: int, besides: int, classes: int | None, layout: Layout) -> None:
    """Raise BundleError where the number of columns does not fit the number of names."""
    if classes is not None and columns != besides + classes:
        raise BundleError(
            f"{columns} numbers a cell, as {layout.value} would for {columns - besides} classes, but its file names "
            f"{classes}"
        )


def _corners_and_class(rows: FloatArray) -> bool:
    """Whether rows of 6 are corners, score, class, as DeepStream's exports give them for every cell."""
    if len(rows) == 0:
        return False
    whole = rows[:, 5] == np.rint(rows[:, 5])
    scored = (rows[:, 4] >= 0) & (rows[:, 4] <= 1)
    return bool((whole & scored & (rows[:, 2] >= rows[:, 0]) & (rows[:, 3] >= rows[:, 1])).all())


def class_count(layout: Layout, outputs: Outputs) -> int | None:
    """How many classes the outputs have room for; None where labels tell the class, and their number is open."""
    rows, columns = outputs[0].shape[1:]
    if layout in (Layout.LABELLED, Layout.END_TO_END):
        return None
    if layout is Layout.YOLOV8:
        return int(rows - 4)
    return int(columns - (4 if layout is Layout.YOLOV8_ROWS else 5))


def read(layout: Layout, outputs: Outputs, size: tuple[int, int], persons: Sequence[int]) -> Found:
    """Corners in input pixels and the persons' scores of all boxes; persons: indices of the classes that are people."""
    rows = outputs[0][0]
    if layout is Layout.LABELLED:
        return rows[:, :4], np.where(np.isin(np.rint(outputs[1][0]), persons), rows[:, 4], 0)
    if layout is Layout.END_TO_END:
        return rows[:, :4], np.where(np.isin(np.rint(rows[:, 5]), persons), rows[:, 4], 0)
    rows = rows.T if layout is Layout.YOLOV8 else rows
    if layout in (Layout.YOLOV8, Layout.YOLOV8_ROWS):
        return _corners(rows[:, :2], rows[:, 2:4]), rows[:, 4:][:, persons].max(axis=1)
    scores = rows[:, 4] * rows[:, 5:][:, persons].max(axis=1)
    if layout is Layout.YOLOX:
        cells, strides = _cells(size)
        return _corners((rows[:, :2] + cells) * strides, np.exp(np.minimum(rows[:, 2:4], 20.0)) * strides), scores
    return _corners(rows[:, :2], rows[:, 2:4]), scores


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
