# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What lifting gives: people's joints in metres, with covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtc_ros.types import FramePoses, Pose

OBSERVED, PROPAGATED, UNKNOWN = 1, 2, 0  # a joint's `state`


@dataclass(frozen=True)
class Pose3D:
    """One person's joints in space.

    pose: the same person in the image; joints: K x 3 float32, metres in the camera's optical frame (x right, y down,
    z forward; REP 103), NaN where unknown; covariances: K x 3 x 3 float32, metres squared, NaN where unknown; scores:
    K float32, the joint's score in the image, 0 where unknown; states: K uint8, OBSERVED in this frame's depth,
    PROPAGATED from an earlier frame's, or UNKNOWN.
    """

    pose: Pose
    joints: npt.NDArray[np.float32]
    covariances: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    states: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class FramePoses3D:
    """The people of one keyframe in space, in the order of `source.poses`."""

    source: FramePoses
    people: list[Pose3D]
