# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Single photographs of people with joints labelled by hand, and how many of the joints somebody finds.

A set is a folder with `people.json`: {"people": [{"file": a picture beside it, "box": [x, y, w, h], "joints": {name:
[x, y, visibility]}}]}, in image pixels. PCK@0.2 over shoulders to ankles: a joint is right within 0.2 of the mean
torso diagonal, or 0.1 of the box's longer side where the torso is not labelled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sdtc_ros.errors import UsageError

PEOPLE = "people.json"
BODY = tuple(
    f"{side}_{joint}"
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)  # fmt: skip
TORSO = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))
Joints = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Photograph:
    """A picture and its people: boxes N x 4 float32 (x, y, w, h), joints of each by name, image pixels."""

    path: Path
    boxes: Any
    joints: list[Joints]

    def image(self) -> Any:
        """H x W x 3 uint8 BGR; raises UsageError where it cannot be read."""
        image = cv2.imread(str(self.path))
        if image is None:
            raise UsageError(f"{self.path} cannot be read as a picture")
        return image


def read_sets(folder: Path, most: int | None = None) -> dict[str, list[Photograph]]:
    """The sets in a folder by name, or the one that it is; most: people of each. Raises UsageError for none."""
    places = [folder] if (folder / PEOPLE).is_file() else sorted(path.parent for path in folder.glob(f"*/{PEOPLE}"))
    if not places:
        raise UsageError(f"{folder} holds no {PEOPLE}, nor does a folder in it")
    return {place.name: _read(place, most) for place in places}


def _read(folder: Path, most: int | None) -> list[Photograph]:
    try:
        people = json.loads((folder / PEOPLE).read_text(encoding="utf-8"))["people"][:most]
        by_file: dict[str, list[Any]] = {}
        for person in people:
            by_file.setdefault(person["file"], []).append(person)
        return [
            Photograph(
                folder / file,
                np.array([person["box"] for person in group], np.float32).reshape(len(group), 4),
                [{name: (at[0], at[1]) for name, at in person["joints"].items()} for person in group],
            )
            for file, group in by_file.items()
        ]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UsageError(f"{folder / PEOPLE} cannot be used ({type(error).__name__}: {str(error)[:100]})") from error


def reach(box: Any, truth: Mapping[str, Sequence[float]]) -> float:
    """How far a joint that is found may lie from its label, image pixels."""
    torsos = [np.hypot(*np.subtract(truth[a][:2], truth[b][:2])) for a, b in TORSO if a in truth and b in truth]
    return float(0.2 * np.mean(torsos) if torsos else 0.1 * max(box[2:]))


def hits(box: Any, truth: Joints, found: Joints) -> list[bool]:
    """For every labelled joint of the body, whether it was found."""
    radius = reach(box, truth)
    return [
        bool(name in found and np.hypot(*np.subtract(found[name], at)) <= radius)
        for name, at in truth.items()
        if name in BODY
    ]
