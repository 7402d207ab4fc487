# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Turned cameras: there and back exactly, images and coordinates together, and a replay that gives the same poses."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_bundle import make_bundle

from sdtc_ros.crops import crop_boxes, crop_images
from sdtc_ros.errors import UsageError
from sdtc_ros.pipeline.rotation import ANGLES, Rotation, solid_copy, turn_boxes, turn_covariance, turn_points
from sdtc_ros.replay import ReplayOptions, replay
from sdtc_ros.replay.outputs import Wanted
from sdtc_ros.types import Boxes, Frame, FramePoses, Pose

W, H = 40, 24
TURNED = ANGLES[1:]


def some_frame(rng: np.random.Generator) -> Frame:
    return Frame(rng.integers(0, 256, (H, W, 3), np.uint8), 123, "cam", "a.png")


def some_pose(rng: np.random.Generator) -> Pose:
    def sixteenths(*shape: int) -> np.ndarray:  # exact in float32, wherever they are put
        return (rng.integers(0, 16 * H, shape) / 16).astype(np.float32)

    return Pose(3, sixteenths(4), 0.5, sixteenths(15, 3), sixteenths(15, 3), 0.25)


@pytest.mark.parametrize("angle", TURNED)
def test_image_and_points_turn_together(angle):
    frame = some_frame(np.random.default_rng(0))
    upright = Rotation(angle).upright_frame(frame)
    assert upright.image.shape == ((H, W, 3) if angle == 180 else (W, H, 3))
    assert (upright.stamp, upright.frame_id, upright.name) == (123, "cam", "a.png")
    ys, xs = np.mgrid[:H, :W]
    there = turn_points(np.stack([xs, ys], axis=-1).astype(np.float32), angle, (W, H)).astype(int)
    assert np.array_equal(upright.image[there[..., 1], there[..., 0]], frame.image)


def test_a_quarter_turn_by_hand():
    assert turn_points(np.array([[0, 0], [W - 1, 2]], np.float32), 90, (W, H)).tolist() == [[H - 1, 0], [H - 3, W - 1]]
    assert turn_boxes(np.array([2, 3, 10, 6], np.float32), 90, (W, H)).tolist() == [H - 1 - 9, 2, 6, 10]
    assert turn_covariance(np.array([4, 1, 9], np.float32), 90).tolist() == [9, -1, 4]
    assert turn_points(np.array([1, 2], np.float32), 180, (W, H)).tolist() == [W - 2, H - 3]


@pytest.mark.parametrize("angle", ANGLES)
def test_poses_come_back_exactly(angle):
    rng = np.random.default_rng(angle)
    frame, pose, rotation = some_frame(rng), some_pose(rng), Rotation(angle)
    upright = rotation.upright_frame(frame)
    turned = Pose(
        pose.track_id, turn_boxes(pose.box, angle, (W, H)), pose.box_score,
        np.hstack([turn_points(pose.keypoints[:, :2], angle, (W, H)), pose.keypoints[:, 2:]]),
        turn_covariance(pose.covariance, angle), pose.score,
    )  # fmt: skip
    result = rotation.camera_poses(FramePoses(upright, [turned], {"encode": 1.0}))
    back = result.poses[0]
    for name in ("box", "keypoints", "covariance"):
        assert np.array_equal(getattr(back, name), getattr(pose, name)), name
        assert getattr(back, name).dtype == np.float32
    assert (back.track_id, back.box_score, back.score, result.timings) == (3, 0.5, 0.25, {"encode": 1.0})
    assert np.array_equal(result.frame.image, frame.image)
    assert np.shares_memory(result.frame.image, upright.image)
    copy = solid_copy(result.frame.image)
    assert np.array_equal(copy, frame.image)
    assert copy.flags.c_contiguous
    assert not np.shares_memory(copy, upright.image)


@pytest.mark.parametrize("flip", [np.s_[:], np.s_[::-1], np.s_[:, ::-1], np.s_[2:-3, 5:-1], np.s_[::-1, ::-1]])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_solid_copy_of_any_view(flip, transposed):
    image = np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)
    view = (np.swapaxes(image, 0, 1) if transposed else image)[flip]
    copy = solid_copy(view)
    assert np.array_equal(copy, view)
    assert copy.flags.c_contiguous
    assert not np.shares_memory(copy, image)


@pytest.mark.parametrize("angle", TURNED)
def test_a_turned_covariance_is_that_of_turned_points(angle):
    points = np.random.default_rng(1).normal(0, 1, (500, 2)) @ np.array([[3, 1], [0, 1]])

    def covariance(p: np.ndarray) -> np.ndarray:
        return np.cov(p.T)[[0, 0, 1], [0, 1, 1]]

    turned = turn_points(points.astype(np.float32), angle, (W, H))
    assert turn_covariance(covariance(points).astype(np.float32), angle) == pytest.approx(covariance(turned), rel=1e-4)


@pytest.mark.parametrize("angle", TURNED)
def test_a_turned_box_crops_the_turned_person(angle):
    frame = some_frame(np.random.default_rng(2))
    boxes = Boxes(np.array([[10, 4, 12, 12]], np.float32), np.ones(1, np.float32), np.array([7]))
    rotation = Rotation(angle)
    turned = rotation.upright_boxes(boxes, (W, H))
    assert turned.ids is not None and turned.ids.tolist() == [7]
    size, code = (13, 13), {90: 0, 180: 1, 270: 2}[angle]
    there = crop_images(rotation.upright_frame(frame).image, crop_boxes(turned.xywh, 1.0, 1.0), size)[0]
    here = crop_images(frame.image, crop_boxes(boxes.xywh, 1.0, 1.0), size)[0]
    assert np.array_equal(there, cv2.rotate(here, code))


def test_no_turn_costs_nothing():
    rng = np.random.default_rng(0)
    frame, rotation = some_frame(rng), Rotation()
    result = FramePoses(frame, [some_pose(rng)])
    boxes = Boxes(np.zeros((1, 4), np.float32), np.zeros(1, np.float32))
    assert rotation.upright_frame(frame) is frame
    assert rotation.upright_boxes(boxes, (W, H)) is boxes
    assert rotation.camera_poses(result) is result


@pytest.mark.parametrize("angle", [45, -90, 360])
def test_other_angles_are_refused(angle):
    with pytest.raises(UsageError, match=f"rotate must be one of 0, 90, 180, 270 .degrees., got {angle}"):
        Rotation(angle)


@pytest.mark.parametrize("angle", TURNED)
def test_a_turned_camera_replays_to_the_same_poses(tmp_path: Path, angle):
    """What a replay says of a camera mounted turned is, turned upright, what it says of the upright camera."""
    make_bundle(tmp_path / "bundle")
    told = {}
    for name, turn in (("upright", 0), ("turned", angle)):
        (tmp_path / name).mkdir()
        boxes = []
        for number in range(4):
            image = np.random.default_rng(number).integers(0, 256, (64, 48, 3), np.uint8)
            box = np.array([10 + number, 8, 20, 40], np.float32)
            if turn:
                image = np.ascontiguousarray(np.rot90(image, turn // 90))
                box = turn_boxes(box, 360 - turn, (48, 64))
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), image)
            boxes.append({"frame": number, "bbox": box.tolist(), "score": 0.9, "track_id": 1})
        (tmp_path / f"{name}.json").write_text(json.dumps(boxes))
        options = ReplayOptions(
            tmp_path / name, tmp_path / f"{name}_out", model=tmp_path / "bundle",
            detector=str(tmp_path / f"{name}.json"), wanted=Wanted(video=False), rotate=turn,
        )  # fmt: skip
        result = replay(options, progress=False)
        told[name] = json.loads(result.files["poses"].read_text())["annotations"]
    assert len(told["upright"]) == len(told["turned"]) == 4
    size = (64, 48) if angle != 180 else (48, 64)
    for upright, turned in zip(told["upright"], told["turned"], strict=True):
        assert upright["scores"] == turned["scores"]
        assert upright["score"] == turned["score"]
        points = np.array(turned["keypoints"], np.float32).reshape(-1, 3)
        seen = points[:, 2] > 0
        expected = np.array(upright["keypoints"]).reshape(-1, 3)[seen, :2]
        assert turn_points(points[seen, :2], angle, size) == pytest.approx(expected, abs=2e-3)
        assert turn_boxes(np.array(turned["bbox"]), angle, size) == pytest.approx(upright["bbox"], abs=2e-3)
