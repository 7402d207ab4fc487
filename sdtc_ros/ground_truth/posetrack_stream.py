# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Poses as PoseTrack18 JSON, frame by frame in constant memory: what posetrack_write.py writes of a whole sequence."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from io import RawIOBase
from pathlib import Path
from types import TracebackType

from sdtc_ros.ground_truth.posetrack_write import Layout, TrackNumbers, people_of
from sdtc_ros.ground_truth.sequence import Person
from sdtc_ros.lifting.poses3d import FramePoses3D
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses

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
        self._layout, self._tracks = Layout(skeleton), TrackNumbers()
        self._expected = min(frames or _ROOM, _MOST)
        self._frames = self._people = 0
        person = self._layout.category()
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
        for n, person in enumerate(people_of(result, self._skeleton, lifted), self._people):
            ids = {"id": n, "image_id": image_id, "track_id": self._tracks.number(person.track_id)}
            people += ((",\n" if n else "\n") + json.dumps(self._layout.person(_rounded(person)) | ids)).encode()
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


def _rounded(person: Person) -> Person:
    """A prediction with no more digits than it is worth: thousandths of pixels, millionths of scores."""
    assert person.box is not None and person.joint_scores is not None and person.score is not None
    return replace(
        person,
        keypoints=person.keypoints.round(3),
        box=person.box.round(3),
        score=round(person.score, 6),
        joint_scores=person.joint_scores.round(6),
    )
