# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Person boxes from outside a replay: from the truth, or from a file that another detector wrote.

A boxes file is JSON, in one of two forms:

- a list of boxes, `{"frame": 12, "bbox": [left, top, width, height], "score": 0.9, "track_id": 3}`; instead of `frame`
  (the frame's number in the input, from 0) a box may name its image (`image_name`, the last part of the path counts)
  or give its header stamp in nanoseconds (`stamp`); `score` is 1 and the tracks are the pipeline's own where missing;
- a PoseTrack18 annotation file, of which `bbox`, `score` and `track_id` are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.json_input import load_json, member, numbers
from sdtc_ros.ground_truth.sequence import Person
from sdtc_ros.ground_truth.truth import Truth
from sdtc_ros.types import Boxes, Frame

Row = tuple[list[float], float, "int | None"]
Key = int | str | tuple[str, int]  # a frame's number, its image's name, or ("stamp", nanoseconds)
_MAX_FILLED_GAP = 12  # labelled frames of PoseTrack lie 4 apart


class BoxTable:
    """The boxes of every frame, found by the frame's number, its image's name or its stamp."""

    def __init__(self, what: str, renumber: Callable[[int, str], int] | None = None) -> None:
        """`what` says in a report where the boxes come from; renumber: (number, name) to the table's own numbers."""
        self.what, self._renumber = what, renumber
        self._rows: dict[Key, list[Row]] = {}

    def add(self, key: Key, row: Row) -> None:
        """Add a box under a frame's number (int), its image's name (str) or ('stamp', nanoseconds)."""
        self._rows.setdefault(key, []).append(row)

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def boxes(self, number: int, frame: Frame) -> Boxes:
        """The boxes of a frame; none where the table has none for it."""
        number = self._renumber(number, frame.name) if self._renumber else number
        rows = [
            row
            for key in (number, PurePosixPath(frame.name).name, ("stamp", frame.stamp))
            for row in self._rows.get(key, [])
        ]
        ids = [row[2] for row in rows]
        return Boxes(
            np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
            np.array([row[1] for row in rows], np.float32),
            np.array(ids, np.int64) if rows and None not in ids else None,
        )


def read_boxes(path: Path) -> BoxTable:
    """A boxes file; raises InputError that says what is wrong with it where."""
    table = BoxTable(f"boxes from {path.name}")
    for key, row in iterate_boxes(path):
        table.add(PurePosixPath(key).name if isinstance(key, str) else key, row)
    return table


def iterate_boxes(path: Path) -> Iterator[tuple[Key, Row]]:
    """Every box of a boxes file under its frame's number, its image's whole name or its stamp; raises InputError."""
    data, empty = load_json(path), True
    if isinstance(data, dict) and "annotations" in data:
        rows = _annotation_rows(data, path)
    elif isinstance(data, list):
        rows = _listed_rows(data, path)
    else:
        raise InputError(f"{path} is no boxes file: expected a list of boxes or a PoseTrack18 annotation file")
    for row in rows:
        empty = False
        yield row
    if empty:
        raise InputError(f"{path} holds no boxes")


def _annotation_rows(data: dict[str, Any], path: Path) -> Iterator[tuple[Key, Row]]:
    images = {
        member(image, "id", int, f"{path}: images[{i}]"): member(image, "file_name", str, f"{path}: images[{i}]")
        for i, image in enumerate(member(data, "images", list, str(path)))
    }
    for i, annotation in enumerate(member(data, "annotations", list, str(path))):
        where = f"{path}: annotations[{i}]"
        name = images.get(member(annotation, "image_id", int, where))
        if name is None:
            raise InputError(f"{where} belongs to an image that is not among the file's images")
        yield name, _row(annotation, where)


def _listed_rows(data: list[Any], path: Path) -> Iterator[tuple[Key, Row]]:
    for i, box in enumerate(data):
        where = f"{path}: [{i}]"
        row = _row(box, where)
        if "frame" in box:
            yield member(box, "frame", int, where), row
        elif "stamp" in box:
            yield ("stamp", member(box, "stamp", int, where)), row
        else:
            yield member(box, "image_name", str, where), row


def _row(box: Any, where: str) -> Row:
    xywh = numbers(member(box, "bbox", list, where), 4, f"{where}.bbox").tolist()
    score = box.get("score", 1.0)
    if not isinstance(score, (int, float)) or not 0 <= score <= 1:
        raise InputError(f"{where}: 'score' must lie in 0 to 1, but is {score!r}")
    return xywh, float(score), member(box, "track_id", int, where) if box.get("track_id") is not None else None


def truth_boxes(truth: Truth) -> BoxTable:
    """The boxes of annotated people, also in unlabelled frames between two labelled ones, on a straight line.

    Without boxes there, a window around a labelled frame would know its person in that one frame only.
    """
    table = BoxTable("ground-truth boxes", truth.number)
    last: dict[int, tuple[int, list[float]]] = {}
    numbered = [(truth.number_of[frame.id], frame) for frame in truth.sequence.frames]
    for number, frame in sorted(numbered, key=lambda pair: pair[0]):
        for person in frame.people:
            box = person_box(person)
            if box is None:
                continue
            table.add(number, (box, 1.0, person.track_id))
            if person.track_id is not None:
                _fill(table, last.get(person.track_id), number, box, person.track_id)
                last[person.track_id] = number, box
    return table


def _fill(table: BoxTable, before: tuple[int, list[float]] | None, number: int, box: list[float], track: int) -> None:
    """Boxes between two frames of a track, where the gap is a data set's and not a disappearance."""
    if before is None or number - before[0] > _MAX_FILLED_GAP:
        return
    for between in range(before[0] + 1, number):
        part = (between - before[0]) / (number - before[0])
        table.add(between, ([a + part * (b - a) for a, b in zip(before[1], box, strict=True)], 1.0, track))


def person_box(person: Person) -> list[float] | None:
    """The annotated box, else (PoseTrack17 has none) that of the joints, widened by 15 % on every side."""
    if person.box is not None:
        return [float(v) for v in person.box]
    points = person.keypoints[person.annotated, :2]
    if not len(points):
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.15 * (high - low)
    return [*(low - margin).tolist(), *(high - low + 2 * margin).tolist()]
