# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Tables over a split: which images there are, who is labelled in them where, and which window belongs to whom.

All of it is NumPy arrays, so that loader workers share the memory of the process that read the annotations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError
from sdtc_ros.evaluate.protocols import PROTOCOLS, Protocol
from sdtc_ros.ground_truth.frame_names import place_frames, plain_path
from sdtc_ros.ground_truth.hieve import read_hieve_sequence
from sdtc_ros.ground_truth.posetrack import read_sequence
from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame
from sdtc_ros.io.boxes_file import person_box
from sdtc_ros.skeleton import Skeleton
from training.data import summary as reasons
from training.data.frames import IntArray, neighbours, read_frames
from training.data.layout import Layout
from training.data.summary import Summary
from training.data.windows import HEAD_SIZE

# HiEve has no head boxes: the median, over PoseTrack18's annotations, of poseval's head size to the box's root area
HEAD_SHARE = 0.2


@dataclass(frozen=True)
class Video:
    """The frames of a sequence that are there, in order: `files` in `folder`; numbers and steps as in frames.Frames."""

    name: str
    annotations: str  # the stem of the file or folder that the annotations are from
    folder: Path
    files: tuple[str, ...]
    numbers: IntArray
    steps: IntArray

    def path(self, frame: int) -> Path:
        """Where the frame of that position lies."""
        return self.folder / self.files[frame]


@dataclass(frozen=True)
class People:
    """N annotated people, each in one frame; coordinates in image pixels.

    joints N x K x 2 float32, labelled, occluded and blurred N x K bool, boxes N x 4 float32 (xywh), head_sizes N
    float32; video, frame (position in the video) and track (-1: none) N int64; usable N bool: gives a window of its
    own; place N x 2 int64: positions in Index.truth and in that sequence's frames.
    """

    joints: npt.NDArray[np.float32]
    labelled: npt.NDArray[np.bool_]
    occluded: npt.NDArray[np.bool_]
    blurred: npt.NDArray[np.bool_]
    boxes: npt.NDArray[np.float32]
    head_sizes: npt.NDArray[np.float32]
    video: IntArray
    frame: IntArray
    track: IntArray
    usable: npt.NDArray[np.bool_]
    place: IntArray


@dataclass(frozen=True)
class Index:
    """A split, read.

    truth: the annotations whose images are there, as evaluation takes them, a sequence a video; positions: where each
    frame of these lies in its video.
    """

    skeleton: Skeleton
    videos: list[Video]
    people: People
    summary: Summary
    truth: list[Sequence]
    positions: list[IntArray]


def build_index(layout: Layout, min_joints: int = 3) -> Index:
    """Read all annotations of a split; what cannot be used is counted in the summary.

    Raises InputError where not one window is left.
    """
    protocol = PROTOCOLS[layout.dataset]
    summary = Summary(layout.dataset, layout.split, protocol.skeleton.joints)
    reader = _Reader(protocol, min_joints, summary)
    for sequence in _sequences(layout, protocol, summary):
        for parent, frames in _by_folder(sequence.frames).items():
            reader.add(sequence, parent, frames, layout.roots)
    if not any(row.usable for row in reader.rows):
        why = "; ".join(f"{count} {reason} ({summary.examples[reason]})" for reason, count in summary.skipped.items())
        raise InputError(f"{layout.dataset}, split '{layout.split}', has no person to train on: {why or 'none listed'}")
    people = reader.people()
    summary.samples = int(people.usable.sum())
    positions = [np.array(places, np.int64) for places in reader.positions]
    return Index(protocol.skeleton, reader.videos, people, summary, reader.truth, positions)


def windows(index: Index, rows: IntArray, delta: int) -> tuple[IntArray, IntArray]:
    """The windows of people by their rows, as `windows_at` gives them."""
    return windows_at(index, index.people.video[rows], index.people.frame[rows], rows, delta)


def windows_at(index: Index, video: IntArray, frame: IntArray, rows: IntArray, delta: int) -> tuple[IntArray, IntArray]:
    """Frames (positions in their videos) and rows of `people` (-1: not labelled there) of every window, N x T each.

    video, frame: N keyframes; rows: whose window each is, -1 nobody's. The neighbours of a frame are delta steps to
    either side (see frames.Frames), clamped at the ends; where one is not there, the nearest that is stands in for it.
    """
    people = index.people
    track = people.track.tolist()
    places = list(zip(people.video.tolist(), people.frame.tolist(), track, strict=True))
    at: dict[tuple[int, int, int], int] = {}
    for row, place in enumerate(places):
        at.setdefault(place, row)
    frames = np.empty((len(rows), 2 * delta + 1), np.int64)
    owners = np.full_like(frames, -1)
    for n, (v, key, row) in enumerate(zip(video.tolist(), frame.tolist(), rows.tolist(), strict=True)):
        frames[n] = neighbours(index.videos[v].steps, key, delta)
        if row < 0:
            continue
        identity = track[row]
        owners[n] = [row if f == key else at.get((v, f, identity), -1) for f in frames[n].tolist()]
        if identity < 0:
            owners[n][frames[n] != key] = -1
    return frames, owners


def _sequences(layout: Layout, protocol: Protocol, summary: Summary) -> Iterator[Sequence]:
    for file in layout.files:
        problems: list[str] = []
        try:
            if layout.dataset == "hieve":
                yield read_hieve_sequence(file, problems)
            else:
                yield read_sequence(file, protocol.skeleton)
        except InputError as error:
            problems.append(str(error))
        for problem in problems:
            summary.skip(reasons.BROKEN_FILE, problem)


def _by_folder(frames: list[SequenceFrame]) -> dict[str, list[SequenceFrame]]:
    """Frames by the folder that their names say: some tools write all sequences into one file."""
    folders: dict[str, list[SequenceFrame]] = {}
    for frame in frames:
        folders.setdefault(str(PurePosixPath(plain_path(frame.name)).parent), []).append(frame)
    return folders


@dataclass
class _Row:
    person: Person
    labelled: npt.NDArray[np.bool_]
    box: npt.NDArray[np.float64]
    head_size: float
    place: tuple[int, int, int, int]  # video, frame in it, track, frame in its truth
    usable: bool


class _Reader:
    """Collects videos and people."""

    def __init__(self, protocol: Protocol, min_joints: int, summary: Summary) -> None:
        self.protocol, self.min_joints, self.summary = protocol, min_joints, summary
        self.videos: list[Video] = []
        self.truth: list[Sequence] = []  # one a video
        self.positions: list[list[int]] = []
        self.rows: list[_Row] = []

    def add(self, sequence: Sequence, parent: str, frames: list[SequenceFrame], roots: tuple[Path, ...]) -> None:
        """One folder of images with its annotated frames."""
        what = f"{sequence.path}, images {parent}"
        tails = dict.fromkeys((parent, "/".join(PurePosixPath(parent).parts[1:])))  # with and without "images/"
        folder = next((root / tail for tail in tails for root in roots if tail and (root / tail).is_dir()), None)
        try:
            found = read_frames(folder) if folder else None
            if folder is None or found is None or not found.files:
                self.summary.skip(reasons.NO_FOLDER, f"{what}, looked for in {', '.join(map(str, roots))}")
                return
            places = place_frames([frame.name for frame in frames], [], found.files, None, what)
        except InputError as error:
            self.summary.skip(reasons.UNPLACED, str(error))
            return
        stem = sequence.path.stem if sequence.path else sequence.name
        video = Video(PurePosixPath(parent).name, stem, folder, found.files, found.numbers, found.steps)
        if found.irregular:
            self.summary.irregular[found.irregular] += 1
        self.truth.append(Sequence(f"{len(self.videos)} {video.name}", [], self.protocol.skeleton))
        self.positions.append([])
        self.videos.append(video)
        self.summary.sequences += 1
        self.summary.single_frames += len(found.files) == 1
        self.summary.frames += len(found.files)
        for frame, at in zip(frames, places.numbers, strict=True):
            if at is None:
                self.summary.skip(reasons.NO_IMAGE, f"{frame.name} of {sequence.path}")
                self.summary.skip(reasons.LOST_PEOPLE, f"{frame.name} of {sequence.path}", len(frame.people))
            else:
                self._add_frame(frame, at, f"{frame.name} of {sequence.path}")

    def _add_frame(self, frame: SequenceFrame, at: int, where: str) -> None:
        self.summary.labelled_frames += frame.labelled
        self.summary.skip(reasons.POINTLESS, where, frame.pointless)
        truth = self.truth[-1].frames
        truth.append(
            SequenceFrame(frame.name, len(truth), frame.labelled, ignore=frame.ignore, pointless=frame.pointless)
        )
        self.positions[-1].append(at)
        for person in frame.people:
            labelled, box = self._labelled(person), person_box(person)
            head = self._head_size(person, box)
            reason = self._reason(frame, labelled, box, head)
            if reason is not None:
                track = "" if person.track_id is None else f", track {person.track_id}"
                self.summary.skip(reason, where + track)
            if frame.labelled:
                self.summary.people += 1
                self.summary.joints += labelled
                self.summary.occluded += labelled & _occluded(person)
            track_id = -1 if person.track_id is None or person.track_id < 0 else person.track_id
            area = np.zeros(4) if box is None else np.asarray(box, np.float64)
            place = (len(self.videos) - 1, at, track_id, len(truth) - 1)
            if self._measurable(person, labelled):
                truth[-1].people.append(replace(person, track_id=None))
            elif reason != reasons.NO_HEAD:
                self.summary.skip(reasons.UNMEASURED, where)
            self.rows.append(_Row(person, labelled, area, head or 0.0, place, reason is None))

    def _labelled(self, person: Person) -> npt.NDArray[np.bool_]:
        if self.protocol.positive_joints:
            return np.all(person.keypoints[:, :2] > 0, axis=1)
        return person.annotated

    def _head_size(self, person: Person, box: list[float] | None) -> float | None:
        """poseval's head size; HiEve's from the person's box. None where there is none."""
        if self.protocol.similarity:
            return None if box is None else HEAD_SHARE * float(np.sqrt(max(box[2], 0) * max(box[3], 0)))
        if person.head_box is None or min(person.head_box[2:]) <= 0:
            return None
        return HEAD_SIZE * float(np.hypot(*person.head_box[2:]))

    def _measurable(self, person: Person, labelled: npt.NDArray[np.bool_]) -> bool:
        """Whether evaluation can tell how near is near enough to a person's joints, or need not."""
        length = person.box if self.protocol.similarity else person.head_box
        return length is not None or not labelled.any()

    def _reason(
        self, frame: SequenceFrame, labelled: npt.NDArray[np.bool_], box: list[float] | None, head: float | None
    ) -> str | None:
        """Why a person gives no window, None where they do."""
        if not frame.labelled:
            return reasons.UNMARKED
        if labelled.sum() < self.min_joints:
            return reasons.FEW_JOINTS
        if box is None or box[2] <= 0 or box[3] <= 0:
            return reasons.NO_BOX
        return reasons.NO_HEAD if head is None else None

    def people(self) -> People:
        """Everything as arrays."""
        rows = self.rows
        video, frame, track, truth_frame = np.array([row.place for row in rows], np.int64).T
        self.summary.tracks = len({(v, t) for v, _, t, _ in (row.place for row in rows) if t >= 0})
        none = np.zeros(len(self.protocol.skeleton), bool)
        return People(
            joints=np.stack([row.person.keypoints[:, :2] for row in rows]).astype(np.float32),
            labelled=np.stack([row.labelled for row in rows]),
            occluded=np.stack([row.labelled & _occluded(row.person) for row in rows]),
            blurred=np.stack([row.person.flags.get("blurred", none) for row in rows]),
            boxes=np.stack([row.box for row in rows]).astype(np.float32),
            head_sizes=np.array([row.head_size for row in rows], np.float32),
            video=video,
            frame=frame,
            track=track,
            usable=np.array([row.usable for row in rows]),
            place=np.stack([video, truth_frame], axis=1),
        )


def _occluded(person: Person) -> npt.NDArray[np.bool_]:
    """The joints that the data set marks as occluded: by name, or by a visibility of 0."""
    occluded: npt.NDArray[np.bool_] = person.flags.get("occluded", person.keypoints[:, 2] == 0)
    return occluded
