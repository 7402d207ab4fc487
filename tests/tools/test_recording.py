# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What becomes of frames sent to a node: answers find their frames, drops are seen, the sum holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sdtc_ros.errors import InputError
from sdtc_ros.io.bag import bag_message_types
from sdtc_ros.io.sources import Source
from sdtc_ros.messages.poses import poses_from_message, to_detections
from sdtc_ros.models.bundle import default_bundle, load_bundle
from sdtc_ros.replay.outputs import Outputs, Wanted
from sdtc_ros.replay.statistics import RunStatistics
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.tools.recording import Recording, people
from sdtc_ros.types import Frame, FramePoses, Pose

JOINTS = len(POSETRACK)


def frame(number: int) -> Frame:
    return Frame(np.zeros((8, 8, 3), np.uint8), 1000 + number, "cam", f"clip/{number:06d}.jpg")


def pose(number: int) -> Pose:
    rng = np.random.default_rng(number)
    keypoints = rng.random((JOINTS, 3), np.float32)
    box = np.array([1.1, 2.2, 30.3, 40.4], np.float32)
    return Pose(number, box, 0.5, keypoints, rng.random((JOINTS, 3), np.float32), float(keypoints[:, 2].mean() * 0.5))


def answer(number: int) -> object:
    return to_detections(FramePoses(frame(number), [pose(number)]), POSETRACK, bag_message_types())


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    source = Source("clip", "a clip", 10.0, None, iter(()))
    outputs = Outputs(tmp_path, Wanted(bag=False, video=False), source, load_bundle(default_bundle()), None)
    with outputs:
        yield Recording(outputs, RunStatistics(POSETRACK))


def test_frames_are_answered_or_dropped_and_the_sum_holds(recording: Recording) -> None:
    for number in range(6):
        recording.send(number, frame(number), moment=float(number))
    for number in (0, 3, 4):  # 1 and 2 were passed over
        recording.receive(answer(number), moment=number + 0.25)
    assert (recording.sent, recording.answered, recording.dropped, recording.open) == (6, 3, [1, 2], 1)
    recording.drop_all()
    figures = recording.summary()
    assert figures["sent"] == figures["answered"] + figures["dropped"] == 6
    assert figures["dropped_frames"] == [1, 2, 5]
    assert figures["latency_ms"] == {"p50": 250.0, "p95": 250.0, "p99": 250.0, "max": 250.0}


def test_answers_are_written_as_a_replay_writes_them(recording: Recording) -> None:
    for number in (0, 1):
        recording.send(number, frame(number), 0.0)
    recording.receive(answer(1), 0.5)
    recording.outputs.__exit__(None, None, None)
    written = json.loads(recording.outputs.files["poses"].read_text())
    assert [(image["file_name"], image["number"], image["stamp"]) for image in written["images"]] == [
        ("clip/000001.jpg", 1, 1001)
    ]
    assert written["annotations"][0]["track_id"] == 1


def test_answers_to_other_publishers_are_counted_apart(recording: Recording) -> None:
    recording.send(0, frame(0), 0.0)
    recording.receive(answer(7), 0.5)
    assert (recording.strangers, recording.open, recording.answered) == (1, 1, 0)
    assert "latency_ms" not in recording.summary()


def test_a_message_of_another_layout_is_refused(recording: Recording) -> None:
    recording.send(0, frame(0), 0.0)
    message = answer(0)
    message.detections[0].id = "somebody"  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="not a pose of sdtc_ros"):
        recording.receive(message, 0.5)


def test_poses_come_back_from_their_message_to_the_bit() -> None:
    sent, came = pose(3), people(poses_from_message(answer(3)))[0]
    assert (came.track_id, came.score) == (sent.track_id, pytest.approx(sent.score, rel=1e-6))
    assert came.box_score == pytest.approx(sent.box_score, rel=1e-5)
    np.testing.assert_array_equal(came.keypoints, sent.keypoints)
    np.testing.assert_array_equal(came.covariance, sent.covariance)
    np.testing.assert_array_equal(came.box, sent.box)
