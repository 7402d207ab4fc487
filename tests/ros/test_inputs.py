# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What comes into the node besides plain images: cameras mounted turned, detections of another process."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scene
from conftest import HERE, Running
from fake_bundle import COVARIANCE

from sdtc_ros.crops import crop_boxes
from sdtc_ros.pipeline.rotation import turn_boxes, turn_covariance, turn_points

PEOPLE = "/people"


# boxes come from outside, and a busy machine may take its time
OUTSIDE = ("detector:=topic", f"detections:={PEOPLE}", "detections_class:=person", "detections_wait:=10.0")


def size_of_camera(turn: int) -> tuple[int, int]:
    return (scene.HEIGHT, scene.WIDTH) if turn % 180 else (scene.WIDTH, scene.HEIGHT)


def check_poses(recorded: dict[str, Any], turn: int = 0) -> list[int]:
    """Every message shows the scene's one person, in the camera's own image; returns the frames answered."""
    size = size_of_camera(turn)
    numbers = [scene.number_of(message["stamp"]) for message in recorded["poses"]]
    assert numbers == sorted(set(numbers))
    scale = crop_boxes(scene.BOX[None], scene.CROP[0] / scene.CROP[1])[0, 2:] / (np.array(scene.CROP) - 1)
    covariance = np.array(COVARIANCE, np.float32) * [scale[0] ** 2, scale[0] * scale[1], scale[1] ** 2]
    for place, message in enumerate(recorded["poses"]):
        assert len(message["boxes"]) == 1, "the chair is no person"
        assert turn_boxes(np.array(message["boxes"][0]), turn, size) == pytest.approx(scene.BOX, abs=0.01)
        keypoints = np.array(message["keypoints"][0], np.float32)
        keypoints[:, :2] = turn_points(keypoints[:, :2], turn, size)
        window = scene.window_of(place, numbers)
        shown = scene.frames_of_joints(keypoints)
        assert shown == pytest.approx([window[k % len(window)] for k in range(len(shown))], abs=0.01)
        turned = turn_covariance(np.array(message["covariance"][0]), turn)
        assert turned == pytest.approx(np.tile(covariance, (15, 1)), rel=1e-3)
    return numbers


def sums(log: str) -> tuple[int, int, int]:
    """Frames received, answered, and without detections, of the node's last line; the line's sum holds."""
    line = re.findall(r"(\d+) frames received = (.*)", log)[-1]
    parts = {name: int(count) for count, name in re.findall(r"(\d+) ([a-z ]+?)(?= \+|$)", line[1])}
    assert int(line[0]) == sum(parts.values()), line
    return int(line[0]), parts["answered"], parts.get("without detections", 0)


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


@pytest.fixture
def detector(ros) -> Callable[..., Running]:
    """Starts the detector process beside the camera."""

    def start(*arguments: str, image: str = "/camera/image_raw", people: str = PEOPLE) -> Running:
        running = ros.start(sys.executable, HERE / "detector.py", image, people, *arguments)
        running.wait_for("the detector is ready")
        return running

    return start


@pytest.mark.parametrize("turn", [90, 180])
def test_a_turned_camera_gets_poses_in_its_own_image(ros, pose_node, turn) -> None:
    pose_node(f"rotate:={turn}", "max_gap:=5.0")
    recorded = ros.peer("--turn", str(turn), "--annotated", "--frames", "8", "--patient", "3")
    assert len(check_poses(recorded, turn)) >= 6
    assert recorded["annotated"]
    for picture in recorded["annotated"]:
        assert tuple(picture["size"]) == size_of_camera(turn)
        assert picture["differs"] > 100, "nothing is drawn on it"


def test_people_of_another_process_take_the_place_of_the_detector(ros, pose_node, detector) -> None:
    node = pose_node(*OUTSIDE, "max_gap:=5.0")
    assert f"waiting for person boxes on {PEOPLE}" in node.log
    detector("--latency", "0.02")
    numbers = check_poses(ros.peer("--frames", "15", "--patient", "3"))
    assert len(numbers) >= 12
    node.interrupt()
    received, answered, _ = sums(node.log)
    assert answered == len(numbers)
    assert received <= 15
    assert "left out" not in node.log


def test_outside_detections_of_a_turned_camera(ros, pose_node, detector) -> None:
    pose_node(*OUTSIDE, "rotate:=90", "max_gap:=5.0")
    detector("--turn", "270")  # it looks at the camera's own image
    assert len(check_poses(ros.peer("--turn", "90", "--frames", "8", "--patient", "3"), 90)) >= 6


def test_every_camera_has_its_own_turn_and_its_own_detections(ros, models, detector) -> None:
    node = ros.launch(
        *models[:1], "cameras:=[front, rear]", "image:=/{camera}/image_raw", "detections:=/{camera}/people",
        *OUTSIDE[:1], *OUTSIDE[2:], "rotate:=90", "rotate_each:=['rear:180']", "max_gap:=5.0",
    )  # fmt: skip
    node.wait_for("rear: waiting for images on /rear/image_raw")
    detector("--turn", "180", image="/rear/image_raw", people="/rear/people")
    there = ("--topic", "/rear/image_raw", "--poses", "/rear/sdtc/poses")
    assert len(check_poses(ros.peer(*there, "--turn", "180", "--frames", "8", "--patient", "3"), 180)) >= 6


def test_a_detector_that_skips_images_leaves_them_out_without_a_warning(ros, pose_node, detector) -> None:
    node = pose_node(*OUTSIDE)
    detector("--every", "3")
    numbers = check_poses(ros.peer("--frames", "18", "--hz", "20", "--linger", "8"))
    assert 3 <= len(numbers) <= 6
    node.interrupt()
    received, answered, unmatched = sums(node.log)
    assert answered == len(numbers)
    assert unmatched >= 2 * (len(numbers) - 1)
    assert "left out" not in node.log
    assert received <= 18


def test_stamps_within_the_tolerance_match(ros, pose_node, detector) -> None:
    pose_node(*OUTSIDE, "detections_tolerance:=0.02", "max_gap:=5.0")
    detector("--offset", "0.015")
    assert len(check_poses(ros.peer("--frames", "10", "--patient", "3"))) >= 8


def test_detections_with_stamps_of_their_own_are_told(ros, pose_node, detector) -> None:
    node = pose_node("detector:=topic", f"detections:={PEOPLE}", "detections_wait:=0.2")
    detector("--offset", "2.5")
    assert ros.peer("--frames", "10", "--linger", "1")["poses"] == []
    node.wait_for("image skipped: no detections within 0 s of its stamp arrived in 0.2 s (the last that arrived are 2")
    question = "does the detector stamp its detections with the image's header, and keep up?"
    node.wait_for(question)
    time.sleep(1.5)  # the last images have waited long enough
    node.interrupt()
    received, answered, unmatched = sums(node.log)
    assert (answered, unmatched) == (0, received)
    assert node.log.count(question) == 1


def test_no_detector_is_told_with_where_detections_are(ros, pose_node) -> None:
    node = pose_node("detector:=topic", f"detections:={PEOPLE}", "detections_wait:=0.2")
    ros.peer("--frames", "5", "--linger", "1")
    node.wait_for(
        "no detections within 0 s of its stamp arrived in 0.2 s; none have arrived at all: nobody publishes on /people"
        "; no topic of the type vision_msgs/msg/Detection2DArray is published"
    )


def test_a_detector_killed_under_load_and_started_again(ros, pose_node, detector) -> None:
    node = pose_node("detector:=topic", f"detections:={PEOPLE}", "detections_class:=person", "detections_wait:=0.3",
                     "statistics_period:=1.0")  # fmt: skip
    first = detector("--latency", "0.02")
    out = ros.folder / "load.json"
    camera = ros.start(sys.executable, HERE / "peer.py", out, "--frames", "300", "--hz", "30")
    until(lambda: re.search(r"out [1-9]", node.log))  # the statistics of a second
    first.process.kill()
    node.wait_for("image skipped: no detections within 0 s of its stamp arrived in 0.3 s (the last that arrived are")
    detector("--latency", "0.02")
    assert camera.process.wait(120) == 0, camera.log

    numbers = [scene.number_of(message["stamp"]) for message in json.loads(out.read_text())["poses"]]
    assert numbers == sorted(set(numbers))
    gaps = np.diff(numbers)
    assert gaps.max() > 8, "nothing was left out while there was no detector"
    assert numbers[-1] > 250, "the new detector's boxes are not used"
    node.interrupt()
    received, answered, unmatched = sums(node.log)
    assert answered >= len(numbers)
    assert unmatched > 8
    assert received <= 300
