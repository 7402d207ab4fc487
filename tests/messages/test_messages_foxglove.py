# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
import numpy as np

from sdtc_ros.messages.foxglove import ANNOTATIONS_TYPE, LINE_LIST, POINTS, to_image_annotations
from sdtc_ros.messages.typestore import typestore
from sdtc_ros.skeleton import POSETRACK
from tests.lifting.bodies import person, poses


def annotations(result):
    message = to_image_annotations(result, POSETRACK, lambda name: typestore().types[name])
    data = typestore().serialize_cdr(message, ANNOTATIONS_TYPE)
    return typestore().deserialize_cdr(data, ANNOTATIONS_TYPE)


def test_lines_points_and_id_of_every_person():
    result = poses([person(0, 3), person(0.5, 4)], stamp=5_000_000_007)
    message = annotations(result)
    lines, dots = message.points[:2]
    assert (lines.type, dots.type) == (LINE_LIST, POINTS)
    assert len(lines.points) == 2 * len(POSETRACK.limbs) == 2 * len(lines.outline_colors)
    assert len(dots.points) == len(dots.outline_colors) == 15
    np.testing.assert_allclose([dots.points[4].x, dots.points[4].y], result.poses[0].keypoints[4, :2] + 0.5)
    assert (lines.timestamp.sec, lines.timestamp.nanosec) == (5, 7)
    assert [text.text for text in message.texts] == ["1", "2"]


def test_joints_that_pictures_leave_out_are_left_out_here_too():
    result = poses([person(0, 3)])
    result.poses[0].keypoints[3, 2] = 0.01
    result.poses[0].keypoints[5, 0] = np.nan
    lines, dots = annotations(result).points
    assert len(dots.points) == 13
    assert len(lines.points) < 2 * len(POSETRACK.limbs)
    assert annotations(poses([])).points == []
