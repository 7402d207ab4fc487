# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a replay writes frame by frame, in constant memory: PoseTrack18 JSON and an annotated video."""

from __future__ import annotations

import json
import tempfile
from io import RawIOBase
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.posetrack import POSETRACK_SLOTS
from sdtc_ros.ground_truth.posetrack_write import space_to_json
from sdtc_ros.lifting.poses3d import FramePoses3D, Pose3D
from sdtc_ros.skeleton import POSETRACK, Skeleton
from sdtc_ros.types import FramePoses, Pose

_RESERVE = 1 << 14  # bytes kept free for what closes the file


class PoseTrackStream:
    """A PoseTrack18-format JSON file that grows with the frames; valid once closed, however the replay ended.

    Annotations go straight to the file, the list of images to a spool that is appended at the end. Room for that is
    reserved with every frame, so that a full disk costs the frame that does not fit, and never the file.
    """

    def __init__(self, path: Path, skeleton: Skeleton) -> None:
        """Start the file at `path`; until it is closed it is named `<path>.part`. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._skeleton = path, skeleton
        self._slots = POSETRACK_SLOTS if skeleton is POSETRACK else skeleton.joints
        self._order = [self._slots.index(joint) for joint in skeleton.joints]
        self._part = path.with_name(path.name + ".part")
        self._file: RawIOBase = self._part.open("wb", buffering=0)
        self._images: RawIOBase = tempfile.TemporaryFile("w+b", buffering=0, dir=path.parent)  # noqa: SIM115
        self._reserve: RawIOBase = tempfile.TemporaryFile("w+b", buffering=0, dir=path.parent)  # noqa: SIM115
        self._frames = self._people = 0
        person = {"supercategory": "person", "id": 1, "name": "person", "keypoints": list(self._slots)}
        _append(self._file, f'{{"categories": {json.dumps([person])},\n"annotations": ['.encode())
        _append(self._reserve, bytes(_RESERVE))

    def write(
        self, result: FramePoses, number: int, image_id: int, name: str, lifted: FramePoses3D | None = None
    ) -> None:
        """Append a frame (its number in the input, and its id and file name among the annotations) and its people.

        lifted: the same people in space, where that is known. Raises OSError; the frame is then not in the file.
        """
        image = {
            "file_name": name, "id": image_id, "frame_id": image_id, "vid_id": self.path.stem.split("_")[0],
            "is_labeled": True, "has_labeled_person": bool(result.poses), "number": number, "stamp": result.frame.stamp,
        }  # fmt: skip
        listed = ((",\n" if self._frames else "\n") + json.dumps(image)).encode()
        people = b""
        spaces = [self._space(person) for person in lifted.people] if lifted else [{}] * len(result.poses)
        for n, (pose, space) in enumerate(zip(result.poses, spaces, strict=True), self._people):
            annotation = {"id": n, "image_id": image_id, "category_id": 1} | self._person(pose) | space
            people += ((",\n" if n else "\n") + json.dumps(annotation)).encode()
        streams = ((self._reserve, bytes(len(listed))), (self._images, listed), (self._file, people))
        before = [stream.tell() for stream, _ in streams]
        try:
            for stream, data in streams:
                _append(stream, data)
        except OSError:
            for (stream, _), end in zip(streams, before, strict=True):
                stream.truncate(end)
                stream.seek(end)
            raise
        self._frames += 1
        self._people += len(result.poses)

    def _space(self, person: Pose3D) -> dict[str, Any]:
        joints, covariances = person.joints.astype(np.float64), person.covariances.astype(np.float64)
        return space_to_json(joints, covariances, self._order, len(self._slots))

    def _person(self, pose: Pose) -> dict[str, Any]:
        points = np.zeros((len(self._slots), 3), np.float64)
        points[self._order, :2] = pose.keypoints[:, :2]
        points[self._order, 2] = 1
        scores = np.zeros(len(self._slots), np.float64)
        scores[self._order] = pose.joint_scores
        return {
            "track_id": int(pose.track_id),
            "bbox": _rounded(pose.box, 3),
            "score": round(float(pose.score), 6),
            "keypoints": _rounded(points.reshape(-1), 3),
            "scores": _rounded(scores, 6),
        }

    def close(self) -> None:
        """Put the parts together under the file's name; a second call does nothing. Raises OSError."""
        if self._file.closed:
            return
        self._reserve.close()
        with self._images, self._file:
            self._images.seek(0)
            _append(self._file, b'\n],\n"images": [')
            while piece := self._images.read(1 << 20):
                _append(self._file, piece)
            _append(self._file, b"\n]}\n")
        self._part.replace(self.path)

    def __enter__(self) -> PoseTrackStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _append(stream: RawIOBase, data: bytes) -> None:
    """Write all of it; a raw stream may take a part at a time."""
    left = memoryview(data)
    while left:
        left = left[stream.write(left) or 0 :]


def _rounded(values: npt.NDArray[Any], digits: int) -> list[float]:
    return [round(float(v), digits) for v in values]


class VideoStream:
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

    def __enter__(self) -> VideoStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
