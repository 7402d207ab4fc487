# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the live node makes of an arrival: turned cameras, people of another process, frames without them counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stream_host import RecordingHost

from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.io.bag import bag_message_types
from sdtc_ros.messages.poses import PoseArrays, message_from_poses
from sdtc_ros.node.health.statistics import Counts, Report
from sdtc_ros.node.input.reading import camera_rotation, read_arrival
from sdtc_ros.node.parameters import PARAMETERS, Parameter
from sdtc_ros.node.stream import Arrival, Stream
from sdtc_ros.pipeline.rotation import Rotation, turn_boxes

W, H = 12, 8
PIXELS = np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)
BOX = np.array([2, 1, 4, 6], np.float32)


def image_message() -> Any:
    header = SimpleNamespace(stamp=SimpleNamespace(sec=5, nanosec=7), frame_id="cam")
    return SimpleNamespace(
        header=header, encoding="bgr8", height=H, width=W, step=3 * W, is_bigendian=0, data=PIXELS.tobytes()
    )


def detections() -> Any:
    """A pose message is a detection array like any other."""
    nobody = np.zeros((1, 0, 3), np.float32)
    arrays = PoseArrays(5, "", (), np.array([1]), BOX[None], np.array([0.5], np.float32), nobody, nobody)
    return message_from_poses(arrays, bag_message_types())


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_frame_and_people_are_turned_together(angle: int) -> None:
    frame, people = read_arrival(Arrival(image_message(), 99, detections()), Rotation(angle), frozenset())
    assert (frame.stamp, frame.frame_id) == (5_000_000_007, "cam")
    assert np.array_equal(frame.image, np.rot90(PIXELS, -angle // 90))
    assert people is not None
    assert people.xywh.tolist() == [turn_boxes(BOX, angle, (W, H)).tolist()]
    assert people.scores.tolist() == [0.5]


def test_without_detections_the_people_are_left_to_the_detector() -> None:
    frame, people = read_arrival(Arrival(image_message(), 99), Rotation(), frozenset())
    assert people is None
    assert np.array_equal(frame.image, PIXELS)


def test_nobody_detected_is_nobody_there() -> None:
    _, people = read_arrival(Arrival(image_message(), 99, detections()), Rotation(90), frozenset({"dog"}))
    assert people is not None
    assert people.xywh.shape == (0, 4)


def values(**given: Any) -> dict[str, Any]:
    return {parameter.name: parameter.default for parameter in PARAMETERS} | given


def test_every_camera_is_turned_as_it_is_mounted() -> None:
    given = values(rotate=90, rotate_each=["rear:180", "left/eye:0"], cameras=["front", "rear", "left/eye"])
    turned = {name: camera_rotation(given, name).angle for name in given["cameras"]}
    assert turned == {"front": 90, "rear": 180, "left/eye": 0}
    assert camera_rotation(values(), "").angle == 0


@pytest.mark.parametrize(
    ("cameras", "listed"), [(["front"], "(front)"), ([], "(there is only one, without a name: use 'rotate')")]
)
def test_a_camera_that_is_none_cannot_be_turned(cameras: list[str], listed: str) -> None:
    with pytest.raises(UsageError) as refusal:
        camera_rotation(values(rotate_each=["rear:180"], cameras=cameras), "front")
    assert str(refusal.value) == f"parameter 'rotate_each' names 'rear', which is not one of the cameras {listed}"


def parameter(name: str) -> Parameter:
    return next(one for one in PARAMETERS if one.name == name)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("rotate", 45, "parameter 'rotate' must be one of 0, 90, 180, 270, not '45'"),
        ("rotate", "90", "parameter 'rotate' must be a whole number, not '90'"),
        ("rotate_each", ["rear:45"], "must hold NAME:DEGREES, with 0, 90, 180 or 270 degrees, not 'rear:45'"),
        ("detections_tolerance", -1, "parameter 'detections_tolerance' must be between 0 and 10, got -1.0"),
        ("detections_class", 0, "parameter 'detections_class' must be a text, not 0"),
    ],
)
def test_wrong_values_are_refused_with_the_reason(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parameter(name).accept(value)
    assert sentence in str(refusal.value)


def test_images_without_detections_are_counted_in_the_sum() -> None:
    stream = Stream(SimpleNamespace(reset=lambda: None, max_lookahead=0), RecordingHost())  # type: ignore[arg-type]
    assert not stream.receive(), "nobody works yet"
    passed: list[Any] = []
    stream.open(lambda arrival: bool(passed.append(arrival)))
    assert stream.receive() and stream.receive()
    stream.leave_unmatched()
    stream.pass_on("image", "boxes")
    assert [(arrival.message, arrival.detections) for arrival in passed] == [("image", "boxes")]
    assert (stream.counts.received, stream.counts.unmatched, stream.counts.waiting) == (2, 1, 1)
    assert stream.counts.sum() == (
        "2 frames received = 0 answered + 0 dropped for newer + 0 too old + 1 without detections + 0 damaged + "
        "1 waiting"
    )
    assert Report(1.0, Counts(received=2, unmatched=1), (), ()).line() == (
        "in 2.0 Hz, out 0.0 Hz, dropped 0 for newer, 0 too old, 0 damaged, 1 without detections"
    )


@pytest.mark.parametrize(("sec", "nanosec"), [(5, 1_000_000_000), (5, 4_294_967_295), (2**31, 0), (-(2**31) - 1, 0)])
def test_an_image_whose_stamp_is_no_time_is_left_out(sec: int, nanosec: int) -> None:
    """Its poses could not go out under the same stamp, and a message that checks its fields would end the node."""
    message = image_message()
    message.header.stamp = SimpleNamespace(sec=sec, nanosec=nanosec)
    with pytest.raises(InputError, match=f"its stamp, {sec} s and {nanosec} ns, is no time"):
        read_arrival(Arrival(message, 99), Rotation(), frozenset())
    message.header.stamp = SimpleNamespace(sec=2**31 - 1, nanosec=999_999_999)
    assert read_arrival(Arrival(message, 99), Rotation(), frozenset())[0].stamp == (2**31 - 1) * 10**9 + 999_999_999
