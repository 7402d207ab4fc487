# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Annotated and predicted sequences as the frames that `joints3d` compares."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sdtc_ros.errors import InputError
from sdtc_ros.evaluate.joints3d import Joints3D
from sdtc_ros.ground_truth.sequence import Person, Sequence

OCCLUDED = "occluded"  # the flag of joints that the camera does not see


def frames_in_space(truth: list[Sequence], predictions: list[Sequence]) -> Iterator[tuple[Joints3D, Joints3D]]:
    """Pairs (ground truth, predictions) of the frames that have the same image id, sequence by sequence.

    Raises InputError where a sequence has no predictions, or the ground truth has no joints in space.
    """
    by_name = {sequence.name: sequence for sequence in predictions}
    for sequence in truth:
        if sequence.name not in by_name:
            raise InputError(f"sequence {sequence.name} has no predictions among {', '.join(by_name) or 'none'}")
        predicted = {frame.id: frame for frame in by_name[sequence.name].frames}
        if not any(person.joints_3d is not None for frame in sequence.frames for person in frame.people):
            raise InputError(f"{sequence.path or sequence.name} has no 'joints_3d'")
        for frame in sequence.frames:
            if frame.id in predicted:
                count = len(sequence.skeleton)
                yield _joints(frame.people, count), _joints(predicted[frame.id].people, count)


def _joints(people: list[Person], count: int) -> Joints3D:
    """The people who have a box, whose joints in space may be unknown."""
    boxed = [(person, person.box) for person in people if person.box is not None]
    joints = np.full((len(boxed), count, 3), np.nan, np.float32)
    covariances = np.full((len(boxed), count, 3, 3), np.nan, np.float32)
    visible = np.ones((len(boxed), count), bool)
    for row, (person, _) in enumerate(boxed):
        if person.joints_3d is not None:
            joints[row] = person.joints_3d
        if person.covariances_3d is not None:
            covariances[row] = person.covariances_3d
        if OCCLUDED in person.flags:
            visible[row] = ~person.flags[OCCLUDED]
    boxes = np.array([box for _, box in boxed], np.float32).reshape(-1, 4)
    return Joints3D(boxes, joints, visible, covariances)
