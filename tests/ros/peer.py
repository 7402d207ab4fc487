# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A process beside the node (run by the tests): publishes the scene's or a video's images, records what comes back.

    python peer.py OUT.json --encoding bgr8 --frames 12 --hz 10 [--annotated] [--compressed] [--damage] [--patient N]

With --patient N, frame i waits for the answer to frame i - N, so that a busy machine drops none.
"""

from __future__ import annotations

import argparse
import json
import time
from array import array
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
import scene
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from sdtc_ros.messages.poses import poses_from_message, stamp_of

FRAME_ID = "camera_optical_frame"


def message(number: int, pixels: np.ndarray, args: argparse.Namespace) -> Any:
    made = CompressedImage() if args.compressed else Image()
    made.header.frame_id = FRAME_ID
    made.header.stamp.sec, made.header.stamp.nanosec = divmod(scene.stamp(number), 1_000_000_000)
    if args.compressed:
        made.format = "bgr8; png compressed bgr8"
        made.data = array("B", cv2.imencode(".png", pixels)[1].tobytes())
        return made
    made.height, made.width, made.step = *pixels.shape[:2], 3 * pixels.shape[1]
    made.encoding = args.encoding
    data = np.ascontiguousarray(pixels[..., ::-1] if args.encoding == "rgb8" else pixels).tobytes()
    if args.damage and number == scene.DAMAGED[0]:
        made.encoding = "secret7"
    if args.damage and number == scene.DAMAGED[1]:
        data = data[: len(data) // 2]
    made.data = array("B", data)
    return made


def record(message: Any) -> dict[str, Any]:
    poses = poses_from_message(message)
    return {
        "stamp": poses.stamp, "frame_id": poses.frame_id, "joints": poses.joints, "boxes": poses.boxes.tolist(),
        "ids": poses.track_ids.tolist(), "scores": poses.scores.tolist(), "keypoints": poses.keypoints.tolist(),
        "covariance": poses.covariance.tolist(),
        "stamps_of_people": [stamp_of(person.header) for person in message.detections], "received": time.time_ns(),
    }  # fmt: skip


def pixels_of(args: argparse.Namespace) -> list[np.ndarray]:
    if not args.video:
        return [np.ascontiguousarray(np.rot90(scene.image(n), args.turn // 90)) for n in range(args.frames)]
    video = cv2.VideoCapture(str(args.video))
    return [video.read()[1] for _ in range(args.frames)]


def spin_until(node: Any, condition: Any, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.02)
    return bool(met)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--encoding", default="bgr8")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--hz", type=float, default=10.0)
    parser.add_argument("--patient", type=int, metavar="N")
    parser.add_argument("--linger", type=float, default=30.0, help="seconds to wait for the last image's poses")
    parser.add_argument("--turn", type=int, default=0, help="the degrees clockwise that turn the scene upright again")
    parser.add_argument("--topic", default="/camera/image_raw")
    parser.add_argument("--poses", default="/sdtc/poses")
    parser.add_argument("--video", type=Path)
    parser.add_argument("--png", type=Path)
    for flag in ("annotated", "compressed", "damage"):
        parser.add_argument(f"--{flag}", action="store_true")
    args = parser.parse_args()
    pixels = pixels_of(args)

    rclpy.init()
    node = rclpy.create_node("peer")
    poses: list[dict[str, Any]] = []
    annotated: list[Any] = []
    kind, topic = (CompressedImage, args.topic + "/compressed") if args.compressed else (Image, args.topic)
    images = node.create_publisher(kind, topic, qos_profile_sensor_data)
    pose_source = node.create_subscription(Detection2DArray, args.poses, lambda m: poses.append(record(m)), 10)
    if args.annotated:
        node.create_subscription(Image, "/sdtc/image_annotated", annotated.append, qos_profile_sensor_data)
    spin_until(node, lambda: images.get_subscription_count() and node.count_publishers(args.poses), 30.0)
    spin_until(node, lambda: False, 0.5)  # discovery is done by either side for itself
    begin, patience = time.monotonic(), 10.0
    for number, picture in enumerate(pixels):
        spin_until(node, lambda: False, begin + number / args.hz - time.monotonic())
        if args.patient is not None and number >= args.patient:
            answer = scene.stamp(number - args.patient)
            if not spin_until(node, lambda answer=answer: bool(poses) and poses[-1]["stamp"] >= answer, patience):
                patience = 3.0  # an image or an answer was lost
        images.publish(message(number, picture, args))
    last = scene.stamp(len(pixels) - 1)
    spin_until(node, lambda: bool(poses) and poses[-1]["stamp"] == last, args.linger)
    spin_until(node, lambda: False, 0.5)
    if annotated and args.png:
        cv2.imwrite(str(args.png), np.frombuffer(annotated[-1].data, np.uint8).reshape(annotated[-1].height, -1, 3))
    args.out.write_text(json.dumps({
        "poses": poses,
        "publishers_of_poses": node.count_publishers(args.poses),
        "annotated": [
            {"stamp": stamp_of(m.header), "frame_id": m.header.frame_id, "encoding": m.encoding,
             "size": [m.width, m.height], "step": m.step, "differs": _differs(m)} for m in annotated
        ],
    }))  # fmt: skip
    node.destroy_subscription(pose_source)
    node.destroy_node()
    rclpy.shutdown()


def _differs(message: Any) -> int:
    """How many pixels of an annotated scene are not the scene's own."""
    drawn = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
    return int((drawn != drawn[-1, -1]).any(axis=2).sum())


if __name__ == "__main__":
    main()
