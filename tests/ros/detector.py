# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A detector of the scene's person in a process of its own (run by the tests): answers images with Detection2DArray.

    python detector.py /camera/image_raw /people [--latency SECONDS] [--every K] [--offset SECONDS] [--turn DEGREES]

It also sees a chair, which is no person. Its stamps are the images', plus the offset.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import rclpy
import scene
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from sdtc_ros.messages.poses import message_types, ros_message, stamp_of, to_header
from sdtc_ros.pipeline.rotation import turn_boxes

TYPES = message_types(ros_message)
CHAIR = np.array([4, 50, 30, 40], np.float32)


def detection(box: np.ndarray, name: str, score: float, header: Any) -> Any:
    left, top, width, height = box.tolist()
    centre = TYPES.pose2d(position=TYPES.point2d(x=left + width / 2, y=top + height / 2), theta=0.0)
    result = TYPES.hypothesis_with_pose(hypothesis=TYPES.hypothesis(class_id=name, score=score))
    bbox = TYPES.bounding_box(center=centre, size_x=width, size_y=height)
    return TYPES.detection(header=header, results=[result], bbox=bbox)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("images")
    parser.add_argument("detections")
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--offset", type=float, default=0.0)
    parser.add_argument("--turn", type=int, default=0)
    args = parser.parse_args()
    boxes = [turn_boxes(box, args.turn, (scene.WIDTH, scene.HEIGHT)) for box in (scene.BOX, CHAIR)]
    rclpy.init()
    node = rclpy.create_node("detector")
    publisher = node.create_publisher(Detection2DArray, args.detections, 10)
    seen = 0

    def answer(image: Image) -> None:
        nonlocal seen
        seen += 1
        if seen % args.every:
            return
        time.sleep(args.latency)
        header = to_header(stamp_of(image.header) + round(args.offset * 1e9), image.header.frame_id, TYPES)
        found = [detection(boxes[0], "person", 0.9, header), detection(boxes[1], "chair", 0.8, header)]
        publisher.publish(Detection2DArray(header=header, detections=found))

    node.create_subscription(Image, args.images, answer, qos_profile_sensor_data)
    print("the detector is ready", flush=True)
    rclpy.spin(node)


if __name__ == "__main__":
    main()
