# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The same frames give the same poses through the node and through a replay: the shipped model on real people."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import scene

from sdtc_ros.io.bag import BagReader, BagWriter
from sdtc_ros.messages.poses import POSES_TOPIC, POSES_TYPE, PoseArrays, poses_from_message
from sdtc_ros.messages.typestore import typestore
from sdtc_ros.pipeline.pipeline import PipelineConfig
from sdtc_ros.replay import ReplayOptions, replay
from sdtc_ros.replay.outputs import Wanted
from sdtc_ros.types import Frame

VIDEO = Path(__file__).resolve().parents[3] / "shared" / "data" / "video" / "pedestrians.avi"
FRAMES = 8


def replayed(folder: Path) -> list[PoseArrays]:
    """What a replay of a bag of the video's frames, under the stamps that `peer` gives them, writes into its bag."""
    video = cv2.VideoCapture(str(VIDEO))
    with BagWriter(folder / "images") as writer:
        for number in range(FRAMES):
            writer.write_image("/image", Frame(video.read()[1], scene.stamp(number), "camera"), "bgr8")
    options = ReplayOptions(
        folder / "images", folder / "out", wanted=Wanted(video=False), pipeline=PipelineConfig(lookahead=0)
    )
    result = replay(options, progress=False)
    records = BagReader(result.files["bag"]).records(POSES_TOPIC)
    return [poses_from_message(typestore().deserialize_cdr(record.data, POSES_TYPE)) for record in records]


@pytest.mark.skipif(not VIDEO.is_file(), reason=f"{VIDEO.name} is not there")
def test_node_and_replay_answer_the_same(ros, tmp_path: Path) -> None:
    # no lookahead: every frame can wait for the answer to the one before, so that a slow machine drops none
    node = ros.launch("image:=/camera/image_raw", "lookahead:=0", "max_gap:=60.0")
    node.wait_for("waiting for images on")
    live = ros.peer("--video", VIDEO, "--frames", str(FRAMES), "--patient", "1")["poses"]
    offline = {poses.stamp: poses for poses in replayed(tmp_path)}
    assert len(offline) == FRAMES
    assert sum(len(poses) for poses in offline.values()) >= FRAMES, "people are found in this video"
    assert [message["stamp"] for message in live] == list(offline), "a frame was lost on its way"
    for message in live:
        expected = offline[message["stamp"]]
        assert message["ids"] == expected.track_ids.tolist()
        assert tuple(message["joints"]) == expected.joints
        np.testing.assert_array_equal(np.array(message["keypoints"], np.float32), expected.keypoints)
        np.testing.assert_array_equal(np.array(message["boxes"], np.float32), expected.boxes)
        np.testing.assert_array_equal(np.array(message["scores"], np.float32), expected.scores)
