# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Detector boxes in place of the annotated ones, for validation: which box is whose.

A file is what `sdtc_ros.io.boxes_file` reads: PoseTrack18 JSON, or a list of boxes with `image_name` (as the
`val_boxes.json` of the field's public code); boxes of several sequences are told apart by the image's folder. A folder
has one such file a sequence, named as its annotations; there a list may also count `frame`s from 0.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from sdtc_ros.detection.boxes import overlaps
from sdtc_ros.errors import InputError
from sdtc_ros.io.boxes_file import iterate_boxes
from training.data.index import Index, IntArray, People, Video

OVERLAP = 0.5  # a box is a person's where the intersection is at least this share of the union

FloatArray = npt.NDArray[np.float32]
_Key = tuple[str, str | int]  # sequence, and the image's stem or number


@dataclass(frozen=True)
class Matches:
    """Boxes of usable people: `rows` M int64 into `people`, `boxes` M x 4 float32 (xywh), `scores` M float32.

    missed: usable people whom no box overlaps enough; source: says where the boxes are from.
    """

    rows: IntArray
    boxes: FloatArray
    scores: FloatArray
    missed: int
    source: str


def match_detections(index: Index, path: Path, min_score: float = 0.2) -> Matches:
    """Give each usable person the detector box that overlaps most, every box once, the best overlaps first.

    Boxes scored under min_score are dropped. Raises InputError where the file cannot be read or fits no frame.
    """
    table = read_detections(path)
    people = index.people
    by_frame: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in np.flatnonzero(people.usable).tolist():
        by_frame[int(people.video[row]), int(people.frame[row])].append(row)
    found: list[tuple[int, list[float], float]] = []
    fitting = 0
    for (video, frame), rows in by_frame.items():
        detections = _of_frame(table, index.videos[video], frame)
        fitting += bool(detections)
        kept = [d for d in detections if d[1] >= min_score]
        found += [(row, *kept[d]) for row, d in _assign(people, rows, [box for box, _ in kept])]
    if not fitting:
        named = next(iter(table))
        raise InputError(
            f"{path}: none of its boxes belongs to a labelled frame of {index.summary.dataset}, split "
            f"'{index.summary.split}'; its first is of sequence '{named[0]}', image {named[1]}"
        )
    found.sort()
    usable = int(people.usable.sum())
    return Matches(
        rows=np.array([row for row, _, _ in found], np.int64),
        boxes=np.array([box for _, box, _ in found], np.float32).reshape(-1, 4),
        scores=np.array([score for _, _, score in found], np.float32),
        missed=usable - len(found),
        source=f"detector boxes from {path.name}, {len(found)} of {usable} people found",
    )


def read_detections(path: Path) -> dict[_Key, list[tuple[list[float], float]]]:
    """Boxes (xywh) and scores by sequence and image; raises InputError for a file or folder that cannot be read."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
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
