# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Markers and camera models: what is placed in space projects back onto the pixel it came from."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from sdtc_ros.colours import LEFT, MIDDLE, joint_colours
from sdtc_ros.errors import InputError
from sdtc_ros.messages.camera_model import camera_model, scaled_info
from sdtc_ros.messages.markers import ADD, DELETE_ALL, LINE_LIST, SPHERE_LIST, TEXT, place_in_space, to_markers
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.types import Frame, FramePoses, Pose

SIZE = (640, 480)
MATRIX = np.array([[500.0, 0, 330], [0, 510, 235], [0, 0, 1]])
BARREL = [-0.3, 0.1, 0.001, -0.001, 0.0]


def camera_info(d: list[float] | None = None, model: str = "plumb_bob", **changes: Any) -> Any:
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    p = np.column_stack([MATRIX, [-50.0, 0, 0]])
    info = SimpleNamespace(
        width=640, height=480, k=MATRIX.reshape(-1), p=p.reshape(-1), d=d or [], distortion_model=model, roi=roi,
        binning_x=0, binning_y=0, header="h",
    )  # fmt: skip
    for name, value in changes.items():
        setattr(info, name, value)
    return info


def person(box: tuple[float, ...] = (200, 100, 100, 250), track: int = 7) -> Pose:
    rng = np.random.default_rng(1)
    x, y, w, h = box
    points = np.column_stack([rng.uniform(x, x + w, 15), rng.uniform(y, y + h, 15), rng.uniform(0.3, 1, 15)])
    return Pose(track, np.array(box, np.float32), 0.9, points.astype(np.float32), np.ones((15, 3), np.float32), 0.8)


@pytest.mark.parametrize(
    ("d", "model"),
    [(None, ""), (BARREL, "plumb_bob"), ([0.1, -0.2, 0, 0, 0.05, 0.1, 0.01, 0.02], "rational_polynomial"),
     ([-0.01, 0.02, -0.01, 0.002], "equidistant")],
)  # fmt: skip
def test_rays_go_through_their_pixels(d: list[float] | None, model: str) -> None:
    camera = camera_model(camera_info(d, model), SIZE)
    pixels = np.array([[330.0, 235.0], [100, 80], [600, 400], [20.5, 460.25]])
    rays = camera.rays(pixels)
    project = cv2.fisheye.projectPoints if model == "equidistant" else cv2.projectPoints
    none = np.zeros(3)
    if model == "equidistant":
        back = project(rays.reshape(-1, 1, 3), none, none, MATRIX, np.array(d))[0]
    else:
        back = project(rays, none, none, MATRIX, np.array(d or [0.0] * 5))[0]
    np.testing.assert_allclose(back.reshape(-1, 2), pixels, atol=0.1)
    np.testing.assert_array_equal(rays[:, 2], 1)
    if not d:
        np.testing.assert_allclose(rays[1], [(100 - 330) / 500, (80 - 235) / 510, 1])


def test_no_pixels_no_rays() -> None:
    assert camera_model(camera_info(), SIZE).rays(np.zeros((0, 2))).shape == (0, 3)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"k": np.zeros(9)}, "not calibrated"),
        ({"d": [0.1], "distortion_model": "thin_prism"}, "unknown distortion model 'thin_prism'"),
        ({"width": 1280, "height": 960}, "is for images of 1280 x 960 pixels, but they have 640 x 480"),
    ],
)
def test_a_camera_that_cannot_be_used_is_refused_with_the_reason(changes: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        camera_model(camera_info(**changes), SIZE)


def test_region_and_binning_are_part_of_the_sent_image() -> None:
    """A pixel of the sent image and the sensor's pixel behind it have one ray."""
    roi = SimpleNamespace(x_offset=100, y_offset=40, width=400, height=300)
    whole = camera_model(camera_info(BARREL), SIZE)
    part = camera_model(camera_info(BARREL, roi=roi, binning_x=2, binning_y=2), (200, 150))
    np.testing.assert_allclose(part.rays(np.array([[50.0, 60.0]])), whole.rays(np.array([[200.0, 160.0]])), atol=1e-6)


def test_a_scaled_info_gives_the_same_ray_to_the_same_place() -> None:
    info = camera_info(BARREL)
    half = scaled_info(info, (320, 240))
    assert (half.width, half.height, half.header) == (320, 240, "h")
    assert info.width == 640
    pixel = np.array([[101.0, 77.0]])
    np.testing.assert_allclose(
        camera_model(half, (320, 240)).rays((pixel + 0.5) / 2 - 0.5), camera_model(info, SIZE).rays(pixel), atol=1e-6
    )
    np.testing.assert_allclose(half.p.reshape(3, 4)[:, :3], half.k.reshape(3, 3))
    assert half.p[3] == -25.0


@pytest.mark.parametrize("d", [None, BARREL])
def test_joints_lie_on_their_rays_as_far_as_the_box_is_tall(d: list[float] | None) -> None:
    pose = person()
    camera = camera_model(camera_info(d), SIZE)
    joints, top = place_in_space(pose, camera, 1.7)
    assert np.ptp(joints[:, 2]) < 1e-9
    back = cv2.projectPoints(joints, np.zeros(3), np.zeros(3), MATRIX, np.array(d or [0.0] * 5))[0].reshape(-1, 2)
    np.testing.assert_allclose(back, pose.keypoints[:, :2], atol=0.05)
    if not d:
        assert joints[0, 2] == pytest.approx(510 * 1.7 / 250)
        assert place_in_space(pose, camera, 3.4)[1] == pytest.approx(2 * top)


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_people_of_a_turned_camera_stand_along_its_rows(rotate: int) -> None:
    """The box's upper side is where the head is once the image is turned clockwise."""
    camera = camera_model(camera_info(), SIZE)
    lying = person((200, 100, 250, 100))
    _, top = place_in_space(lying, camera, 1.7, rotate)
    u, v = (MATRIX @ top)[:2] / top[2]
    assert (u, v) == pytest.approx({90: (200, 150), 180: (325, 200), 270: (450, 150)}[rotate])
    assert top[2] == pytest.approx(1.7 * (510 / 100 if rotate == 180 else 500 / 250))


def markers(people: list[Pose]) -> list[Any]:
    result = FramePoses(Frame(np.zeros((480, 640, 3), np.uint8), 0), people)
    return to_markers(
        result, POSETRACK, camera_model(camera_info(), SIZE), person_height=1.7, lifetime=1.25, header="header",
        lookup=lambda name: SimpleNamespace,
    ).markers  # fmt: skip


def test_the_last_markers_go_before_the_new_ones_come() -> None:
    assert [marker.action for marker in markers([])] == [DELETE_ALL]
    made = markers([person(), person((300, 100, 90, 200), 9)])
    assert [marker.action for marker in made] == [DELETE_ALL] + [ADD] * 6
    assert len({(marker.ns, marker.id) for marker in made}) == 7
    assert {marker.header for marker in made} == {"header"}
    assert (made[1].lifetime.sec, made[1].lifetime.nanosec) == (1, 250_000_000)


def test_limbs_joints_and_id_are_coloured_as_drawn() -> None:
    pose = person()
    knee = POSETRACK.index("left_knee")
    pose.keypoints[knee, 2] = 0.01  # hardly seen: left out, with both limbs that end there
    _, limbs, joints, label = markers([pose])
    assert (limbs.type, joints.type, label.type) == (LINE_LIST, SPHERE_LIST, TEXT)
    assert (limbs.id, label.id, label.text) == (7, 7, "7")
    assert len(limbs.points) == len(limbs.colors) == 2 * (len(POSETRACK.limbs) - 2)
    assert len(joints.points) == len(joints.colors) == 14
    kept = [colour for k, colour in enumerate(joint_colours(POSETRACK)) if k != knee]
    assert [tuple(round(255 * v) for v in (c.b, c.g, c.r)) for c in joints.colors] == kept
    assert {LEFT, MIDDLE} <= set(kept)
    assert all(0.35 <= colour.a <= 1 for colour in joints.colors)


def test_what_has_no_place_is_left_out() -> None:
    pose = person()
    pose.keypoints[3, :2] = np.nan
    _, limbs, joints, _ = markers([pose])
    assert len(joints.points) == 14
    assert np.isfinite([[p.x, p.y, p.z] for p in limbs.points + joints.points]).all()
    pose.keypoints[:, 2] = 0.0
    assert [marker.ns for marker in markers([pose])] == ["", "ids"]
