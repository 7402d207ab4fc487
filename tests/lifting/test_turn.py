# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How people are turned against the camera."""

from __future__ import annotations

import numpy as np
import pytest

from sdtc_ros.lifting.body import body_of
from sdtc_ros.lifting.turn import turned
from sdtc_ros.skeleton import COCO, POSETRACK, Skeleton
from tests.lifting.bodies import person

BODY = body_of(POSETRACK)


def turned_by(degrees: float, known: np.ndarray | None = None, depth: bool = False) -> np.ndarray:
    """The sine and cosine of somebody at 3 metres, turned to his right by so much; of his place in the image alone."""
    angle = np.radians(degrees)
    joints = person(0, 0) @ np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    joints = joints + [0, 0, 3]
    depths = joints[None, :, 2] if depth else np.full((1, len(joints)), np.nan)
    known = np.ones(len(joints), bool) if known is None else known
    return turned((joints / joints[:, 2:])[None], depths, known[None], np.array([3.0]), BODY)[0]


@pytest.mark.parametrize("depth", [False, True])
@pytest.mark.parametrize(("degrees", "sine", "cosine"), [(0, 0, 1), (180, 0, -1), (90, -1, 0), (-90, 1, 0)])
def test_the_nose_and_the_shoulders_say_it(degrees: float, sine: float, cosine: float, depth: bool) -> None:
    np.testing.assert_allclose(turned_by(degrees, depth=depth), [sine, cosine], atol=0.12)


def test_without_a_nose_depth_says_it() -> None:
    known = np.ones(len(POSETRACK), bool)
    known[POSETRACK.index("nose")] = False
    sine, cosine = turned_by(-50, known, depth=True)
    assert 0.6 < sine < 0.9
    assert 0.45 < cosine < 0.8


def test_of_whom_nothing_is_known_faces_the_camera() -> None:
    np.testing.assert_array_equal(turned_by(70, np.zeros(len(POSETRACK), bool)), [0, 1])


@pytest.mark.parametrize("skeleton", [POSETRACK, COCO])
def test_left_and_right_are_opposite(skeleton: Skeleton) -> None:
    body = body_of(skeleton)
    left, right = (skeleton.index(f"{side}_shoulder") for side in ("left", "right"))
    assert body.turns[right] == -body.turns[left] > 0
    assert skeleton.joints[body.nose] == "nose"
