# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the live node sends besides poses, under a real ROS 2: pictures, markers, diagnostics, bodies of ROS4HRI."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import scene
from conftest import HERE, Running, exit_status
from faults import FAILING_PIPELINE

CAMERA = "camera_optical_frame"
OK, WARN, ERROR = 0, 1, 2
SILENT = "no image on /camera/image_raw for"  # not "since the start"
# the node, with something in it replaced
SLOW_DRAWING = """
import sys, time
import sdtc_ros.node.__main__, sdtc_ros.node.output.annotated_images
draw = sdtc_ros.node.output.annotated_images.annotated_image
sdtc_ros.node.output.annotated_images.annotated_image = lambda *given: (time.sleep(1), draw(*given))[1]
sys.exit(sdtc_ros.node.__main__.main())
"""
WHAT_IS_MADE = """
import sys
import sdtc_ros.node.__main__, sdtc_ros.node.output.annotated_images as pictures
def told(name):
    make = getattr(pictures, name)
    setattr(pictures, name, lambda *given, **named: (print(name, "is called", flush=True), make(*given, **named))[1])
for name in ("annotated_image", "to_jpeg", "to_markers", "scaled_info"):
    told(name)
sys.exit(sdtc_ros.node.__main__.main())
"""
FAILS_AT_FRAME_3 = f"""{FAILING_PIPELINE}
sys.exit(sdtc_ros.node.__main__.main())
"""


@pytest.fixture
def view(ros) -> Callable[..., dict[str, Any]]:
    """Publishes the scene and records what is to be seen, with viewer.py."""

    def run(*arguments: str) -> dict[str, Any]:
        out = ros.folder / "viewer.json"
        done = ros.run(sys.executable, HERE / "viewer.py", out, *arguments, seconds=180.0)
        assert done.returncode == 0, done.stdout
        return json.loads(out.read_text())

    return run


@pytest.fixture
def changed_node(ros, models) -> Callable[..., Running]:
    """Starts a script that runs the node with something in it replaced."""

    def start(script: str, *parameters: str) -> Running:
        words = [word for parameter in [*models, *parameters] for word in ("-p", parameter)]
        node = ros.start(sys.executable, "-c", script, "--ros-args", "-r", "image:=/camera/image_raw", *words)
        node.wait_for("waiting for images on")
        return node

    return start


def levels(recorded: dict[str, Any], name: str) -> list[tuple[int, str]]:
    """The levels and messages of one status, in the order they came."""
    return [(status[name]["level"], status[name]["message"]) for status in recorded["diagnostics"] if name in status]


def test_pictures_markers_and_camera_info_bear_the_poses_stamps_and_fit_them(pose_node, view) -> None:
    node = pose_node("max_gap:=5.0")
    recorded = view("--calibrated", "--patient", "3", "--want", "annotated", "compressed", "markers", "info")
    poses = {message["stamp"]: message for message in recorded["poses"]}
    assert len(poses) >= 10
    for kind, form in (("annotated", "bgr8"), ("compressed", "bgr8; jpeg compressed bgr8")):
        assert len(recorded[kind]) >= 5
        for picture in recorded[kind]:
            assert (picture["frame_id"], picture["format"]) == (CAMERA, form)
            assert picture["stamp"] in poses
            assert picture["size"] == [scene.WIDTH, scene.HEIGHT]
            assert picture["differs"] > 50, "nothing is drawn on it"
    assert len(recorded["info"]) >= 5
    for info in recorded["info"]:
        assert info["stamp"] in poses
        assert info == {
            "stamp": info["stamp"], "frame_id": CAMERA, "k": scene.MATRIX, "d": scene.DISTORTION,
            "size": [scene.WIDTH, scene.HEIGHT],
        }  # fmt: skip
    assert len(recorded["markers"]) >= 5
    for message in recorded["markers"]:
        check_markers(message, poses)
    assert "there are no markers" not in node.log
    assert "need camera_info" not in node.log


def check_markers(message: list[dict[str, Any]], poses: dict[int, dict[str, Any]]) -> None:
    """One person's markers, deleted and made anew, that project back onto the joints."""
    clear, limbs, joints, label = message
    assert (clear["action"], limbs["action"]) == (3, 0)
    assert [one["ns"] for one in message] == ["", "limbs", "joints", "ids"]
    pose = poses[joints["stamp"]]
    assert {one["frame_id"] for one in message} == {CAMERA}
    assert {one["id"] for one in message[1:]} == set(pose["ids"])
    assert label["text"] == str(pose["ids"][0])
    assert len(limbs["points"]) == limbs["colours"]
    matrix = np.array(scene.MATRIX).reshape(3, 3)
    places = np.array(joints["points"])
    pixels = cv2.projectPoints(places, np.zeros(3), np.zeros(3), matrix, np.array(scene.DISTORTION))[0]
    np.testing.assert_allclose(pixels.reshape(-1, 2), np.array(pose["keypoints"][0])[:, :2], atol=0.1)
    assert np.ptp(places[:, 2]) < 1e-6
    assert places[0, 2] == pytest.approx(matrix[1, 1] * 1.7 / scene.BOX[3], rel=0.05)  # the distortion is the rest


def test_scaled_pictures_come_with_a_camera_info_that_fits_them(pose_node, view) -> None:
    pose_node("max_gap:=5.0", "annotated_max_width:=64")
    recorded = view("--calibrated", "--patient", "3", "--want", "annotated", "info")
    assert recorded["annotated"]
    assert {tuple(picture["size"]) for picture in recorded["annotated"]} == {(64, 48)}
    k = scene.MATRIX
    for info in recorded["info"]:
        assert info["size"] == [64, 48]
        assert info["k"][0] == pytest.approx(k[0] / 2)
        assert info["k"][2] == pytest.approx((k[2] + 0.5) / 2 - 0.5)


def test_each_is_made_only_for_a_listener(changed_node, view) -> None:
    node = changed_node(WHAT_IS_MADE, "max_gap:=5.0")
    assert len(view("--frames", "6", "--patient", "3")["poses"]) >= 4
    assert "is called" not in node.log
    view("--frames", "6", "--patient", "3", "--want", "compressed")
    assert set(re.findall(r"(\w+) is called", node.log)) == {"annotated_image", "to_jpeg"}
    view("--frames", "6", "--patient", "3", "--calibrated", "--want", "markers")
    assert set(re.findall(r"(\w+) is called", node.log)) == {"annotated_image", "to_jpeg", "to_markers"}


def test_poses_do_not_wait_for_a_slow_picture(changed_node, view) -> None:
    """Drawing takes a second; were it on the poses' way, a frame would be answered a second."""
    node = changed_node(SLOW_DRAWING, "max_gap:=60.0", "lookahead:=0")
    recorded = view("--frames", "25", "--hz", "100", "--patient", "1", "--want", "annotated", "--linger", "2.5")
    assert len(recorded["poses"]) >= 23
    assert 1 <= len(recorded["annotated"]) < len(recorded["poses"]) / 2
    stamps = [picture["stamp"] for picture in recorded["annotated"]]
    assert stamps == sorted(set(stamps)), "older frames are left out, not drawn late"
    assert node.interrupt() < 3.0


def test_markers_that_wait_for_camera_info_say_so(pose_node, view) -> None:
    node = pose_node("max_gap:=5.0")
    recorded = view("--frames", "80", "--unanswered", "--want", "markers")
    assert recorded["markers"] == []
    assert "markers need camera_info, but none arrives on /camera/camera_info" in node.log


def test_diagnostics_of_a_camera_go_from_good_to_bad(ros, pose_node, view) -> None:
    """The scene's stamps lie years back: another clock's, to warn of until that is turned off while it runs."""
    node = pose_node("max_gap:=5.0", "max_silence:=3.0")
    recorded = view("--frames", "30", "--patient", "3", "--want", "diagnostics", "--until", SILENT)
    camera, own = levels(recorded, "sdtc_pose: camera"), levels(recorded, "sdtc_pose")
    assert {level for level, _ in own} == {OK}
    assert "active, on cpu" in {message for _, message in own}
    seen = [message for level, message in camera if level == WARN]
    assert any("the images' stamps are of another clock than the node's" in text for text in seen)
    newest = recorded["diagnostics"][-1]["sdtc_pose: camera"]
    values = newest["values"]
    assert int(values["received"]) == int(values["answered"]) + int(values["waiting"]) + sum(
        int(count) for cause, count in values.items() if cause.startswith("dropped, ")
    )
    assert int(values["answered"]) >= 27
    assert {"detect (ms)", "track (ms)", "crop (ms)", "encode (ms)", "estimate (ms)"} <= {
        key for status in recorded["diagnostics"] for key in status.get("sdtc_pose: camera", newest)["values"]
    }
    model = recorded["diagnostics"][-1]["sdtc_pose"]["values"]
    assert (model["model"], model["lookahead (frames)"], model["joints"]) == ("fake", "2", "15")
    assert 50 < float(model["memory (MB)"]) < 4000
    told = ros.run("ros2", "param", "set", "/sdtc_pose", "warn_latency", "0.0")
    assert "successful" in told.stdout
    again = view("--frames", "30", "--patient", "3", "--want", "diagnostics", "--until", SILENT)
    after = levels(again, "sdtc_pose: camera")
    assert any(level == OK and " Hz, " in message for level, message in after)
    assert not any("another clock" in message for _, message in after)
    assert after[-1][0] == ERROR
    assert re.match(r"no image on /camera/image_raw for \d+ s: ", after[-1][1])
    assert "no image received for 3 s" in node.log


def test_damaged_and_dropped_frames_warn_by_cause(pose_node, view) -> None:
    pose_node("warn_latency:=0.0")
    recorded = view("--damage", "--frames", "12", "--patient", "3", "--want", "diagnostics", "--until", "damaged")
    seen = levels(recorded, "sdtc_pose: camera")
    assert any(level == WARN and re.search("of the last .* images were damaged", text) for level, text in seen)
    assert recorded["diagnostics"][-1]["sdtc_pose: camera"]["values"]["dropped, damaged"] in ("1", "2")


def test_frames_that_are_all_too_old_are_an_error(pose_node, view) -> None:
    pose_node("max_age:=1.0", "warn_latency:=0.0")
    recorded = view("--frames", "90", "--want", "diagnostics", "--unanswered", "--until", "none of the last")
    seen = levels(recorded, "sdtc_pose: camera")
    why = r"none of the last \d+ images got poses \(.*too old"
    assert any(level == ERROR and re.search(why, text) for level, text in seen)


def test_a_worker_that_fails_is_the_last_thing_told(changed_node, view) -> None:
    node = changed_node(FAILS_AT_FRAME_3)
    recorded = view("--frames", "12", "--unanswered", "--want", "diagnostics", "--until", "on fire")
    assert levels(recorded, "sdtc_pose")[-1] == (ERROR, "RuntimeError: the engine is on fire")
    assert node.process.wait(30) == 1


def test_a_cpu_that_was_not_asked_for_and_an_idle_node_are_told(ros, pose_node, view) -> None:
    pose_node("provider:=cuda", "allow_cpu:=true", "warn_latency:=0.0")
    recorded = view("--frames", "15", "--want", "diagnostics")
    device = recorded["diagnostics"][-1]["sdtc_pose"]
    if device["hardware"] == "cuda":
        pytest.skip("this machine has a GPU to run on")
    message = "runs on cpu, because cuda is not available (allow_cpu is set)"
    assert (device["level"], device["message"]) == (WARN, message)
    assert "successful" in ros.run("ros2", "lifecycle", "set", "/sdtc_pose", "deactivate").stdout
    idle = ros.run(sys.executable, "-c", ONE_ARRAY, seconds=60)
    assert "sdtc_pose: camera|0|inactive" in idle.stdout, idle.stdout


ONE_ARRAY = """
import rclpy, time
from diagnostic_msgs.msg import DiagnosticArray
rclpy.init()
node, heard = rclpy.create_node("reader"), []
node.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
deadline = time.monotonic() + 30
while not heard and time.monotonic() < deadline:
    rclpy.spin_once(node, timeout_sec=0.1)
print(*(f"{one.name}|{one.level[0]}|{one.message}" for one in heard[0].status), sep="\\n")
"""


def has_hri_msgs(ros) -> bool:
    return ros.run(sys.executable, "-c", "import hri_msgs.msg").returncode == 0


def test_bodies_come_and_go_as_ros4hri_has_them(ros, pose_node, view) -> None:
    if not has_hri_msgs(ros):
        pytest.skip("the ROS package hri_msgs is not installed here")
    pose_node("hri:=true", "max_gap:=1.0")
    recorded = view("--frames", "20", "--patient", "3", "--want", "bodies")
    heard, poses = recorded["bodies"], {message["stamp"]: message for message in recorded["poses"]}
    lists = [one for one in heard if one["of"] == "tracked"]
    (name,) = {name for one in lists for name in one["ids"]}
    assert re.fullmatch(r"[a-z]{5}\d+", name)
    assert name.endswith(str(recorded["poses"][0]["ids"][0]))
    assert lists[-1]["ids"] == [], "who is gone is off the list"
    assert not [topic for topic in recorded["publishers"] if topic != "/humans/bodies/tracked"]
    assert {one["frame_id"] for one in lists if one["ids"]} == {CAMERA}  # nobody is in no frame
    for one in heard:
        if one["of"] == "roi":
            left, top, width, height = scene.BOX / [scene.WIDTH, scene.HEIGHT, scene.WIDTH, scene.HEIGHT]
            assert one["roi"] == pytest.approx([left, top, left + width, top + height, 0.9], abs=0.01)
        elif one["of"] == "skeleton2d":
            assert len(one["points"]) == 18
            x, y, score = poses[one["stamp"]]["keypoints"][0][0]  # the nose; the scene's lie below the image
            x, y = (x + 0.5) / scene.WIDTH, (y + 0.5) / scene.HEIGHT
            expected = [min(x, 1), min(y, 1), score if max(x, y) <= 1 else 0]
            assert one["points"][0] == pytest.approx(expected, abs=1e-4)
    assert {one["of"] for one in heard} == {"tracked", "roi", "skeleton2d", "cropped"}


def test_hri_without_hri_msgs_ends_with_a_sentence(ros, models) -> None:
    if has_hri_msgs(ros):
        pytest.skip("the ROS package hri_msgs is installed here")
    node = ros.launch("hri:=true", *models)
    assert exit_status(node) == 2
    assert "parameter 'hri' needs the ROS package hri_msgs, which cannot be used here" in node.log
    assert "Traceback" not in node.log
