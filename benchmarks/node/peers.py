# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The processes beside the node, each with one role: `python -m benchmarks.node.peers ROLE ...` in a ROS environment.

- camera: publishes the clip on NAME/image_raw and its calibration on NAME/camera_info, for one or several cameras.
- detector: hears camera_info and publishes the true boxes of that stamp's frame on NAME/detections, at once: it stands
  for a detector that has a device of its own.
- listener: hears NAME/poses and /diagnostics and writes down what comes when.
- viewer: hears one camera's annotated image, and counts.

Each prints `ready` once it is, and works until it is ended, by Ctrl-C or the hard way.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from benchmarks.node.clip import PlayedClip, load
from benchmarks.node.records import HEARD, SENT, Notebook, number_of, stamp_for, truth_distance
from sdtc_ros.messages.images import fill_image_message
from sdtc_ros.messages.poses import message_types, poses_from_message, ros_message, stamp_of, to_header

TYPES = message_types(ros_message)
FRAME_ID = "camera_optical_frame"
SETTLE_SECONDS = 0.5  # discovery is done by either side for itself
SCORE = 0.9  # of a true box
DEPTH = 100
TICK = 0.2  # seconds: while it waits for messages, Python hears no Ctrl-C


def _spin(node: Any, seconds: float = float("inf")) -> None:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        rclpy.spin_once(node, timeout_sec=min(left, TICK))


def _wait(node: Any, condition: Callable[[], Any]) -> None:
    """Until the graph is as it should be (the parent ends this process if it never is)."""
    while not condition():
        _spin(node, 0.05)
    _spin(node, SETTLE_SECONDS)


def camera(args: argparse.Namespace, node: Any) -> None:
    """Publish frames at their due times; one that comes more than a period late shifts those after it."""
    clip = load(args.clip)
    names = args.names
    images = [node.create_publisher(Image, f"/{name}/image_raw", qos_profile_sensor_data) for name in names]
    infos = [node.create_publisher(CameraInfo, f"/{name}/camera_info", qos_profile_sensor_data) for name in names]
    messages = [_image(clip, number) for number in range(len(clip.images))]
    heard = [*images, *(infos if args.detector else [])]
    _wait(node, lambda: all(publisher.get_subscription_count() for publisher in heard))
    notes = Notebook(args.out, SENT)
    print("ready", flush=True)
    begin, count = time.monotonic(), 0
    while True:
        for which in range(len(names)):
            due = begin + (count + which * args.phase) / args.hz
            late = time.monotonic() - due
            time.sleep(max(0.0, -late))
            begin += late if late > 1 / args.hz else 0.0
            _send(clip, messages, images[which], infos[which], notes, count, which)
        count += 1


def _image(clip: PlayedClip, number: int) -> Any:
    made = fill_image_message(Image(), np.asarray(clip.images[number]))
    made.header.frame_id = FRAME_ID
    return made


def _send(
    clip: PlayedClip, messages: list[Any], images: Any, infos: Any, notes: Notebook, count: int, which: int
) -> None:
    number = clip.number(count)
    message = messages[number]
    stamp = stamp_for(time.time_ns(), number)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
    notes.write(stamp, which)  # before it is sent: a result to a stamp that nobody noted would look wrong
    images.publish(message)
    infos.publish(CameraInfo(header=message.header, height=message.height, width=message.width))


def detector(args: argparse.Namespace, node: Any) -> None:
    """Answer every camera_info with the true boxes."""
    clip = load(args.clip)
    notes = Notebook(args.out, SENT)

    def answer(publisher: Any, which: int, message: Any) -> None:
        stamp = stamp_of(message.header)
        header = to_header(stamp, message.header.frame_id, TYPES)
        found = [_detection(box, header) for box in clip.boxes[number_of(stamp)].tolist()]
        publisher.publish(Detection2DArray(header=header, detections=found))
        notes.write(stamp, which)

    for which, name in enumerate(args.names):
        publisher = node.create_publisher(Detection2DArray, f"/{name}/detections", 10)
        callback = partial(answer, publisher, which)
        node.create_subscription(CameraInfo, f"/{name}/camera_info", callback, qos_profile_sensor_data)
    _wait(node, lambda: all(node.count_subscribers(f"/{name}/detections") for name in args.names))
    print("ready", flush=True)
    _spin(node)


def _detection(box: list[float], header: Any) -> Any:
    left, top, width, height = box
    centre = TYPES.pose2d(position=TYPES.point2d(x=left + width / 2, y=top + height / 2), theta=0.0)
    result = TYPES.hypothesis_with_pose(hypothesis=TYPES.hypothesis(class_id="person", score=SCORE))
    return TYPES.detection(
        header=header, results=[result], bbox=TYPES.bounding_box(center=centre, size_x=width, size_y=height)
    )


def listener(args: argparse.Namespace, node: Any) -> None:
    """Write down every result (HEARD) and every diagnostic message (a line of JSON)."""
    clip = load(args.clip)
    notes = Notebook(args.out, HEARD)
    diagnostics = args.diagnostics.open("a", encoding="utf-8", buffering=1)

    def hear(which: int, message: Any) -> None:
        moment = time.time_ns()
        poses = poses_from_message(message)
        off = truth_distance(poses.boxes, clip.boxes[number_of(poses.stamp) % len(clip.boxes)])
        notes.write(poses.stamp, moment, which, len(poses), off if args.true_boxes else float("nan"))

    def note(message: Any) -> None:
        entry = {"moment": time.time_ns(), "status": [_status(status) for status in message.status]}
        diagnostics.write(json.dumps(entry) + "\n")

    for which, name in enumerate(args.names):
        node.create_subscription(Detection2DArray, f"/{name}/poses", partial(hear, which), QoSProfile(depth=DEPTH))
    node.create_subscription(DiagnosticArray, "/diagnostics", note, QoSProfile(depth=DEPTH))
    _wait(node, lambda: all(node.count_publishers(f"/{name}/poses") for name in args.names))
    print("ready", flush=True)
    _spin(node)


def _status(status: Any) -> dict[str, Any]:
    return {
        "name": status.name, "level": int.from_bytes(status.level, "little"), "message": status.message,
        "values": {pair.key: pair.value for pair in status.values},
    }  # fmt: skip


def viewer(args: argparse.Namespace, node: Any) -> None:
    """Take the annotated images of one topic."""
    notes = Notebook(args.out, SENT)
    kind, topic = (CompressedImage, f"{args.topic}/compressed") if args.compressed else (Image, args.topic)
    node.create_subscription(
        kind, topic, lambda message: notes.write(stamp_of(message.header), 0), qos_profile_sensor_data
    )
    _wait(node, lambda: node.count_publishers(topic))
    print("ready", flush=True)
    _spin(node)


ROLES: dict[str, Callable[[argparse.Namespace, Any], None]] = {
    "camera": camera, "detector": detector, "listener": listener, "viewer": viewer,
}  # fmt: skip


def main() -> int:
    """Play the role until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.node.peers")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--out", type=Path, required=True, help="the file of its records")
    parser.add_argument("--clip", type=Path, help="as clip.render wrote it")
    parser.add_argument("--names", nargs="+", default=[], help="of the cameras")
    parser.add_argument("--hz", type=float, default=30.0)
    parser.add_argument("--phase", type=float, default=0.0, help="of a period, by which each camera follows another")
    parser.add_argument("--detector", action="store_true", help="camera: wait for a detector to listen")
    parser.add_argument("--true-boxes", action="store_true", help="listener: the boxes heard should be the true ones")
    parser.add_argument("--diagnostics", type=Path, help="listener: file for the diagnostics")
    parser.add_argument("--topic", default="", help="viewer: the raw image's")
    parser.add_argument("--compressed", action="store_true", help="viewer: take the JPEG images")
    args = parser.parse_args()
    try:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        ROLES[args.role](args, rclpy.create_node(f"bench_{args.role}"))
    except KeyboardInterrupt:  # its usual end
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
