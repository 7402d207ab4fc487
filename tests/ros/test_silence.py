# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A camera that says nothing: the node names the reason, from what it sees of the ROS graph."""

from __future__ import annotations

import json
import sys
import time

# our node and a camera's in one process; every topic is silent for a reason of its own
GRAPH = """
import json, sys, time
import rclpy
from rclpy.qos import QoSProfile, qos_profile_sensor_data as sensor
from sensor_msgs.msg import CompressedImage, Image
from sdtc_ros.node.health.watchdog import why_silent
rclpy.init()
ours, camera = rclpy.create_node("sdtc_pose"), rclpy.create_node("camera")
ours.create_publisher(Image, "/sdtc/image_annotated", 1)
ours.create_subscription(Image, "/nowhere", print, sensor)
lonely = why_silent(ours, next(s for s in ours.subscriptions if s.topic_name == "/nowhere"))
camera.create_publisher(Image, "/raw", sensor)
camera.create_publisher(CompressedImage, "/packed/compressed", sensor)
deadline = time.monotonic() + 20
while ours.count_publishers("/packed/compressed") + ours.count_publishers("/raw") < 2 and time.monotonic() < deadline:
    time.sleep(0.05)
asked = {
    "silent": (Image, "/raw", sensor), "mismatch": (Image, "/raw", QoSProfile(depth=1)),
    "misspelt": (Image, "/row", sensor), "packed": (Image, "/packed", sensor),
    "unpacked": (CompressedImage, "/raw/compressed", sensor), "type": (Image, "/packed/compressed", sensor),
}
told = {name: why_silent(ours, ours.create_subscription(kind, topic, print, qos))
        for name, (kind, topic, qos) in asked.items()}
print(json.dumps(told | {"lonely": lonely}))
"""


def test_every_reason_has_its_sentence(ros) -> None:
    done = ros.run(sys.executable, "-c", GRAPH)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "lonely": "nobody publishes on /nowhere; no topic of the type sensor_msgs/msg/Image is published",
        "silent": "'camera' is there to publish on /raw, but nothing comes from it; if it does send (ros2 topic hz), "
        "its images are too large for the socket buffers: reliability:=reliable, transport:=compressed, or more room "
        "(docs/deploy.md, 'Images over DDS')",
        "mismatch": "the quality of service of 'camera' on /raw does not match ours: "
        "reliability is best_effort there and reliable here",
        "misspelt": "nobody publishes on /row; sensor_msgs/msg/Image is published on /raw",
        "packed": "nobody publishes on /packed; /packed/compressed is there: set transport to compressed",
        "unpacked": "nobody publishes on /raw/compressed; /raw is there: set transport to raw",
        "type": "/packed/compressed carries sensor_msgs/msg/CompressedImage, not sensor_msgs/msg/Image",
    }


def test_the_node_says_it_and_goes_on(ros, pose_node) -> None:
    node = pose_node("max_silence:=1.0", "lookahead:=0")
    node.wait_for("no image received for 1 s: nobody publishes on /camera/image_raw")
    assert ros.peer("--frames", "4", "--patient", "1")["poses"]
    deadline = time.monotonic() + 20
    while node.log.count("nobody publishes") < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2.5)
    assert node.log.count("nobody publishes") == 2, "once before the images, once after them"
