# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Person boxes from outside a replay: from the truth, or from a file that another detector wrote.

A boxes file is JSON, in one of two forms:

- a list of boxes, `{"frame": 12, "bbox": [left, top, width, height], "score": 0.9, "track_id": 3}`; instead of `frame`
  (the frame's number in the input, from 0) a box may name its image (`image_name`), give its header stamp in
  nanoseconds (`stamp`), or, as COCO's results do, the truth's image id (`image_id`); `score` is 1 and the tracks are
  the pipeline's own where missing; of boxes with a `category_id` people's alone are taken;
- a PoseTrack18 or COCO annotation file, of which the people's `bbox`, `score` and `track_id` are taken; one of images
  of another size is refused.

Boxes are pixels. A file of fractions, or of corners (x1 y1 x2 y2), is recognised by its values and refused.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.ground_truth.categories import category_of, is_people, listed_categories, people_among
from sdtc_ros.ground_truth.frame_names import place_frames, plain_path
from sdtc_ros.ground_truth.json_input import load_json, member, numbers
from sdtc_ros.ground_truth.sequence import Person, check_sizes, size_of
from sdtc_ros.ground_truth.truth import Truth
from sdtc_ros.io.sources import Source
from sdtc_ros.options import TRUTH
from sdtc_ros.types import Boxes, Frame

Row = tuple[list[float], float, "int | None"]
Key = int | str | tuple[str, int]  # a frame's number, its image's name, ("stamp", nanoseconds) or ("image", id)
_log = logging.getLogger("sdtc_ros")
_MAX_FILLED_GAP = 12  # labelled frames of PoseTrack lie 4 apart
_CATEGORY_NAMES = ("category_name", "category", "class", "label")


class BoxTable:
    """The boxes of every frame, found by the frame's number, its image's name or its stamp."""

    def __init__(self, what: str) -> None:
        """`what` says in a report where the boxes come from."""
        self.what = what
        self._rows: dict[Key, list[Row]] = {}
        self._asked: set[Key] = set()

    def add(self, key: Key, row: Row) -> None:
        """Add a box under a frame's number (int), its image's name (str) or ('stamp', nanoseconds)."""
        self._rows.setdefault(key, []).append(row)

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def place(self, images: Sequence[str] | None, count: int | None, truth: Truth | None) -> None:
        """Find the numbers of named images in an input (see `place_frames`), and of the truth's image ids.

        Raises InputError where not one of the boxes belongs to a frame of the input.
        """
        names = [key for key in self._rows if isinstance(key, str)]
        places = place_frames(names, [], images, count, self.what) if names else None
        number = dict(zip(names, places.numbers, strict=True)) if places else {}
        stamp = dict(zip(names, places.stamps, strict=True)) if places else {}
        rows, self._rows = self._rows, {}
        for key, boxes in rows.items():
            found: Key | None = key
            if isinstance(key, str):
                found = number[key] if number[key] is not None else None
                found = ("stamp", stamp[key] or 0) if found is None and stamp[key] else found
            elif isinstance(key, tuple) and key[0] == "image":
                found = _number_of_image(key[1], truth, self.what)
            self._rows.setdefault(key if found is None else found, []).extend(boxes)
        numbered = [key for key in self._rows if isinstance(key, int)]
        if numbered == list(self._rows) and count is not None and min(numbered, default=0) >= count:
            first = min(numbered)
            raise InputError(f"{self.what}: all are of frames from number {first} on, but the input has {count}")

    def boxes(self, number: int, frame: Frame) -> Boxes:
        """The boxes of a frame; none where the table has none for it."""
        keys: tuple[Key, ...] = (number, PurePosixPath(plain_path(frame.name)).name, ("stamp", frame.stamp))
        self._asked.update(key for key in keys if key in self._rows)  # not every frame of a long input
        rows = [row for key in keys for row in self._rows.get(key, [])]
        ids = [row[2] for row in rows]
        return Boxes(
            np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
            np.array([row[1] for row in rows], np.float32),
            np.array(ids, np.int64) if rows and None not in ids else None,
        )

    def unused(self) -> int:
        """How many boxes are of frames that nobody asked for."""
        return sum(len(rows) for key, rows in self._rows.items() if key not in self._asked)

    def values(self) -> Iterator[list[float]]:
        """Every box."""
        return (row[0] for rows in self._rows.values() for row in rows)


def _number_of_image(identity: int, truth: Truth | None, what: str) -> Key:
    if truth is None:
        raise InputError(
            f"{what} identify images by 'image_id' alone; give the annotations that define these ids (--truth), or "
            "add each box's 'image_name'"
        )
    if identity in truth.number_of:
        return truth.number_of[identity]
    return ("stamp", truth.stamp_of[identity]) if identity in truth.stamp_of else ("image", identity)


def read_boxes(path: Path, size: tuple[int, int] | None = None) -> BoxTable:
    """A boxes file; size: (width, height) of the input's images, by which corners are distinguished from boxes.

    Raises InputError that says what is wrong with it where.
    """
    table = BoxTable(f"boxes from {path.name}")
    for key, row in iterate_boxes(path, with_ids=True, size=size):
        table.add(PurePosixPath(plain_path(key)).name if isinstance(key, str) else key, row)
    _check_values(np.array(list(table.values()), np.float64), size, path)
    return table


def _check_values(xywh: np.ndarray, size: tuple[int, int] | None, path: Path) -> None:
    """Raise InputError where the numbers cannot be left, top, width and height in pixels."""
    ends = xywh[:, :2] + xywh[:, 2:]
    if ends.max() <= 2 and np.abs(xywh).max() <= 2:
        raise InputError(
            f"{path}: all boxes lie between 0 and 1, like fractions of an image; give left, top, width, height in "
            "pixels"
        )
    if size is None or len(xywh) < 3:
        return
    limit = np.array(size, np.float64)
    corners = bool((xywh[:, 2:] > xywh[:, :2]).all() and (xywh[:, 2:] <= 1.02 * limit).all())
    outside = float((ends > 1.25 * limit).any(axis=1).mean())
    if corners and outside > 0.1 and len(np.unique(xywh, axis=0)) >= 3:
        raise InputError(
            f"{path}: {outside:.0%} of the boxes end far outside the {size[0]} x {size[1]} image, and all would fit as "
            "corners x1 y1 x2 y2; give left, top, width, height"
        )


def iterate_boxes(path: Path, with_ids: bool = False, size: tuple[int, int] | None = None) -> Iterator[tuple[Key, Row]]:
    """Every person's box of a boxes file under its frame's number, its image's whole name or its stamp.

    with_ids: also under ('image', id), as COCO's results have it; size: (width, height) that the images must have.
    Raises InputError.
    """
    data, empty = load_json(path), True
    if isinstance(data, dict) and "annotations" in data:
        check_sizes([size_of(image) for image in member(data, "images", list, str(path))], size, path)
        rows = _annotation_rows(data, path)
    elif isinstance(data, list):
        rows = _listed_rows(data, path, with_ids)
    else:
        raise InputError(f"{path} is not a boxes file: expected a list of boxes or a PoseTrack18 annotation file")
    for row in rows:
        empty = False
        yield row
    if empty:
        raise InputError(f"{path} contains no boxes of people")


def _annotation_rows(data: dict[str, Any], path: Path) -> Iterator[tuple[Key, Row]]:
    images = {
        member(image, "id", int, f"{path}: images[{i}]"): member(image, "file_name", str, f"{path}: images[{i}]")
        for i, image in enumerate(member(data, "images", list, str(path)))
    }
    categories = listed_categories(data, str(path))
    named = any(is_people(category) for category in categories)
    others = {category.get("id") for category in categories if named and not is_people(category)}
    for i, annotation in enumerate(member(data, "annotations", list, str(path))):
        where = f"{path}: annotations[{i}]"
        name = images.get(member(annotation, "image_id", int, where))
        if name is None:
            raise InputError(f"{where} refers to an image that is not in the file's list of images")
        if category_of(annotation) not in others - {None}:
            yield name, _row(annotation, where)


def _listed_rows(data: list[Any], path: Path, with_ids: bool) -> Iterator[tuple[Key, Row]]:
    boxes = [box for box in data if isinstance(box, dict)]
    ids = {box["category_id"] for box in boxes if isinstance(box.get("category_id"), int)}
    people, others = people_among(ids, str(path)) if ids else None, 0
    for i, box in enumerate(data):
        where = f"{path}: [{i}]"
        row = _row(box, where)
        named = any(isinstance(box.get(key), str) and not is_people({"name": box[key]}) for key in _CATEGORY_NAMES)
        if named or (people is not None and box.get("category_id", people) != people):
            others += 1
        elif "frame" in box:
            yield member(box, "frame", int, where), row
        elif "stamp" in box:
            yield ("stamp", member(box, "stamp", int, where)), row
        elif with_ids and "image_id" in box and "image_name" not in box:
            yield ("image", member(box, "image_id", int, where)), row
        else:
            yield member(box, "image_name", str, where), row
    if others:
        _log.warning("%s: %d boxes of categories other than person were ignored", path, others)


def _row(box: Any, where: str) -> Row:
    xywh = numbers(member(box, "bbox", list, where), 4, f"{where}.bbox").tolist()
    score = box.get("score", 1.0)
    if not isinstance(score, (int, float)) or not 0 <= score <= 1:
        raise InputError(f"{where}: 'score' must be between 0 and 1, got {score!r}")
    return xywh, float(score), member(box, "track_id", int, where) if box.get("track_id") is not None else None


def external_boxes(which: str, source: Source | None, truth: Truth | None) -> BoxTable:
    """The boxes of the annotations (`truth`) or of the .json file of that path, for the frames of `source`.

    source: None to check the choice alone. Raises UsageError where there are no annotations, InputError as read_boxes.
    """
    if which != TRUTH:
        table = read_boxes(Path(which), source.size if source else None)
        if source:
            table.place(source.names, source.length, truth)
        return table
    if truth is None:
        raise UsageError("detector 'truth' needs annotations; give them with --truth")
    return truth_boxes(truth)


def truth_boxes(truth: Truth) -> BoxTable:
    """The boxes of annotated people, also in unlabelled frames between two labelled ones, on a straight line.

    A window needs no boxes there; tracks, held crops and images do, to go on between the labelled frames.
    """
    table = BoxTable("ground-truth boxes")
    last: dict[int, tuple[int, list[float]]] = {}
    frames = {frame.id: frame for frame in truth.sequence.frames}
    for identity, stamp in truth.stamp_of.items():
        for person in frames[identity].people:
            if (box := person_box(person)) is not None:
                table.add(("stamp", stamp), (box, 1.0, person.track_id))
    for identity, number in sorted(truth.number_of.items(), key=lambda pair: pair[1]):
        frame = frames[identity]
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
