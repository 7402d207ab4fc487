# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Where a JPEG ends, and whether it is whole: decoders paint what is missing grey and say nothing.

Markers are those of ITU-T T.81, table B.1: two bytes, 0xFF first; a segment's length follows it; in the coded data of a
scan 0xFF is followed by 0x00, or by a restart marker.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_IN_SCAN = (0x00, 0xFF, *range(0xD0, 0xD8))  # stuffed zero, fill byte, restart markers
_END_BYTES = np.array([0xFF, _END], np.uint8)
# coded data without a meaning: only an image that is not whole takes them in
_FILLER = np.random.default_rng(7).integers(0, 0xFF, 512).astype(np.uint8)
_QUIET_LOCK = threading.Lock()


def is_jpeg(data: Bytes) -> bool:
    """Whether N bytes begin as a JPEG."""
    return data[:2].tobytes() == b"\xff\xd8"


def jpeg_end(data: Bytes) -> int | None:
    """How many of N bytes belong to the JPEG that they begin with, its end marker included; None: there is none."""
    at, size = 2, data.size
    while at + 4 <= size:
        if data[at] != 0xFF:
            return None
        marker = int(data[at + 1])
        if marker == 0xFF:
            at += 1
            continue
        if marker == _END:
            return at + 2
        at += 2 + (int(data[at + 2]) << 8 | int(data[at + 3]))
        if marker == _SCAN:
            found = _next_marker(data, at)
            if found is None:
                return None
            at = found
    return size if at + 2 == size and data[at:].tobytes() == _END_BYTES.tobytes() else None


def _next_marker(data: Bytes, at: int) -> int | None:
    """Where the coded data that begin at `at` end, at a marker."""
    places = np.flatnonzero(data[at:-1] == 0xFF) + at
    places = places[~np.isin(data[places + 1], _IN_SCAN)]
    return int(places[0]) if places.size else None


def without_padding(data: Bytes) -> Bytes:
    """The bytes up to a JPEG's end; with the end marker where it lacks that; anything else as it is."""
    if not is_jpeg(data):
        return data
    end = jpeg_end(data)
    return np.concatenate([_coded(data), _END_BYTES]) if end is None else data[:end]


def _coded(data: Bytes) -> Bytes:
    """The bytes of a JPEG without an end marker, less the zeros of a buffer and what would make a marker at its end."""
    filled = np.flatnonzero(data)
    coded = data[: filled[-1] + 2 if filled.size else 0]  # the zero that may belong to a 0xFF
    return coded[:-1] if coded.size and coded[-1] == 0xFF else coded


def cut_short(data: Bytes, flags: int) -> bool:
    """Whether N bytes are a JPEG that lacks more than its end marker: further coded data would change its pixels.

    flags: how OpenCV is to read it. Raises cv2.error as that does.
    """
    if not is_jpeg(data) or jpeg_end(data) is not None:
        return False
    coded = _coded(data)
    with _quiet():
        image = cv2.imdecode(np.concatenate([coded, _END_BYTES]), flags)
        longer = cv2.imdecode(np.concatenate([coded, _FILLER, _END_BYTES]), flags)
    return image is None or longer is None or not np.array_equal(image, longer)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the JPEG library from writing to standard error that there are bytes too many: we put them there."""
    with _QUIET_LOCK, open(os.devnull, "wb") as nowhere:
        before = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)
