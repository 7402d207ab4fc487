# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Writing PoseTrack18/21 JSON: annotations, and prediction files that poseval and PoseTrack21's toolkit accept.

`write_sequence` writes a sequence at once, a `PoseTrackWriter` a pipeline's poses frame by frame in constant memory.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from io import RawIOBase
from pathlib import Path, PurePosixPath
from typing import Any

from sdtc_ros.closing import Closing
from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.posetrack_layout import MAX_TRACK_ID, Layout, TrackNumbers, people_of
from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame
from sdtc_ros.lifting.poses3d import FramePoses3D
from sdtc_ros.skeleton import POSETRACK, Skeleton
from sdtc_ros.types import FramePoses
from sdtc_ros.whole_file import write_whole

_END = b"\n]}\n"  # what closes the file after the last annotation
_ROOM = 64  # images that room is made for at first, where nobody says how many will come
_MOST = 100_000  # images: what a container says of its length may be wrong
_SPARE = 24  # bytes by which later images' entries may be longer than the first one's


def sequence_from_poses(
    name: str, poses: list[FramePoses], truth: Sequence | None = None, skeleton: Skeleton = POSETRACK
) -> Sequence:
    """A pipeline's output as a sequence of predictions.

    With `truth`, the result has exactly its frames (names, ids), and each output belongs to the frame that
    Frame.name names (the whole path or its file name); outputs without a name are taken to be the truth's frames in
    order. Without `truth`, frames are numbered from 0 and keep their name or get NAME/000000.jpg. Raises InputError
    where a name is not among the truth's, or two outputs are of one frame.
    """
    frames = [_plain_frame(name, i, output) for i, output in enumerate(poses)]
    if truth is not None:
        frames = [SequenceFrame(frame.name, frame.id, frame.labelled) for frame in truth.frames]
        lookup = {frame.name: i for i, frame in enumerate(frames)}
        lookup |= {PurePosixPath(frame.name).name: i for i, frame in enumerate(frames)}
        taken: set[int] = set()
        for i, output in enumerate(poses):
            at = _position(output.frame.name, i, lookup, truth)
            if at in taken:
                raise InputError(f"sequence {name}: two of the poses' frames are {frames[at].name}")
            taken.add(at)
            frames[at].people = people_of(output, skeleton)
    else:
        for frame, output in zip(frames, poses, strict=True):
            frame.people = people_of(output, skeleton)
    return Sequence(truth.name if truth is not None else name, frames, skeleton)


def _plain_frame(name: str, number: int, output: FramePoses) -> SequenceFrame:
    return SequenceFrame(output.frame.name or f"{name}/{number:06d}.jpg", number, True)


def _position(frame_name: str, number: int, lookup: dict[str, int], truth: Sequence) -> int:
    if not frame_name:
        if number >= len(truth.frames):
            raise InputError(f"there are more frames with poses than the {len(truth.frames)} of sequence {truth.name}")
        return number
    for key in (frame_name, PurePosixPath(frame_name).name):
        if key in lookup:
            return lookup[key]
    raise InputError(f"the frame {frame_name} is not among those of sequence {truth.name}")


def sequence_to_json(sequence: Sequence) -> dict[str, Any]:
    """The COCO-like dict: 17 slots for PoseTrack's joints (51 keypoint numbers, 17 scores), else one slot a joint.

    Track ids that poseval would refuse (none, negative, 10000 and above) are replaced, see TrackNumbers.
    """
    layout, tracks = Layout(sequence.skeleton), TrackNumbers()
    for track_id in {person.track_id for frame in sequence.frames for person in frame.people}:
        if track_id is not None and 0 <= track_id < MAX_TRACK_ID:
            tracks.number(track_id)  # before others, who must not take it
    video = sequence.name.split("_")[0]
    images, annotations = [], []
    for frame in sequence.frames:
        images.append(_image(frame, video, len(sequence.frames)))
        for n, person in enumerate(frame.people):
            ids = {"track_id": tracks.number(person.track_id), "image_id": frame.id, "id": frame.id * 100 + n}
            annotations.append(layout.person(person) | ids)
    return {"images": images, "annotations": annotations, "categories": [layout.category()]}


def write_sequence(sequence: Sequence, path: Path | str) -> None:
    """Write a sequence's JSON; the file appears whole or not at all. Raises InputError if it cannot be written."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(sequence_to_json(sequence), allow_nan=False))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be written: {error}") from error


def write_folder(sequences: list[Sequence], folder: Path | str) -> None:
    """One NAME.json a sequence; raises InputError if one cannot be written."""
    for sequence in sequences:
        write_sequence(sequence, Path(folder) / f"{sequence.name}.json")


def _image(frame: SequenceFrame, video: str, count: int) -> dict[str, Any]:
    return {
        "file_name": frame.name,
        "id": frame.id,
        "frame_id": frame.id,
        "vid_id": video,
        "nframes": count,
        "is_labeled": frame.labelled,
        "has_labeled_person": bool(frame.people),
        "has_no_densepose": True,
        "ignore_regions_x": [polygon[:, 0].tolist() for polygon in frame.ignore],
        "ignore_regions_y": [polygon[:, 1].tolist() for polygon in frame.ignore],
    }


class PoseTrackWriter(Closing):
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
