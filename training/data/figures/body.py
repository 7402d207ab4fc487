# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A person's looks and how the body stands at a moment: joint angles -> joints in three dimensions.

Body frame: x forward, y up, z to the person's own left, in units of the body's height; the ground is y = 0. Proportions
are those of drawing manuals (a head is about 1/7.5 of the height).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtc_ros.skeleton import POSETRACK
from training.data.figures.motion import Angles

Vector = npt.NDArray[np.float64]
Colour = npt.NDArray[np.float64]  # B, G, R in 0..255

THIGH, SHIN, UPPER_ARM, FOREARM, HAND = 0.245, 0.245, 0.165, 0.145, 0.05
ANKLE_HEIGHT, NECK, SHOULDERS, CHEST = 0.035, 0.345, 0.30, 0.20  # above the ground; above the hips
HEAD_TOP, HEAD_CENTRE = 0.135, 0.075  # above the neck

LEFT, RIGHT = 0, 1
SIDES = ((LEFT, 1.0), (RIGHT, -1.0))
_JOINT = {name: i for i, name in enumerate(POSETRACK.joints)}
NOSE, NECK_JOINT, TOP = _JOINT["nose"], _JOINT["head_bottom"], _JOINT["head_top"]
SHOULDER, ELBOW, WRIST = _JOINT["left_shoulder"], _JOINT["left_elbow"], _JOINT["left_wrist"]  # the right one is next
HIP, KNEE, ANKLE = _JOINT["left_hip"], _JOINT["left_knee"], _JOINT["left_ankle"]


@dataclass(frozen=True)
class Looks:
    """Proportions (parts of the height) and clothes of one person."""

    shoulder_width: float
    hip_width: float
    girth: float  # how thick limbs and trunk are, 1 is average
    head_size: float
    skin: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    hair: Colour
    sleeves: int  # 0 none, 1 to the elbow, 2 to the wrist
    legs: int  # 0 short, 1 to the knee, 2 to the ankle
    stripes: Colour | None
    bag: Colour | None


def random_colour(random: np.random.Generator, low: float = 10, high: float = 235) -> Colour:
    """A uniform colour."""
    return np.asarray(random.uniform(low, high, 3))


def random_looks(random: np.random.Generator) -> Looks:
    """Someone; nearly half wear dark clothes, as people in streets do."""
    dark = random.random() < 0.45
    skin = np.sort([random.uniform(60, 190), random.uniform(80, 205), random.uniform(110, 235)])
    brown = random.uniform(5, 90) * np.array([0.6, 0.8, 1.0])
    return Looks(
        shoulder_width=random.uniform(0.10, 0.135),
        hip_width=random.uniform(0.055, 0.075),
        girth=random.uniform(0.75, 1.35),
        head_size=random.uniform(0.9, 1.12),
        skin=skin,
        shirt=random_colour(random, 5, 90) if dark else random_colour(random),
        trousers=random_colour(random, 5, 80) if random.random() < 0.6 else random_colour(random),
        shoes=random_colour(random, 5, 200),
        hair=brown if random.random() < 0.85 else random_colour(random, 90, 220),
        sleeves=int(random.choice(3, p=[0.2, 0.3, 0.5])),
        legs=int(random.choice(3, p=[0.1, 0.2, 0.7])),
        stripes=random_colour(random) if random.random() < 0.35 else None,
        bag=random_colour(random) if random.random() < 0.2 else None,
    )


@dataclass(frozen=True)
class Body:
    """A body at a moment, in its body frame: joints 15 x 3 (POSETRACK's order) and the other points that are drawn."""

    joints: Vector
    toes: Vector  # 2 x 3, left and right
    hands: Vector  # 2 x 3
    eyes: Vector  # 2 x 3
    head: Vector
    hair: Vector
    mouth: Vector
    chest: Vector
    back: Vector

    def points(self) -> Vector:
        """All points, N x 3: joints first."""
        single = np.stack([self.head, self.hair, self.mouth, self.chest, self.back])
        return np.concatenate([self.joints, self.toes, self.hands, self.eyes, single])


def body_from_points(points: Vector) -> Body:
    """The inverse of `Body.points`, for points that were moved together."""
    joints, toes, hands, eyes = points[:15], points[15:17], points[17:19], points[19:21]
    return Body(joints, toes, hands, eyes, *points[21:26])


def pose_body(looks: Looks, angles: Angles) -> Body:
    """Forward kinematics: the body of `looks` at `angles`, the lower foot on the ground (or `hop` above it)."""
    joints = np.zeros((15, 3))
    knees = [_hang(angles.hip[side], THIGH, sign * 0.01) for side, sign in SIDES]
    shins = [_hang(angles.hip[side] - angles.knee[side], SHIN, 0.0) for side, _ in SIDES]
    lowest = min(knees[side][1] + shins[side][1] for side, _ in SIDES)
    pelvis = np.array([0.0, ANKLE_HEIGHT + angles.hop - lowest, 0.0])
    toes, hands = np.zeros((2, 3)), np.zeros((2, 3))
    for side, sign in SIDES:
        joints[HIP + side] = pelvis + (0, 0, sign * looks.hip_width)
        joints[KNEE + side] = joints[HIP + side] + knees[side]
        joints[ANKLE + side] = joints[KNEE + side] + shins[side]
        tilt = 0.6 * (angles.hip[side] - angles.knee[side])
        toes[side] = joints[ANKLE + side] + (0.075 * np.cos(tilt), 0.04 * np.sin(tilt) - 0.03, 0.012 * sign)
    joints[NECK_JOINT] = _above(pelvis, NECK, angles.lean)
    for side, sign in SIDES:
        twisted = (sign * np.sin(angles.twist), 0.0, sign * np.cos(angles.twist))
        shoulder = _above(pelvis, SHOULDERS, angles.lean) + looks.shoulder_width * np.array(twisted)
        out = np.sin(angles.spread[side])
        upper = _hang(angles.shoulder[side], UPPER_ARM * np.cos(angles.spread[side]), sign * out * UPPER_ARM)
        inwards = out - 0.35 * max(0.0, np.sin(angles.elbow[side]))
        reach = np.sqrt(max(0.0, 1 - inwards**2))
        fore = np.array(_hang(angles.shoulder[side] + angles.elbow[side], reach, sign * inwards))
        joints[SHOULDER + side], joints[ELBOW + side] = shoulder, shoulder + upper
        joints[WRIST + side] = joints[ELBOW + side] + FOREARM * fore
        hands[side] = joints[WRIST + side] + HAND * fore
    return _with_head(looks, angles, joints, toes, hands, pelvis)


def _with_head(looks: Looks, angles: Angles, joints: Vector, toes: Vector, hands: Vector, pelvis: Vector) -> Body:
    """Add the head, which looks `angles.look` to the person's left."""
    size = looks.head_size
    ahead = np.array([np.cos(angles.look), 0.0, np.sin(angles.look)])
    aside = np.array([-np.sin(angles.look), 0.0, np.cos(angles.look)])
    head = joints[NECK_JOINT] + (0.015, HEAD_CENTRE * size, 0)
    joints[TOP] = joints[NECK_JOINT] + (0.01, HEAD_TOP * size, 0)
    joints[NOSE] = head + 0.062 * size * ahead + (0, -0.012, 0)
    eyes = np.stack([head + 0.055 * size * ahead + sign * 0.022 * aside + (0, 0.012, 0) for _, sign in SIDES])
    return Body(
        joints=joints, toes=toes, hands=hands, eyes=eyes, head=head,
        hair=head - 0.02 * size * ahead + (0, 0.02, 0), mouth=head + 0.056 * size * ahead + (0, -0.035, 0),
        chest=_above(pelvis, CHEST, angles.lean), back=_above(pelvis, CHEST, angles.lean, forward=-0.07),
    )  # fmt: skip


def _hang(angle: float, length: float, aside: float) -> Vector:
    """A limb that hangs down and is swung forward by `angle` (radians); `aside` along z."""
    return np.array([np.sin(angle) * length, -np.cos(angle) * length, aside])


def _above(pelvis: Vector, height: float, lean: float, forward: float = 0.0) -> Vector:
    """A point of the trunk, which leans forward by `lean` radians."""
    return pelvis + np.array(
        [np.sin(lean) * height + np.cos(lean) * forward, np.cos(lean) * height - np.sin(lean) * forward, 0.0]
    )
