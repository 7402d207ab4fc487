# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Joints in metres under a real ROS 2: a colour and a depth camera, a transform, a subscriber; everybody in `map`."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

METRES = 2.0
# a robot's camera: colour, depth and calibration of one stamp; two metres before it a wall, at which everybody stands.
# Its transform to `map` comes only after the third image: x forward from 10 m.
ROBOT = """
import array, json, sys, threading, time
import numpy as np
import rclpy
import scene
from geometry_msgs.msg import TransformStamped
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from sdtc_ros.messages.poses3d import poses_3d_from_message
rclpy.init()
node = rclpy.create_node("robot")
makers = [node.create_publisher(kind, "/camera/" + name, 5)
          for kind, name in ((CameraInfo, "camera_info"), (Image, "depth"), (Image, "image_raw"))]
latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
static = node.create_publisher(TFMessage, "/tf_static", latched)
heard = []
node.create_subscription(Detection3DArray, "/sdtc/poses_3d", heard.append, 10)
threading.Thread(target=rclpy.spin, args=(node,), daemon=True).start()
while any(not maker.get_subscription_count() for maker in makers):
    time.sleep(0.05)
time.sleep(2.5)  # the subscriptions have settled on a reliability
w, h = scene.WIDTH, scene.HEIGHT
k = [110.0, 0.0, w / 2, 0.0, 110.0, h / 2, 0.0, 0.0, 1.0]
info = CameraInfo(width=w, height=h, distortion_model="plumb_bob", d=[0.0] * 5, k=k,
                  r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
                  p=[110.0, 0.0, w / 2, 0.0, 0.0, 110.0, h / 2, 0.0, 0.0, 0.0, 1.0, 0.0])
depth = Image(width=w, height=h, encoding="16UC1", step=2 * w)
depth.data = array.array("B", np.full((h, w), 2000, np.uint16).tobytes())
for number in range(8):
    if number == 3:
        at = TransformStamped(child_frame_id="camera_optical")
        at.header.frame_id = "map"
        at.transform.translation.x = 10.0
        turn = at.transform.rotation
        turn.x, turn.y, turn.z, turn.w = -0.5, 0.5, -0.5, 0.5  # optical: x right, y down, z forward
        static.publish(TFMessage(transforms=[at]))
        time.sleep(1.0)
    colour = Image(width=w, height=h, encoding="bgr8", step=3 * w)
    colour.data = array.array("B", np.full((h, w, 3), (4 * number, 16, 128), np.uint8).tobytes())
    seconds, nanoseconds = divmod(scene.stamp(number), 10**9)
    for maker, message in zip(makers, (info, depth, colour)):
        message.header.stamp.sec, message.header.stamp.nanosec = seconds, nanoseconds
        message.header.frame_id = "camera_optical"
        maker.publish(message)
    until = time.monotonic() + 10
    while len(heard) <= number and time.monotonic() < until:
        time.sleep(0.01)
told = [poses_3d_from_message(message) for message in heard]
print(json.dumps([[one.frame_id, scene.number_of(one.stamp), len(one), one.positions[one.joint_scores > 0].tolist()]
                  for one in told]), flush=True)
import os
os._exit(0)
"""


@pytest.fixture
def robot(ros: Any) -> list[list[Any]]:
    if ros.run(sys.executable, "-c", "import tf2_ros").returncode:
        pytest.skip("tf2_ros is not installed")
    ros.env["PYTHONPATH"] = f"{__file__.rpartition('/')[0]}:{ros.env['PYTHONPATH']}"
    return []


@pytest.mark.usefixtures("robot")
def test_everybody_stands_where_the_depth_is_and_in_map_where_there_is_a_transform(ros: Any, models: list[str]) -> None:
    parameters = ["depth:=/camera/depth", "target_frame:=map", "lookahead:=0", "max_gap:=60.0", *models]
    given = [word for parameter in parameters for word in ("-p", parameter)]
    node = ros.start(sys.executable, "-m", "sdtc_ros.node", "--ros-args", "-r", "image:=/camera/image_raw", *given)
    node.wait_for("waiting for images on")
    done = ros.run(sys.executable, "-c", ROBOT)
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout.splitlines()[-1])
    assert [number for _, number, *_ in told] == list(range(8)), node.log
    assert [frame for frame, *_ in told] == ["camera_optical"] * 3 + ["map"] * 5
    placed = {"camera_optical": [], "map": []}
    for frame, _, _, joints in told:  # the arithmetic model's people are not always bodies that could be
        placed[frame] += [place[0] - 10.0 if frame == "map" else place[2] for place in joints]
    assert placed["map"], told
    assert placed["map"] + placed["camera_optical"] == pytest.approx(
        [METRES] * sum(map(len, placed.values())), abs=0.25
    )
    assert node.log.count("poses in space stay in the camera's frame") == 1, "said once"
    node.interrupt()
