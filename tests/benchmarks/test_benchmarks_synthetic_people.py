# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Where labels lie against a network's answers, on people made of points."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the installed package

from benchmarks.synthetic_people import head_heights, offsets  # noqa: E402
from sdtc_ros.skeleton import POSETRACK  # noqa: E402

TORSO = 50.0


def people(turned: float, mirrored: bool, count: int = 12) -> np.ndarray:
    """Joints (count, 15, 2) of somebody upright, turned in the picture, seen from the front or from behind."""
    joints = np.zeros((15, 2))
    for number, name in enumerate(POSETRACK.joints):
        side = 0 if "_" not in name or name.startswith("head") else (1 if name.startswith("left") else -1)
        joints[number] = (12 * side, {"shoulder": 0, "hip": TORSO}.get(name.split("_")[-1], -20))
    if mirrored:
        joints[:, 0] *= -1
    cos, sin = np.cos(turned), np.sin(turned)
    return np.tile(joints @ [[cos, sin], [-sin, cos]] + 100, (count, 1, 1))


def test_offsets_are_told_in_the_body_s_frame() -> None:
    """Answers a tenth of a torso too low and a twentieth too narrow, whichever way people are turned."""
    wrong = []
    for turned, mirrored in ((0.0, False), (0.7, False), (-1.2, True), (np.pi, True)):
        joints = people(turned, mirrored)
        down = joints[0, POSETRACK.index("left_hip")] - joints[0, POSETRACK.index("left_shoulder")]
        out = joints[0, POSETRACK.index("left_hip")] - joints[0, POSETRACK.index("right_hip")]
        found = joints.copy()
        for name, sign in (("left_shoulder", 1), ("right_shoulder", -1)):
            found[:, POSETRACK.index(name)] += 0.1 * down - sign * 0.05 * TORSO * out / np.linalg.norm(out)
        rows = offsets(found, joints, np.ones((12, 15), bool))
        np.testing.assert_allclose(rows["shoulder"], [10, 5], atol=1e-6)
        np.testing.assert_allclose(rows["hip"], 0, atol=1e-6)
        wrong.append(set(rows))
    assert wrong[0] == {"shoulder", "elbow", "wrist", "hip", "knee", "ankle", "nose", "head_top", "head_bottom"}


def test_what_is_not_found_or_not_labelled_says_nothing() -> None:
    joints = people(0.0, False)
    found, known = joints.copy(), np.ones((12, 15), bool)
    found[:, POSETRACK.index("nose")] += TORSO
    known[:, POSETRACK.index("head_top")] = False
    rows = offsets(found, joints, known)
    assert not {"nose", "head_top"} & set(rows)
    known[:3, POSETRACK.index("left_hip")] = False
    assert offsets(found[:12], joints[:12], known)["shoulder"].shape == (2,)
    assert "head_bottom" not in offsets(found, joints, known)  # nine people are too few


def test_the_head_s_height_is_measured_from_the_shoulders() -> None:
    joints = people(0.9, True)
    assert np.allclose(head_heights(joints, np.ones((12, 15), bool)), 100 * 20 / TORSO)
    assert np.isnan(head_heights(joints, np.zeros((12, 15), bool))).all()
