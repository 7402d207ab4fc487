# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A process beside the node (run by the tests): publishes the scene with its camera_info, records what is to be seen.

    python viewer.py OUT.json --frames 12 --want annotated compressed markers info diagnostics bodies [--calibrated]

With --patient N, frame i waits for the answer to frame i - N. After the last frame's answer it listens until --until
WORDS stand in a diagnostic message, or the last bodies are gone, and a little longer.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import peer
import rclpy
import scene
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_msgs.msg import Detection2DArray
from visualization_msgs.msg import MarkerArray

from sdtc_ros.messages.poses import stamp_of


def header(message: Any) -> dict[str, Any]:
    return {"stamp": stamp_of(message.header), "frame_id": message.header.frame_id}


def picture(message: Any) -> dict[str, Any]:
    if isinstance(message, CompressedImage):
        drawn = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
        form = message.format
    else:
        drawn = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        form = message.encoding
    plain = np.abs(drawn.astype(int) - drawn[-1, -1]).max(axis=2) > 30
    return header(message) | {"format": form, "size": [drawn.shape[1], drawn.shape[0]], "differs": int(plain.sum())}


def marker(one: Any) -> dict[str, Any]:
    points = [[p.x, p.y, p.z] for p in one.points]
    place = one.pose.position
    return header(one) | {
        "ns": one.ns, "id": one.id, "type": one.type, "action": one.action, "points": points, "text": one.text,
        "colours": len(one.colors), "place": [place.x, place.y, place.z],
    }  # fmt: skip


def info(message: Any) -> dict[str, Any]:
    return header(message) | {"k": list(message.k), "d": list(message.d), "size": [message.width, message.height]}


def diagnostics(message: Any) -> dict[str, Any]:
    return {
        one.name: {"level": one.level[0], "message": one.message, "hardware": one.hardware_id,
                   "values": {pair.key: pair.value for pair in one.values}}
        for one in message.status
    }  # fmt: skip


WANTED: dict[str, tuple[Any, str, Any]] = {
    "annotated": (Image, "/sdtc/image_annotated", picture),
    "compressed": (CompressedImage, "/sdtc/image_annotated/compressed", picture),
    "markers": (MarkerArray, "/sdtc/markers", lambda message: [marker(one) for one in message.markers]),
    "info": (CameraInfo, "/sdtc/camera_info", info),
    "diagnostics": (DiagnosticArray, "/diagnostics", diagnostics),
}


class Humans:
    """Follows /humans/bodies/tracked, and every body while it is listed."""

    def __init__(self, node: Any) -> None:
        from hri_msgs.msg import IdsList

        self.node, self.heard = node, []
        self.followed: dict[str, list[Any]] = {}
        node.create_subscription(IdsList, "/humans/bodies/tracked", self.list, 10)

    def list(self, message: Any) -> None:
        from hri_msgs.msg import NormalizedRegionOfInterest2D, Skeleton2D

        self.heard.append({"of": "tracked", "ids": list(message.ids)} | header(message))
        for name in set(message.ids) - set(self.followed):
            self.followed[name] = [
                self.node.create_subscription(kind, f"/humans/bodies/{name}/{what}", self.hear(name, what), 10)
                for kind, what in ((NormalizedRegionOfInterest2D, "roi"), (Skeleton2D, "skeleton2d"))
            ] + [self.node.create_subscription(Image, f"/humans/bodies/{name}/cropped", self.hear(name, "cropped"), 10)]

    def hear(self, name: str, what: str) -> Any:
        def keep(message: Any) -> None:
            record = {"of": what, "id": name} | header(message)
            if what == "roi":
                record["roi"] = [message.xmin, message.ymin, message.xmax, message.ymax, message.c]
            elif what == "skeleton2d":
                record["points"] = [[point.x, point.y, point.c] for point in message.skeleton]
            else:
                record["size"] = [message.width, message.height]
            self.heard.append(record)

        return keep

    def publishers(self) -> list[str]:
        names = self.node.get_topic_names_and_types()
        return [n for n, _ in names if n.startswith("/humans/bodies/") and self.node.count_publishers(n)]


def main() -> None:
    args = arguments()
    rclpy.init()
    node = rclpy.create_node("viewer")
    record: dict[str, list[Any]] = {name: [] for name in args.want}
    poses: list[dict[str, Any]] = []
    node.create_subscription(Detection2DArray, "/sdtc/poses", lambda m: poses.append(peer.record(m)), 10)
    for name in set(args.want) & set(WANTED):
        kind, topic, read = WANTED[name]
        node.create_subscription(kind, topic, lambda m, n=name, r=read: record[n].append(r(m)), qos_profile_sensor_data)
    humans = Humans(node) if "bodies" in args.want else None
    images = node.create_publisher(Image, args.topic, qos_profile_sensor_data)
    calibration = node.create_publisher(CameraInfo, args.topic.rpartition("/")[0] + "/camera_info", 10)
    peer.spin_until(node, lambda: images.get_subscription_count() and node.count_publishers("/sdtc/poses"), 60.0)
    if args.calibrated:  # the node looks once a second whether somebody wants it
        peer.spin_until(node, lambda: calibration.get_subscription_count(), 30.0)
    peer.spin_until(node, lambda: False, 0.5)
    send(node, args, images, calibration, poses)
    if not args.unanswered:
        peer.spin_until(node, lambda: bool(poses) and poses[-1]["stamp"] == scene.stamp(args.frames - 1), 30.0)
    if args.until:
        peer.spin_until(node, lambda: told(record, args.until), 30.0)
    if humans:
        peer.spin_until(node, lambda: len(humans.publishers()) == 1, 30.0)
    peer.spin_until(node, lambda: False, args.linger)
    gone = humans.publishers() if humans else []
    args.out.write_text(json.dumps(
        record | {"poses": poses, "bodies": humans.heard if humans else [], "publishers": gone}
    ))  # fmt: skip
    node.destroy_node()
    rclpy.shutdown()


def send(node: Any, args: argparse.Namespace, images: Any, calibration: Any, poses: list[Any]) -> None:
    begin = time.monotonic()
    for number in range(args.frames):
        peer.spin_until(node, lambda: False, begin + number / args.hz - time.monotonic())
        if args.patient is not None and number >= args.patient:
            answer = scene.stamp(number - args.patient)
            peer.spin_until(node, lambda answer=answer: bool(poses) and poses[-1]["stamp"] >= answer, 10.0)
        message = peer.message(number, scene.image(number), args)
        if args.calibrated:
            known = CameraInfo(header=message.header, width=scene.WIDTH, height=scene.HEIGHT)
            known.distortion_model, known.d, known.k = "plumb_bob", scene.DISTORTION, scene.MATRIX
            known.p = [*scene.MATRIX[:3], 0.0, *scene.MATRIX[3:6], 0.0, *scene.MATRIX[6:], 0.0]
            calibration.publish(known)
        images.publish(message)


def told(record: dict[str, list[Any]], words: str) -> bool:
    return any(words in status["message"] for heard in record["diagnostics"] for status in heard.values())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--want", nargs="*", default=[], choices=[*WANTED, "bodies"])
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--hz", type=float, default=10.0)
    parser.add_argument("--patient", type=int, metavar="N")
    parser.add_argument("--linger", type=float, default=0.5)
    parser.add_argument("--until", default="")
    parser.add_argument("--topic", default="/camera/image_raw")
    parser.add_argument("--encoding", default="bgr8")
    for flag in ("calibrated", "unanswered", "damage", "compressed"):
        parser.add_argument(f"--{flag}", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
