# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Poses from joint angles: the reference figure bent by hand-made or drawn numbers."""

from __future__ import annotations

import numpy as np

from training.synthetic import rotations
from training.synthetic.rig import INDEX, SEGMENTS

_TRUNK = (
    "pelvis_turn", "pelvis_pitch", "pelvis_roll", "spine_turn", "spine_bend", "spine_lean",
    "head_turn", "head_nod", "head_lean",
)  # fmt: skip
_LIMBS = (
    "hip_flex", "hip_out", "hip_turn", "knee", "toe_down", "foot_free",
    "arm_flex", "arm_out", "arm_turn", "elbow", "palm", "wrist",
)  # fmt: skip
ANGLES = (*_TRUNK, *(f"{name}_l" for name in _LIMBS), *(f"{name}_r" for name in _LIMBS))
"""Degrees, all but foot_free: 0 keeps a foot level with the ground, 1 square to its shin."""
ANGLE = {name: number for number, name in enumerate(ANGLES)}


def pose_of_angles(angles: np.ndarray) -> np.ndarray:
    """Poses (T, 15, 3, 3) of `angles` (T, A), in the order of ANGLES."""
    value = {name: np.radians(angles[:, number]) for name, number in ANGLE.items()}

    def turn(axis: str, name: str, sign: float = 1) -> np.ndarray:
        return rotations.about(axis, sign * value[name])

    pose = np.empty((len(angles), len(SEGMENTS), 3, 3))
    pelvis = turn("z", "pelvis_turn") @ turn("x", "pelvis_pitch") @ turn("y", "pelvis_roll")
    chest = pelvis @ turn("z", "spine_turn") @ turn("x", "spine_bend") @ turn("y", "spine_lean")
    pose[:, INDEX["pelvis"]], pose[:, INDEX["chest"]] = pelvis, chest
    pose[:, INDEX["head"]] = chest @ turn("z", "head_turn") @ turn("x", "head_nod") @ turn("y", "head_lean")
    for side, sign in (("l", 1), ("r", -1)):
        hip = pelvis @ turn("y", f"hip_out_{side}", -sign) @ turn("x", f"hip_flex_{side}", -1)
        thigh = hip @ turn("z", f"hip_turn_{side}", sign)
        shin = thigh @ turn("x", f"knee_{side}")
        arm = chest @ turn("y", f"arm_out_{side}", -sign) @ turn("x", f"arm_flex_{side}", -1)
        arm = arm @ turn("z", f"arm_turn_{side}", sign)
        forearm = arm @ turn("x", f"elbow_{side}", -1)
        toe_down = turn("x", f"toe_down_{side}")
        free = np.clip(angles[:, ANGLE[f"foot_free_{side}"]], 0, 1)
        pose[:, INDEX[f"thigh_{side}"]], pose[:, INDEX[f"shin_{side}"]] = thigh, shin
        pose[:, INDEX[f"foot_{side}"]] = rotations.between(_level(thigh, shin) @ toe_down, shin @ toe_down, free)
        pose[:, INDEX[f"upper_arm_{side}"]], pose[:, INDEX[f"forearm_{side}"]] = arm, forearm
        hand = forearm @ turn("z", f"palm_{side}", -sign) @ turn("x", f"wrist_{side}", -1)
        pose[:, INDEX[f"hand_{side}"]] = hand
    return pose


def _level(thigh: np.ndarray, shin: np.ndarray) -> np.ndarray:
    """Rotations about z alone, towards where the shin's front points (the thigh's, where the shin lies level)."""
    forward = -shin[:, :, 1] - 0.3 * thigh[:, :, 1]
    return rotations.about("z", np.arctan2(forward[:, 0], -forward[:, 1]))
