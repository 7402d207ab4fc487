# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What our bag writer serialises is what ROS 2 itself reads: equal values from rclpy's own deserialisation."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from sdtc_ros.io.bag import BagReader, BagWriter
from sdtc_ros.messages.poses import POSES_TOPIC
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.types import Frame, FramePoses, Pose

READ_WITH_ROS = """
import json, sys
import numpy as np
from pathlib import Path
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray
from sdtc_ros.messages.images import frame_of_message
from sdtc_ros.messages.poses import poses_from_message
folder = Path(sys.argv[1])
data = (folder / "poses.cdr").read_bytes()
message = deserialize_message(data, Detection2DArray)
poses = poses_from_message(message)
told = {"stamp": poses.stamp, "frame_id": poses.frame_id, "joints": poses.joints, "ids": poses.track_ids.tolist(),
        "boxes": poses.boxes.tolist(), "scores": poses.scores.tolist(), "keypoints": poses.keypoints.tolist(),
        "covariance": poses.covariance.tolist()}
for name, kind in (("raw", Image), ("png", CompressedImage)):
    frame = frame_of_message(deserialize_message((folder / f"{name}.cdr").read_bytes(), kind), 0)
    told[name] = [frame.stamp, frame.frame_id]
    np.save(folder / f"{name}.npy", frame.image)
print(json.dumps(told))
"""


def frame_poses(people: int) -> FramePoses:
    rng = np.random.default_rng(people)
    frame = Frame(rng.integers(0, 256, (48, 64, 3), np.uint8), 1_700_000_000_987_654_321, "cam/optical")
    poses = [
        Pose(
            track_id=7 + i,
            box=rng.uniform(0, 64, 4).astype(np.float32),
            box_score=0.5,
            keypoints=rng.uniform(0, 64, (15, 3)).astype(np.float32),
            covariance=rng.uniform(0, 9, (15, 3)).astype(np.float32),
            score=0.25 * (i + 1),
        )
        for i in range(people)
    ]
    return FramePoses(frame, poses)


def test_bag_messages_are_read_by_ros_with_equal_values(ros, tmp_path: Path) -> None:
    made = frame_poses(3)
    with BagWriter(tmp_path / "bag") as writer:
        writer.write_poses(made, POSETRACK)
        writer.write_image("/raw", made.frame, "bgr8")
        writer.write_image("/png", made.frame, "png")
    reader = BagReader(tmp_path / "bag")
    for topic, name in ((POSES_TOPIC, "poses"), ("/raw", "raw"), ("/png", "png")):
        (tmp_path / f"{name}.cdr").write_bytes(bytes(next(iter(reader.records(topic))).data))
    done = ros.run(sys.executable, "-c", READ_WITH_ROS, tmp_path)
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout.splitlines()[-1])

    assert (told["stamp"], told["frame_id"]) == (made.frame.stamp, "cam/optical")
    assert tuple(told["joints"]) == POSETRACK.joints
    assert told["ids"] == [7, 8, 9]
    np.testing.assert_allclose(told["scores"], [0.25, 0.5, 0.75])
    for name, expected in (
        ("boxes", [pose.box for pose in made.poses]),
        ("keypoints", [pose.keypoints for pose in made.poses]),
        ("covariance", [pose.covariance for pose in made.poses]),
    ):
        np.testing.assert_allclose(told[name], np.stack(expected), rtol=1e-5, atol=1e-5)
    for name in ("raw", "png"):
        assert told[name] == [made.frame.stamp, "cam/optical"]
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), made.frame.image)
