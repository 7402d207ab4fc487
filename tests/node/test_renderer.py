# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Pictures beside the poses: the newest only, nothing waits for them, and scaled ones show the same."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest

from sdtc_ros.io.draw import draw_poses
from sdtc_ros.node.output.renderer import Renderer, annotated_image, to_jpeg
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.types import Frame, FramePoses, Pose


def result(width: int = 640, height: int = 480) -> FramePoses:
    """A person in a grey image, joints spread over the box."""
    x, y, w, h = 0.3 * width, 0.2 * height, 0.2 * width, 0.7 * height
    places = np.random.default_rng(0).uniform(0, 1, (15, 2)) * [w, h] + [x, y]
    points = np.column_stack([places, np.full(15, 0.9)]).astype(np.float32)
    pose = Pose(3, np.array([x, y, w, h], np.float32), 0.9, points, np.ones((15, 3), np.float32), 0.8)
    return FramePoses(Frame(np.full((height, width, 3), 128, np.uint8), 0), [pose])


class Bench:
    """A Renderer whose jobs can be held."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.done: list[str] = []
        self.begun, self.gate, self.idle = threading.Event(), threading.Event(), threading.Event()
        self.renderer = Renderer(self.errors.append)

    def hold(self) -> None:
        self.begun.set()
        assert self.gate.wait(10)

    def settle(self) -> None:
        """Wait until all that is put by now is done."""
        self.renderer.put(99, self.idle.set)
        assert self.idle.wait(10)


def test_of_every_sender_the_newest_job_is_done() -> None:
    bench = Bench()
    bench.renderer.put(0, bench.hold)
    assert bench.begun.wait(10)
    for number in range(5):
        bench.renderer.put(1, lambda number=number: bench.done.append(f"left {number}"))
    bench.renderer.put(2, lambda: bench.done.append("right"))
    bench.gate.set()
    bench.settle()
    assert bench.done == ["left 4", "right"]
    assert bench.renderer.close(5)


def test_a_job_that_fails_is_told_and_the_next_one_runs() -> None:
    bench = Bench()
    bench.renderer.put(0, lambda: 1 / 0)
    bench.settle()
    assert [type(error) for error in bench.errors] == [ZeroDivisionError]
    assert bench.renderer.close(5)


def test_close_waits_for_the_job_at_work_but_not_for_ever() -> None:
    bench = Bench()
    bench.renderer.put(0, bench.hold)
    assert bench.begun.wait(10)
    bench.renderer.put(0, lambda: bench.done.append("too late"))
    assert not bench.renderer.close(0.05)
    bench.gate.set()
    assert bench.renderer.close(5)
    assert bench.done == []
    assert Renderer(bench.errors.append).close(1)  # one that never began


@pytest.mark.parametrize("max_width", [0, 640, 1000])
def test_an_image_that_is_narrow_enough_is_drawn_as_it_is(max_width: int) -> None:
    given = result()
    np.testing.assert_array_equal(annotated_image(given, POSETRACK, max_width), draw_poses(given, POSETRACK))
    assert (given.frame.image == 128).all()


def test_a_wide_image_is_scaled_with_its_poses() -> None:
    given = result(1920, 1080)
    image = annotated_image(given, POSETRACK, 640)
    assert image.shape == (360, 640, 3)
    assert (given.frame.image == 128).all()
    for x, y, _ in given.poses[0].keypoints:
        assert (image[round((y + 0.5) / 3 - 0.5), round((x + 0.5) / 3 - 0.5)] != 128).any()
    drawn = np.argwhere((image != 128).any(axis=2))
    left, top, width, height = given.poses[0].box / 3
    assert drawn[:, 1].min() == pytest.approx(left, abs=2)
    assert drawn[:, 0].max() == pytest.approx(top + height, abs=2)


def test_a_view_of_a_turned_image_can_be_drawn() -> None:
    given = result(480, 640)
    turned = FramePoses(Frame(np.rot90(given.frame.image), 0), given.poses)
    assert annotated_image(turned, POSETRACK).shape == (480, 640, 3)
    assert annotated_image(turned, POSETRACK, 320).shape == (240, 320, 3)


def test_jpeg_comes_back_and_its_quality_counts() -> None:
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8), (9, 9), 3)
    good, poor = to_jpeg(image, 95), to_jpeg(image, 20)
    back = cv2.imdecode(good, cv2.IMREAD_COLOR)
    assert np.abs(back.astype(int) - image).mean() < 3
    assert len(poor) < len(good) / 2
