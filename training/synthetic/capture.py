# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Motion capture for any body: poses from a BVH's joint positions alone.

Two skeletons' bones differ in their axes and rest poses, the places of their joints do not; so a limb's direction and
the plane in which it bends give its rotation, and rotations of the file are never read. The exception is MakeHuman's
own poses, made on the very skeleton that our bodies have.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from sdtc_ros.errors import InputError
from training.synthetic import rotations
from training.synthetic.bvh import Bvh, read_bvh
from training.synthetic.rig import INDEX, SEGMENTS

RATE = 30.0  # frames a second that are kept of a capture
Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # x, y up, z towards the viewer: to our z up, front -y
_LEFT = {
    "hip": ("LeftUpLeg", "LeftHip", "LeftThigh", "lThigh"),
    "knee": ("LeftLeg", "LeftKnee", "LeftShin", "lShin"),
    "ankle": ("LeftFoot", "LeftAnkle", "lFoot"),
    "toe": ("LeftToeBase", "LeftToe", "lToe"),
    "shoulder": ("LeftArm", "LeftShoulder", "lShldr"),
    "elbow": ("LeftForeArm", "LeftElbow", "lForeArm"),
    "wrist": ("LeftHand", "LeftWrist", "lHand"),
}
_NECK = ("lowerneck", "Neck", "neck", "Neck1")
_BONES = {
    "pelvis": "root", "chest": "spine01", "head": "head", "thigh": "upperleg01", "shin": "lowerleg01", "foot": "foot",
    "upper_arm": "upperarm01", "forearm": "lowerarm01", "hand": "wrist",
}  # fmt: skip


@lru_cache(maxsize=256)
def read_motion(path: Path) -> np.ndarray:
    """Poses (T, 15, 3, 3) of a capture at 30 frames a second, facing -y at its start."""
    return poses_of_points(_points(read_bvh(path, RATE), path))


@lru_cache(maxsize=64)
def read_makehuman_pose(path: Path) -> dict[str, np.ndarray]:
    """World rotation (3, 3) of every bone that a MakeHuman pose file names; the first frame."""
    bvh = read_bvh(path)
    return dict(zip(bvh.names, bvh.rotations[0], strict=True))


def makehuman_pose(path: Path, align: np.ndarray) -> np.ndarray:
    """The pose (15, 3, 3) of a MakeHuman file for a rig with this `align`."""
    bones = read_makehuman_pose(path)
    pose = np.tile(np.eye(3), (len(SEGMENTS), 1, 1))
    for segment, number in INDEX.items():
        name, _, side = segment.rpartition("_") if segment[-2:] in ("_l", "_r") else (segment, "", "")
        bone = _BONES[name] + (f".{side.upper()}" if side else "")
        if bone not in bones:
            raise InputError(f"{path} is not a pose of MakeHuman's default skeleton: it has no bone {bone}")
        pose[number] = bones[bone] @ align[number].T
    return pose


def _points(bvh: Bvh, path: Path) -> dict[str, np.ndarray]:
    """Positions (T, 3) by our names, z up."""

    def find(names: tuple[str, ...]) -> int:
        for name in names:
            if name in bvh.names:
                return bvh.names.index(name)
        raise InputError(f"{path}: its skeleton has none of the joints {', '.join(names)}")

    places = {"neck": find(_NECK), "head": find(("Head", "head"))}
    for name, choices in _LEFT.items():
        places[f"{name}_l"] = find(choices)
        places[f"{name}_r"] = find(tuple(c.replace("Left", "Right").replace("l", "r", c[0] == "l") for c in choices))
    height = bvh.positions[0, places["neck"]] - bvh.positions[0, places["ankle_l"]]
    turn = Y_UP if np.argmax(np.abs(height)) == 1 else np.eye(3)
    points = {name: bvh.positions[:, joint] @ turn.T for name, joint in places.items()}
    across = (points["hip_l"] - points["hip_r"])[0]
    heading = rotations.about("z", -np.arctan2(across[1], across[0]))
    points = {name: values @ heading.T for name, values in points.items()}
    points["head_tilt"] = heading @ turn @ bvh.rotations[:, places["head"]] @ turn.T @ heading.T
    return points


def poses_of_points(points: dict[str, np.ndarray]) -> np.ndarray:
    """Poses (T, 15, 3, 3) from joint positions (T, 3) of one person, left and right as "hip_l", "hip_r"."""
    up = points["neck"] - (points["hip_l"] + points["hip_r"]) / 2
    pelvis = rotations.frames(points["hip_l"] - points["hip_r"], up)
    chest = rotations.frames(points["shoulder_l"] - points["shoulder_r"], up)
    pose = np.empty((len(up), len(SEGMENTS), 3, 3))
    pose[:, INDEX["pelvis"]], pose[:, INDEX["chest"]] = pelvis, chest
    pose[:, INDEX["head"]] = rotations.between(chest, points["head_tilt"], 0.5)
    for side in "lr":
        joint = {name: points[f"{name}_{side}"] for name in _LEFT}
        thigh, shin = _limb(joint["knee"] - joint["hip"], joint["ankle"] - joint["knee"], pelvis, 1)
        arm, forearm = _limb(joint["elbow"] - joint["shoulder"], joint["wrist"] - joint["elbow"], chest, -1)
        pose[:, INDEX[f"thigh_{side}"]], pose[:, INDEX[f"shin_{side}"]] = thigh, shin
        pose[:, INDEX[f"upper_arm_{side}"]] = arm
        pose[:, INDEX[f"forearm_{side}"]] = pose[:, INDEX[f"hand_{side}"]] = forearm
        pose[:, INDEX[f"foot_{side}"]] = _foot(joint["toe"] - joint["ankle"], shin, joint["ankle"])
    return pose


def _limb(upper: np.ndarray, lower: np.ndarray, body: np.ndarray, bend: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotations of a limb's two parts from their directions; the joint between bends by `bend` about the x axis.

    Where the limb is nearly straight its plane is not known, and the body's own sideways axis stands in.
    """
    upper = upper / np.linalg.norm(upper, axis=1, keepdims=True)
    lower = lower / np.linalg.norm(lower, axis=1, keepdims=True)
    hinge = bend * rotations.cross(upper, lower)
    sine = np.linalg.norm(hinge, axis=1, keepdims=True)
    trust = np.clip((sine - 0.12) / 0.25, 0, 1)
    side = body[:, :, 0] - (body[:, :, 0] * upper).sum(1, keepdims=True) * upper
    length = np.linalg.norm(side, axis=1, keepdims=True)
    side = np.where(length > 0.2, side / np.maximum(length, 1e-9), body[:, :, 1])
    hinge = hinge / np.maximum(sine, 1e-9) * trust + side * (1 - trust)
    hinge -= (hinge * upper).sum(1, keepdims=True) * upper
    lower_hinge = hinge - (hinge * lower).sum(1, keepdims=True) * lower
    return rotations.frames(hinge, -upper), rotations.frames(lower_hinge, -lower)


def _foot(sole: np.ndarray, shin: np.ndarray, ankle: np.ndarray) -> np.ndarray:
    """Feet from the direction ankle to toe: its pitch against that of the foot standing still, its own heading."""
    pitch = np.arctan2(sole[:, 2], np.hypot(sole[:, 0], sole[:, 1]))
    speed = np.linalg.norm(np.gradient(ankle, axis=0), axis=1) if len(ankle) > 2 else np.zeros(len(ankle))
    flat = np.median(pitch[speed <= np.quantile(speed, 0.3)])
    heading = np.arctan2(sole[:, 0], -sole[:, 1])
    forward = np.hypot(sole[:, 0], sole[:, 1]) > 0.3 * np.linalg.norm(sole, axis=1)
    foot = rotations.about("z", heading) @ rotations.about("x", -(pitch - flat))
    return np.where(forward[:, None, None], foot, shin)
