# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Motion of synthetic people: rotations, BVH by joint positions, gestures and gaits, without bodies or rendering."""

from pathlib import Path

import numpy as np
import pytest

from sdtc_ros.errors import InputError
from training.synthetic import rotations
from training.synthetic.bvh import read_bvh
from training.synthetic.capture import poses_of_points, read_motion
from training.synthetic.figure import ANGLE, ANGLES, pose_of_angles
from training.synthetic.gait import Gait, gait_angles
from training.synthetic.gestures import ARMS, LEGS, draw_gesture, gesture_angles
from training.synthetic.motion import MotionLibrary, captured, draw_motion, mirrored
from training.synthetic.rig import INDEX, SEGMENTS

TIMES = np.arange(12) / 12
NO_ALIGN = np.tile(np.eye(3), (len(SEGMENTS), 1, 1))


def assert_rotations(matrices: np.ndarray) -> None:
    identity = matrices @ np.swapaxes(matrices, -1, -2)
    np.testing.assert_allclose(identity, np.broadcast_to(np.eye(3), identity.shape), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=1e-6)


def points_of(pose: np.ndarray) -> dict[str, np.ndarray]:
    """Joint positions of a figure with limbs of half a metre, from its segments' rotations (T, 15, 3, 3)."""
    down = np.array([0, 0, -0.5])
    points = {"neck": pose[:, INDEX["chest"]] @ [0, 0, 0.5], "head_tilt": pose[:, INDEX["head"]]}
    for side, sign in (("l", 1), ("r", -1)):
        for start, body, parts, names in (
            ("hip", "pelvis", ("thigh", "shin"), ("knee", "ankle")),
            ("shoulder", "chest", ("upper_arm", "forearm"), ("elbow", "wrist")),
        ):
            height = 0.0 if start == "hip" else 0.45
            place = pose[:, INDEX[body]] @ [sign * 0.2, 0, height]
            points[f"{start}_{side}"] = place
            for part, name in zip(parts, names, strict=True):
                place = place + pose[:, INDEX[f"{part}_{side}"]] @ down
                points[f"{name}_{side}"] = place
        points[f"toe_{side}"] = points[f"ankle_{side}"] + pose[:, INDEX[f"foot_{side}"]] @ [0, -0.2, -0.05]
    return points


def test_between_goes_from_start_to_end_at_one_speed() -> None:
    start, end = rotations.about("z", np.zeros(3)), rotations.about("z", np.full(3, 1.2))
    middle = rotations.between(start, end, np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(middle, rotations.about("z", np.array([0.0, 0.6, 1.2])), atol=1e-12)


def test_turning_takes_one_direction_onto_another() -> None:
    start, end = np.array([1.0, 2, 3]), np.array([-2.0, 0.5, 1])
    turned = rotations.turning(start, end) @ start / np.linalg.norm(start)
    np.testing.assert_allclose(turned, end / np.linalg.norm(end), atol=1e-12)


def test_poses_of_joint_positions_put_the_joints_back() -> None:
    angles = np.zeros((4, len(ANGLES)))
    for name, value in {"hip_flex_l": 40, "knee_l": 60, "arm_flex_r": 70, "elbow_r": 80, "arm_out_l": 30, "elbow_l": 45,
                        "pelvis_turn": 20, "spine_turn": 15}.items():  # fmt: skip
        angles[:, ANGLE[name]] = value
    pose = pose_of_angles(angles)
    again = points_of(poses_of_points(points_of(pose)))
    for name, places in points_of(pose).items():
        if name.split("_")[0] in ("knee", "ankle", "elbow", "wrist"):
            np.testing.assert_allclose(again[name], places, atol=0.03, err_msg=name)


@pytest.mark.parametrize("legs", LEGS)
def test_every_gesture_is_made_of_rotations(legs: str) -> None:
    random = np.random.default_rng(0)
    angles = np.stack([draw_gesture(random, legs, arms)[0] for arms in ARMS])
    assert_rotations(pose_of_angles(angles))


def test_gestures_start_and_stop_smoothly() -> None:
    fine = np.arange(300) / 100
    angles, _ = gesture_angles(np.random.default_rng(3), fine)
    speed = np.abs(np.diff(angles, axis=0)) * 100
    assert speed.max() < 900  # degrees a second: what a quick arm does
    assert np.abs(np.diff(speed, axis=0)).max() < 120  # no jump of speed from one hundredth to the next


def test_a_gait_swings_the_legs_in_turn() -> None:
    gait = Gait(rate=1.0, reach=1.0, swing=1.0, elbow=20, lean=0, lift=1.0)
    angles = gait_angles(gait, np.arange(100) / 100)
    left, right = angles[:, ANGLE["hip_flex_l"]], angles[:, ANGLE["hip_flex_r"]]
    assert np.corrcoef(left, right)[0, 1] < -0.9
    assert angles[:, ANGLE["knee_l"]].max() > 45  # it lifts the foot
    assert angles[:, ANGLE["knee_l"]].min() >= 0  # and never bends a knee forward


def write_walk(path: Path, frames: int = 120) -> None:
    """A BVH, y up, whose legs swing once a second at 60 frames a second."""
    names = {
        "Hips": [("LeftHip", (1, 0, 0)), ("RightHip", (-1, 0, 0)), ("Neck", (0, 5, 0))],
        "Neck": [("LeftShoulder", (2, 0, 0)), ("RightShoulder", (-2, 0, 0)), ("Head", (0, 1, 0))],
    }
    for side in ("Left", "Right"):
        names.update({f"{side}Hip": [(f"{side}Knee", (0, -4, 0.2))], f"{side}Knee": [(f"{side}Ankle", (0, -4, 0))]})
        names.update(
            {f"{side}Ankle": [(f"{side}Toe", (0, -0.5, 1.5))], f"{side}Shoulder": [(f"{side}Elbow", (0, -3, 0))]}
        )
        names[f"{side}Elbow"] = [(f"{side}Wrist", (0, -2.5, 0.4))]
    order: list[str] = []

    def joint(name: str, offset: tuple[float, ...], root: bool = False) -> str:
        order.append(name)
        channels = "6 Xposition Yposition Zposition Zrotation Yrotation Xrotation" if root else "1 Xrotation"
        inner = (
            "".join(joint(child, place) for child, place in names.get(name, [])) or "End Site { \n OFFSET 0 0 0 \n }\n"
        )
        word = "ROOT" if root else "JOINT"
        return f"{word} {name}\n{{\nOFFSET {' '.join(map(str, offset))}\nCHANNELS {channels}\n{inner}}}\n"

    text = "HIERARCHY\n" + joint("Hips", (0, 0, 0), True).replace("End Site { ", "End Site\n{")
    rows = []
    for frame in range(frames):
        swing = 25 * np.sin(2 * np.pi * frame / 60)
        values = {"LeftHip": -swing, "RightHip": swing, "LeftKnee": 10 + abs(swing), "RightKnee": 10 + abs(swing)}
        rows.append("0 9 0 0 0 0 " + " ".join(f"{values.get(name, 0):.4f}" for name in order[1:]))
    path.write_text(f"{text}MOTION\nFrames: {frames}\nFrame Time: {1 / 60:.6f}\n" + "\n".join(rows) + "\n")


def test_a_capture_is_read_at_thirty_frames_a_second(tmp_path: Path) -> None:
    write_walk(tmp_path / "walk.bvh")
    bvh = read_bvh(tmp_path / "walk.bvh")
    assert bvh.positions.shape == (120, 17, 3)
    pose = read_motion(tmp_path / "walk.bvh")
    assert pose.shape == (60, 15, 3, 3)
    assert_rotations(pose)
    forward = (pose[:, INDEX["thigh_l"]] @ [0, 0, -1])[:, 1]  # -y is the front
    assert forward.min() < -0.3 and forward.max() > 0.3


def test_a_captured_cycle_goes_on_past_its_end_without_a_seam(tmp_path: Path) -> None:
    write_walk(tmp_path / "walk.bvh")
    pose = captured(tmp_path / "walk.bvh", np.arange(300) / 60)
    step = np.linalg.norm(np.diff(pose, axis=0), axis=(-1, -2)).max(axis=1)
    assert step[100:].max() < 1.5 * step[:100].max()


@pytest.mark.parametrize("text", ["", "HIERARCHY\nROOT a\n{\n", "not a motion"])
def test_a_damaged_capture_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.bvh").write_text(text)
    with pytest.raises(InputError, match="bad.bvh"):
        read_bvh(tmp_path / "bad.bvh")


def test_a_motion_follows_from_its_seed() -> None:
    first, second = (draw_motion(np.random.default_rng(5), MotionLibrary(), TIMES, NO_ALIGN) for _ in range(2))
    np.testing.assert_array_equal(first.pose, second.pose)
    assert_rotations(first.pose)


def test_rotation_vectors_are_scipy_s_for_small_and_half_turns_too() -> None:
    random = np.random.default_rng(0)
    axes = random.normal(size=(60, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angles = np.r_[random.uniform(0, np.pi, 50), 0, 1e-7, 3.12, np.pi - 1e-3, np.pi - 1e-6, np.full(5, 0.5)]
    rotation = rotations.about_vector(axes * angles[:, None])
    np.testing.assert_allclose(rotations.vector_of(rotation), axes * angles[:, None], atol=1e-5)


def test_a_mirrored_pose_is_the_same_on_the_other_side() -> None:
    angles = np.zeros(len(ANGLES))
    for name, value in (("arm_flex", 80), ("arm_out", 30), ("elbow", 40), ("hip_flex", 50), ("knee", 70)):
        angles[ANGLE[f"{name}_l"]] = value
    angles[ANGLE["head_turn"]] = 20
    pose = pose_of_angles(angles[None])[0]
    one, other = points_of(pose[None]), points_of(mirrored(pose)[None])
    for part in ("knee", "ankle", "elbow", "wrist"):
        for side, across in (("l", "r"), ("r", "l")):
            np.testing.assert_allclose(other[f"{part}_{across}"], one[f"{part}_{side}"] * [-1, 1, 1], atol=1e-9)
    np.testing.assert_allclose(mirrored(mirrored(pose)), pose, atol=1e-12)
