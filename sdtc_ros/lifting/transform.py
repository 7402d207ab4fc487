# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""From the camera's optical frame into another one: joints and their covariances under a rigid transform."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sdtc_ros.lifting.poses3d import FramePoses3D, Pose3D

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Transform:
    """p in the target frame = rotation (3 x 3) @ p + translation (3, metres)."""

    rotation: Float64Array
    translation: Float64Array

    @classmethod
    def from_quaternion(
        cls, x: float, y: float, z: float, w: float, translation: tuple[float, float, float]
    ) -> Transform:
        """From a quaternion, of any length but 0, as geometry_msgs/Transform gives it."""
        q = np.array([x, y, z, w], np.float64)
        x, y, z, w = (q / np.linalg.norm(q)).tolist()
        rotation = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ])  # fmt: skip
        return cls(rotation, np.array(translation, np.float64))


def transformed(lifted: FramePoses3D, transform: Transform) -> FramePoses3D:
    """The same people, their joints in the target frame."""
    return replace(lifted, people=[_person(person, transform) for person in lifted.people])


def _person(person: Pose3D, transform: Transform) -> Pose3D:
    rotation = transform.rotation
    joints = person.joints.astype(np.float64) @ rotation.T + transform.translation
    covariances = rotation @ person.covariances.astype(np.float64) @ rotation.T
    return replace(person, joints=joints.astype(np.float32), covariances=covariances.astype(np.float32))
