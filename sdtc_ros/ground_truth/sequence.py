# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Annotated or predicted video sequences in plain dataclasses, whatever file format they came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError
from sdtc_ros.skeleton import POSETRACK, Skeleton

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass
class Person:
    """One person in one frame, truth or prediction; coordinates are image pixels.

    keypoints: K x 3 float64 (x, y, visibility flag as the file has it) in skeleton order; a joint that is not there
    is (0, 0, 0). joint_scores: K float64, NaN where the file gives none (None: it gives none).
    box, head_box: 4 float64 (left, top, width, height). flags: named K-long boolean masks over the joints
    ("occluded", "blurred"), where the data set knows them. action: what HiEve says the person does. joints_3d: K x 3
    float64 metres in the camera's optical frame, NaN where unknown, and covariances_3d: K x 3 x 3 metres squared;
    None where the file has none.
    """

    keypoints: Array
    track_id: int | None = None
    box: Array | None = None
    head_box: Array | None = None
    score: float | None = None
    joint_scores: Array | None = None
    flags: dict[str, Mask] = field(default_factory=dict)
    action: str = ""
    joints_3d: Array | None = None
    covariances_3d: Array | None = None

    @property
    def annotated(self) -> Mask:
        """K booleans: which joints are there (poseval's rule: all but (0, 0, flag 0))."""
        return np.any(self.keypoints != 0, axis=1)


def with_joints(person: Person, order: list[int]) -> Person:
    """The person with these of their joints alone, in this order."""

    def chosen(values: Array | None) -> Array | None:
        return None if values is None else values[order]

    return replace(
        person,
        keypoints=person.keypoints[order],
        joint_scores=chosen(person.joint_scores),
        flags={name: mask[order] for name, mask in person.flags.items()},
        joints_3d=chosen(person.joints_3d),
        covariances_3d=chosen(person.covariances_3d),
    )


@dataclass
class SequenceFrame:
    """One image of a sequence: `name` is its path as the file has it, `ignore` polygons M x 2 float64 (pixels).

    pointless: how many people the file lists without a list of points ; they are not among `people`. size: (width,
    height) of the image as the file says, None where it does not.
    """

    name: str
    id: int
    labelled: bool
    people: list[Person] = field(default_factory=list)
    ignore: list[Array] = field(default_factory=list)
    pointless: int = 0
    size: tuple[int, int] | None = None


@dataclass
class Sequence:
    """A video: `name` pairs truth with predictions (the file's stem), `path` is the file or folder it was read from.

    dataset: whose annotations the file holds, as its content tells (one of evaluate's protocols; None where unknown).
    """

    name: str
    frames: list[SequenceFrame]
    skeleton: Skeleton = POSETRACK
    path: Path | None = None
    dataset: str | None = None

    def with_joints_of(self, skeleton: Skeleton) -> Sequence:
        """The sequence with these of its joints alone; itself where they are its own."""
        if skeleton is self.skeleton:
            return self
        order = [self.skeleton.index(joint) for joint in skeleton.joints]
        frames = [replace(frame, people=[with_joints(one, order) for one in frame.people]) for frame in self.frames]
        return replace(self, frames=frames, skeleton=skeleton)


def size_of(image: Any) -> tuple[int, int] | None:
    """The (width, height) that an annotation file gives of one of its images; None where it does not."""
    width, height = (image.get("width"), image.get("height")) if isinstance(image, dict) else (None, None)
    if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0:
        return width, height
    return None


def check_sizes(said: Iterable[tuple[int, int] | None], size: tuple[int, int] | None, what: Path) -> None:
    """Raise InputError where a file `what` says of its images that none is of `size` (None: not known)."""
    sizes = {one for one in said if one}
    if size is not None and sizes and size not in sizes:
        width, height = min(sizes)
        raise InputError(
            f"{what} annotates images of {width} x {height}, but the input's are {size[0]} x {size[1]}; give the "
            "images that were annotated, or scale the annotations"
        )
