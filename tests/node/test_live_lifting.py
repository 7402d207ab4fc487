# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The node's joints in metres: the depth of the keyframe's stamp, however late the answer, and what was missed."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sdtc_ros.lifting.depth_buffer import DepthBuffer
from sdtc_ros.lifting.poses3d import OBSERVED
from sdtc_ros.node.output.lifting import LiveLifting
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.types import Frame, FramePoses, Pose

W, H, FOCAL = 160, 120, 120.0
INFO = SimpleNamespace(
    width=W, height=H, distortion_model="plumb_bob", d=[0.0] * 5, k=[FOCAL, 0, W / 2, 0, FOCAL, H / 2, 0, 0, 1],
    r=[1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0], p=[FOCAL, 0, W / 2, 0, 0, FOCAL, H / 2, 0, 0, 0, 1.0, 0],
    binning_x=0, binning_y=0, roi=SimpleNamespace(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    header=SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0), frame_id="camera"),
)  # fmt: skip


def depth_message(stamp: int, metres: float = 2.0, size: tuple[int, int] = (W, H), frame_id: str = "camera") -> Any:
    seconds, nanoseconds = divmod(stamp, 10**9)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=seconds, nanosec=nanoseconds), frame_id=frame_id)
    width, height = size
    data = np.full((height, width), metres, np.float32).tobytes()
    return SimpleNamespace(
        header=header, encoding="32FC1", width=width, height=height, step=4 * width, is_bigendian=0, data=data
    )


def keyframe(stamp: int) -> FramePoses:
    places = np.random.default_rng(0).uniform((60, 20), (100, 100), (len(POSETRACK), 2))
    keypoints = np.column_stack([places, np.full(len(POSETRACK), 0.9)]).astype(np.float32)
    covariance = np.tile(np.array([4, 4, 0], np.float32), (len(POSETRACK), 1))
    pose = Pose(7, np.array([60, 20, 40, 80], np.float32), 0.9, keypoints, covariance, 0.9)
    return FramePoses(Frame(np.zeros((H, W, 3), np.uint8), stamp, "camera"), [pose])


def test_people_stand_where_the_depth_is() -> None:
    told: list[tuple[str, str]] = []
    lifting = LiveLifting(lambda *words: told.append(words), 0.5)  # type: ignore[arg-type]
    lifting.hear(depth_message(10**9))
    lifted = lifting.lift(keyframe(10**9), POSETRACK, INFO, 0.02)
    assert lifted is not None
    (person,) = lifted.people
    assert (person.states == OBSERVED).sum() > 5
    assert np.nanmedian(person.joints[:, 2]) == pytest.approx(2.0, abs=0.15)
    assert (lifting.lifted, lifting.without_depth, lifting.unfit, told) == (1, 0, 0, [])


@pytest.mark.parametrize(
    ("messages", "info", "counts", "sentence"),
    [
        ([], INFO, (0, 0, 1, 0, 0, 0, 0), "no depth image came within 0.02 s"),
        ([depth_message(2 * 10**9)], INFO, (0, 0, 1, 0, 0, 0, 0), "no depth image came within 0.02 s"),
        ([depth_message(10**9, size=(80, 60))], INFO, (0, 0, 0, 0, 0, 0, 1), "use depth registered"),
        ([depth_message(10**9)], None, (0, 0, 0, 0, 0, 0, 1), ""),
        ([depth_message(10**9, metres=0)], INFO, (1, 0, 0, 1, 0, 0, 0), "shows nothing: all its values are 0"),
        ([depth_message(10**9, metres=np.nan)], INFO, (1, 0, 0, 1, 0, 0, 0), "shows nothing: all its values are 0"),
        (
            [depth_message(10**9, frame_id="depth")],
            INFO,
            (1, 0, 0, 0, 1, 0, 0),
            "of the frame 'depth', the image of 'camera'",
        ),
    ],
    ids=["none", "of another time", "of another size", "no camera_info", "all zeros", "all NaN", "of another frame"],
)
def test_what_is_missing_is_counted_and_told(messages: list, info: Any, counts: tuple, sentence: str) -> None:
    told: list[str] = []
    lifting = LiveLifting(lambda about, text: told.append(text), 0.5)
    for message in messages:
        lifting.hear(message)
    lifting.lift(keyframe(10**9), POSETRACK, info, 0.02)
    assert [sentence in text for text in told] == [True] * bool(sentence)
    assert list(map(int, lifting.values().values())) == list(counts)


def changed(**values: Any) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(INFO), **values})


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        (INFO, ""),
        (changed(k=[FOCAL * 1.001, 0, W / 2 + 0.4, 0, FOCAL, H / 2, 0, 0, 1]), ""),
        (changed(k=[0.0] * 9), ""),
        (changed(width=848, height=480), "it is for 848 x 480 pixels, the image's for 160 x 120"),
        (changed(k=[FOCAL * 0.7, 0, W / 2, 0, FOCAL * 0.7, H / 2, 0, 0, 1]), "its focal length is 84 pixels"),
        (
            changed(k=[FOCAL, 0, W / 2 + 9, 0, FOCAL, H / 2, 0, 0, 1]),
            "its centre is at (89, 60), the image's at (80, 60)",
        ),
    ],
    ids=["the same", "nearly", "not calibrated", "size", "focal length", "centre"],
)
def test_depth_of_another_view_is_told_by_camera_info(depth: Any, said: str) -> None:
    told: list[str] = []
    lifting = LiveLifting(lambda about, text: told.append(text), 0.5)
    lifting.hear(depth_message(10**9))
    assert lifting.lift(keyframe(10**9), POSETRACK, INFO, 0.02, depth_info=depth) is not None
    assert [said in text and "not registered" in text for text in told] == [True] * bool(said)
    assert lifting.values()["in space, depth not registered"] == str(int(bool(said)))


def test_depth_that_comes_after_the_poses_is_waited_for() -> None:
    lifting = LiveLifting(lambda about, text: None, 0.5)
    lifting.hear(depth_message(10**9 - 33_000_000))
    late = threading.Timer(0.05, lifting.hear, [depth_message(10**9)])
    late.start()
    assert lifting.lift(keyframe(10**9), POSETRACK, INFO, 0.02, wait=5.0) is not None
    assert (lifting.lifted, lifting.waited, lifting.without_depth) == (1, 1, 0)
    late.join()


@pytest.mark.parametrize("newest", [None, 10**9 - 1_500_000_000, 10**9 + 5_000_000], ids=["none", "long ago", "there"])
def test_nothing_is_waited_for_where_no_depth_is_to_come(newest: int | None) -> None:
    buffer = DepthBuffer[int]()
    if newest is not None:
        buffer.add(newest, 0)
    began = time.monotonic()
    assert not buffer.wait(10**9, 5.0)
    assert time.monotonic() - began < 2


def test_waiting_ends_after_its_time() -> None:
    buffer = DepthBuffer[int]()
    buffer.add(10**9 - 33_000_000, 0)
    assert buffer.wait(10**9, 0.02)
    assert buffer.nearest(10**9, 0.02) is None
