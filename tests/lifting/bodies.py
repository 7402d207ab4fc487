# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""People of spheres before a wall: a depth image whose joints are known exactly."""

from __future__ import annotations

import numpy as np

from sdtc_ros.lifting.body import body_of
from sdtc_ros.lifting.camera import CameraModel
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.types import Frame, FramePoses, Pose

SIZE = 640, 480
CAMERA = CameraModel(np.array([[525.0, 0, 319.5], [0, 525.0, 239.5], [0, 0, 1]]), np.zeros(5), "")
WALL = 6.0

# metres, y down, facing the camera, hips' middle at the origin
STANDING = {
    "nose": (0, -0.68, -0.08), "head_bottom": (0, -0.56, 0), "head_top": (0, -0.85, 0),
    "left_shoulder": (0.19, -0.5, 0), "right_shoulder": (-0.19, -0.5, 0),
    "left_elbow": (0.3, -0.25, 0.02), "right_elbow": (-0.28, -0.25, -0.1),
    "left_wrist": (0.35, 0.0, -0.02), "right_wrist": (-0.22, -0.12, -0.3),
    "left_hip": (0.1, 0, 0), "right_hip": (-0.1, 0, 0),
    "left_knee": (0.12, 0.42, -0.05), "right_knee": (-0.12, 0.42, 0.0),
    "left_ankle": (0.12, 0.82, 0.02), "right_ankle": (-0.13, 0.82, 0.05),
}  # fmt: skip


def person(x: float, z: float, y: float = 0.1) -> np.ndarray:
    """K x 3 joints (metres, optical frame) of somebody who stands there."""
    return np.array([STANDING[joint] for joint in POSETRACK.joints]) + [x, y, z]


def depth_image(people: list[np.ndarray], wall: float = WALL) -> np.ndarray:
    """H x W float32 metres: limbs as chains of spheres whose radius is the joint's offset under the skin."""
    depth = np.full((SIZE[1], SIZE[0]), wall, np.float32)
    body = body_of(POSETRACK)
    radii = np.maximum(body.offsets + body.fronts, 0.02)  # they face the camera
    for joints in people:
        for a, b in POSETRACK.limbs:
            for share in np.linspace(0, 1, 25):
                _sphere(depth, joints[a] * (1 - share) + joints[b] * share, radii[a] * (1 - share) + radii[b] * share)
    return depth


def _sphere(depth: np.ndarray, centre: np.ndarray, radius: float) -> None:
    """Draw a sphere: the nearer root of |t ray - centre| = radius at every pixel it covers."""
    x, y = (CAMERA.matrix @ (centre / centre[2]))[:2]
    reach = 525 * radius / (centre[2] - radius) + 2
    left, right = max(int(x - reach), 0), min(int(x + reach) + 1, SIZE[0])
    top, bottom = max(int(y - reach), 0), min(int(y + reach) + 1, SIZE[1])
    if left >= right or top >= bottom:
        return
    columns, rows = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
    rays = CAMERA.rays(np.column_stack([columns.ravel(), rows.ravel()])).reshape(*columns.shape, 3)
    along, square = rays @ centre, (rays**2).sum(axis=-1)
    inside = along**2 - square * (centre @ centre - radius**2)
    t = (along - np.sqrt(np.maximum(inside, 0))) / square
    part = depth[top:bottom, left:right]
    np.minimum(part, np.where(inside > 0, t, np.inf), out=part)


def poses(people: list[np.ndarray], stamp: int = 1_000_000_000, deviation: float = 3.0) -> FramePoses:
    """The people's exact keypoints as a pipeline gives them, covariance deviation² in both directions."""
    found = []
    for number, joints in enumerate(people):
        pixels = (joints / joints[:, 2:]) @ CAMERA.matrix.T
        keypoints = np.column_stack([pixels[:, :2], np.full(len(joints), 0.9)]).astype(np.float32)
        low, high = pixels[:, :2].min(axis=0), pixels[:, :2].max(axis=0)
        covariance = np.tile(np.float32([deviation**2, 0, deviation**2]), (len(joints), 1))
        found.append(Pose(number + 1, np.float32([*low, *(high - low)]), 0.9, keypoints, covariance, 0.9))
    return FramePoses(Frame(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), stamp, "camera"), found)
