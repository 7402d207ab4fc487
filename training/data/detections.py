# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Detector boxes in place of the annotated ones, for validation: every box gives a window, as in the papers.

Which box is whose decides only whose joints PCKh asks for. AP asks for all: a box of nobody is a false positive, as it
is in the benchmarks' evaluation.

A file is what `sdtc_ros.io.boxes_file` reads: PoseTrack18 JSON, or a list of boxes with `image_name` (as the
`val_boxes.json` of the field's public code); boxes of several sequences are distinguished by the image's folder. A
folder has one such file a sequence, named as its annotations; there a list may also count `frame`s from 0.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from sdtc_ros.apple_double import without_apple_double
from sdtc_ros.detection.boxes import overlaps
from sdtc_ros.errors import InputError
from sdtc_ros.evaluate.protocols import PROTOCOLS
from sdtc_ros.io.boxes_file import iterate_boxes
from training.data.frames import IntArray
from training.data.index import Index, People, Video

OVERLAP = 0.5  # a box is a person's where the intersection is at least this share of the union

FloatArray = npt.NDArray[np.float32]
_Key = tuple[str, str | int]  # sequence, and the image's stem or number


@dataclass(frozen=True)
class Samples:
    """N keyframes with the box that each is cropped by.

    boxes N x 4 float32 (xywh), scores N float32; video, frame N int64: positions in Index.videos and in its files;
    rows N int64: whose box it is in Index.people, -1 nobody's; place N x 2 int64: positions in Index.truth and in that
    sequence's frames. source: says where the boxes are from; missed: usable people without one.
    """

    boxes: FloatArray
    scores: FloatArray
    video: IntArray
    frame: IntArray
    rows: IntArray
    place: IntArray
    source: str = "ground-truth boxes"
    missed: int = 0


def annotated_samples(index: Index) -> Samples:
    """Every usable person with the annotated box, scored 1."""
    people, rows = index.people, np.flatnonzero(index.people.usable)
    scores = np.ones(len(rows), np.float32)
    return Samples(people.boxes[rows], scores, people.video[rows], people.frame[rows], rows, people.place[rows])


def match_detections(index: Index, path: Path, min_score: float = 0.2) -> Samples:
    """Every detector box of the frames that the data set's evaluation counts, but for those scored under min_score.

    A usable person is given the box that overlaps most, every box once, the best overlaps first. Raises InputError
    where the file cannot be read or fits no frame.
    """
    table, people = read_detections(path), index.people
    by_frame: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in np.flatnonzero(people.usable).tolist():
        by_frame[int(people.video[row]), int(people.frame[row])].append(row)
    found: list[tuple[list[float], float, int, int, int, tuple[int, int]]] = []
    fitting = 0
    for sequence, place, frame in _counting_frames(index):
        detections = _of_frame(table, index.videos[sequence], frame)
        fitting += bool(detections)
        kept = [d for d in detections if d[1] >= min_score]
        owner = {box: row for row, box in _assign(people, by_frame[sequence, frame], [box for box, _ in kept])}
        found += [
            (box, score, sequence, frame, owner.get(d, -1), (sequence, place)) for d, (box, score) in enumerate(kept)
        ]
    if not fitting:
        named = next(iter(table))
        raise InputError(
            f"{path}: none of its boxes belongs to a labelled frame of {index.summary.dataset}, split "
            f"'{index.summary.split}'; its first is of sequence '{named[0]}', image {named[1]}"
        )
    boxes, scores, video, frames, rows, places = zip(*found, strict=True) if found else [[]] * 6
    owned, usable = sum(row >= 0 for row in rows), int(people.usable.sum())
    return Samples(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32),
        video=np.array(video, np.int64),
        frame=np.array(frames, np.int64),
        rows=np.array(rows, np.int64),
        place=np.array(places, np.int64).reshape(-1, 2),
        source=f"detector boxes from {path.name}, {owned} of {usable} people found, {len(rows) - owned} other boxes",
        missed=usable - owned,
    )


def _counting_frames(index: Index) -> list[tuple[int, int, int]]:
    """(video, place in its truth, position in its files) of the frames that evaluation counts."""
    marked = PROTOCOLS[index.summary.dataset].labelled_frames
    return [
        (video, place, int(position))
        for video, (truth, positions) in enumerate(zip(index.truth, index.positions, strict=True))
        for place, (frame, position) in enumerate(zip(truth.frames, positions, strict=True))
        if (frame.labelled if marked else frame.people or frame.pointless)
    ]


def read_detections(path: Path) -> dict[_Key, list[tuple[list[float], float]]]:
    """Boxes (xywh) and scores by sequence and image; raises InputError for a file or folder that cannot be read."""
    files = sorted(without_apple_double(path.glob("*.json"))) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path} holds no *.json file; expected a file of detector boxes, or one a sequence")
    table: dict[_Key, list[tuple[list[float], float]]] = defaultdict(list)
    for file in files:
        for key, (box, score, _) in iterate_boxes(file):
            if isinstance(key, str):
                name = PurePosixPath(key)
                table[name.parent.name or file.stem, name.stem].append((box, score))
            elif isinstance(key, int) and path.is_dir():
                table[file.stem, key].append((box, score))
            else:
                raise InputError(
                    f"{file}: a box must name its image (image_name), for it does not say which sequence's"
                )
    return table


def _of_frame(
    table: dict[_Key, list[tuple[list[float], float]]], video: Video, frame: int
) -> list[tuple[list[float], float]]:
    """By the image's name, else by its number from 0; the sequence by its folder or its annotation file."""
    stem = PurePosixPath(video.files[frame]).stem
    number = int(video.numbers[frame]) - (len(stem) == 8)  # PoseTrack17 counts from 1, in 8 digits
    for key in ((video.name, stem), (video.annotations, stem), (video.annotations, number), (video.name, number)):
        if key in table:
            return table[key]
    return []


def _assign(people: People, rows: list[int], boxes: list[list[float]]) -> list[tuple[int, int]]:
    """Pairs (row, box) by falling overlap, each row and box once."""
    if not boxes:
        return []
    overlap = overlaps(people.boxes[rows], np.array(boxes, np.float32))
    pairs = []
    while overlap.max() >= OVERLAP:
        row, box = np.unravel_index(int(overlap.argmax()), overlap.shape)
        pairs.append((rows[int(row)], int(box)))
        overlap[row], overlap[:, box] = -1, -1
    return pairs
