# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a replay writes frame by frame, in constant memory: PoseTrack18 JSON and an annotated video."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
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

_END = b"\n]}\n"  # what closes the file after the last annotation
_ROOM = 64  # images that room is made for at first, where nobody says how many will come
_MOST = 100_000  # images: what a container says of its length may be wrong
_SPARE = 24  # bytes by which later images' entries may be longer than the first one's


class PoseTrackStream:
    """A PoseTrack18-format JSON file that grows with the frames and is whole after every one of them.

    The list of images stands first, in room that is kept free for it (JSON may hold spaces between its values); the
    annotations grow at the end, and are closed again with each frame. So a killed process leaves a file that can be
    read, and a full disk costs the frame that does not fit.
    """

    def __init__(self, path: Path, skeleton: Skeleton, frames: int | None = None) -> None:
        """Start the file; frames: how many will come, where that is known. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._skeleton = path, skeleton
        self._slots = POSETRACK_SLOTS if skeleton is POSETRACK else skeleton.joints
        self._order = [self._slots.index(joint) for joint in skeleton.joints]
        self._expected = min(frames or _ROOM, _MOST)
        self._frames = self._people = 0
        person = {"supercategory": "person", "id": 1, "name": "person", "keypoints": list(self._slots)}
        self._file: RawIOBase = path.open("w+b", buffering=0)
        _append(self._file, f'{{"categories": {json.dumps([person])},\n"images": ['.encode())
        self._images_end = self._room_end = self._file.tell()
        _append(self._file, b'\n],\n"annotations": [')
        self._people_end = self._file.tell()
        _append(self._file, _END)

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
        if self._images_end + len(listed) > self._room_end:
            self._make_room(len(listed))
        self._add(listed, people)
        self._frames += 1
        self._people += len(result.poses)

    def _add(self, listed: bytes, people: bytes) -> None:
        """Write the image, then its people and the file's end; where that fails, the file is as before."""
        try:
            self._file.seek(self._images_end)
            _append(self._file, listed)
            self._file.seek(self._people_end)
            _append(self._file, people + _END)
        except OSError:
            for at, before in ((self._images_end, b" " * len(listed)), (self._people_end, _END)):
                self._file.seek(at)
                self._file.write(before)  # over bytes that are there already
            self._file.truncate()
            raise
        self._images_end += len(listed)
        self._people_end += len(people)

    def _make_room(self, each: int) -> None:
        """Room for as many images as are expected, or twice as many as there are, of so many bytes each."""
        wanted = max(self._expected - self._frames, self._frames, 1) * (each + _SPARE)
        self._rewrite(max(each, min(wanted, shutil.disk_usage(self.path.parent).free // 8)))

    def _rewrite(self, room: int) -> None:
        """Put a copy in the file's place that has so many free bytes after its list of images. Raises OSError."""
        part = self.path.with_name(self.path.name + ".part")
        copy: RawIOBase = part.open("w+b", buffering=0)
        try:
            _copy(self._file, copy, 0, self._images_end)
            _append(copy, b" " * room)
            _copy(self._file, copy, self._room_end, self._people_end + len(_END))
            part.replace(self.path)
        except OSError:
            copy.close()
            part.unlink()
            raise
        self._file.close()
        self._file = copy
        self._people_end += room - (self._room_end - self._images_end)
        self._room_end = self._images_end + room

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
        """Close the file, without the room that was not needed; a second call does nothing."""
        if self._file.closed:
            return
        with suppress(OSError):  # no room for a copy: the spaces stay
            self._rewrite(0)
        self._file.close()

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


def _copy(source: RawIOBase, target: RawIOBase, start: int, end: int) -> None:
    """Append the bytes from start to end."""
    source.seek(start)
    while start < end and (piece := source.read(min(1 << 20, end - start))):
        _append(target, piece)
        start += len(piece)


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
