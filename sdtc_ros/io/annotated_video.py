# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""An annotated video, written image by image."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.closing import Closing
from sdtc_ros.errors import InputError


class AnnotatedVideo(Closing):
    """An annotated video: MPEG-4 in .mp4, or Motion JPEG in .avi where this OpenCV has no such encoder."""

    def __init__(self, stem: Path, fps: float) -> None:
        """The file is `stem` with its ending; it is opened with the first image, which gives its size."""
        self._path, self._fps = stem, fps
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, image: npt.NDArray[np.uint8]) -> Path:
        """Append an H x W x 3 uint8 BGR image, scaled to the first one's size; returns the file's path."""
        if self._writer is None:
            self._writer = self._open((image.shape[1], image.shape[0]))
        if (image.shape[1], image.shape[0]) != self._size:
            image = np.asarray(cv2.resize(image, self._size), np.uint8)
        self._writer.write(image)
        return self._path

    def _open(self, size: tuple[int, int]) -> cv2.VideoWriter:
        self._size = size
        for suffix, code in ((".mp4", "mp4v"), (".avi", "MJPG")):
            self._path = self._path.with_suffix(suffix)
            writer = cv2.VideoWriter(str(self._path), cv2.VideoWriter.fourcc(*code), self._fps, size)
            if writer.isOpened():
                return writer
        raise InputError(f"no video can be written to {self._path}: OpenCV has no encoder; use --no-video")

    def close(self) -> None:
        """End the file; a second call does nothing."""
        if self._writer is not None:
            self._writer.release()

    def discard(self) -> None:
        """End the file and remove it."""
        self.close()
        if self._writer is not None:
            self._path.unlink(missing_ok=True)
