# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the processes beside the node write down, row by row as it happens: nothing of it is lost by a kill -9.

A frame's number in the clip is the last three digits of its stamp, so whoever sees a stamp knows what was in the image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.void]

NUMBERS = 1000  # frames of a clip at most
SENT = np.dtype([("stamp", "<i8"), ("camera", "<i4")])
# off: pixels by which a box differs from the nearest that is true in the frame of the stamp, the worst of the message
HEARD = np.dtype([("stamp", "<i8"), ("received", "<i8"), ("camera", "<i4"), ("people", "<i4"), ("off", "<f4")])


def stamp_for(moment: int, number: int) -> int:
    """The stamp (nanoseconds, at most 1 microsecond before `moment`) of the clip's frame `number`."""
    return moment - moment % NUMBERS - NUMBERS + number


def number_of(stamp: int) -> int:
    """Which frame of the clip bears this stamp."""
    return stamp % NUMBERS


class Notebook:
    """Appends rows of one type to a file, each in one write."""

    def __init__(self, path: Path, kind: np.dtype[np.void]) -> None:
        self._stream, self._kind = path.open("ab", buffering=0), kind

    def write(self, *values: float) -> None:
        """Append one row."""
        self._stream.write(np.array([values], self._kind).tobytes())


def read_rows(path: Path, kind: np.dtype[np.void]) -> Rows:
    """All rows of a file so far, a last one that is incomplete left out; none where there is no file."""
    content = path.read_bytes() if path.exists() else b""
    return np.frombuffer(content[: len(content) // kind.itemsize * kind.itemsize], kind)


def truth_distance(boxes: npt.NDArray[np.float32], true: npt.NDArray[np.float32]) -> float:
    """How many pixels the worst of the boxes (N x 4) differs from the nearest true one (M x 4) in its worst number."""
    if not len(boxes):
        return 0.0
    if not len(true):
        return float("inf")
    return float(np.abs(boxes[:, None] - true[None]).max(axis=2).min(axis=1).max())
