# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`ros2 run sdtc_ros play_images INPUT`: a bag, a video or a folder of frames as a camera's image topic.

What `replay` reads, this plays, under the frames' own header stamps; no rosbag2 player is needed. Topics: `image`
(remap it: `--ros-args -r image:=/camera/image_raw`), `image`/compressed with --transport compressed (PNG: no pixel
changes), and /clock with --clock, for nodes with use_sim_time.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import cv2
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from sdtc_ros.errors import SdtcError, UsageError
from sdtc_ros.io.sources import Excerpt, Source, open_source
from sdtc_ros.messages.images import fill_image_message
from sdtc_ros.messages.poses import PERSON, MessageTypes, message_types, ros_message, to_header
from sdtc_ros.node.parameters import COMPRESSED, RAW
from sdtc_ros.types import Boxes, Frame

SECOND = 1_000_000_000
QOS = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.RELIABLE)  # best-effort subscribers hear it too


class Player:
    """Publishes frames on a node's topic `image`, in the node's namespace and under its remappings.

    boxes: person boxes are published too, on `detections`.
    """

    def __init__(self, node: Node, transport: str = RAW, clock: bool = False, boxes: bool = False) -> None:
        self._types = message_types(ros_message)
        self._compressed = transport == COMPRESSED
        kind, topic = Image, node.resolve_topic_name("image")
        if self._compressed:
            kind, topic = CompressedImage, topic + "/compressed"
        self._images = node.create_publisher(kind, topic, QOS)
        self._clock = node.create_publisher(Clock, "/clock", QOS) if clock else None
        self._boxes = node.create_publisher(Detection2DArray, "detections", QOS) if boxes else None
        self.topic = topic

    @property
    def listeners(self) -> int:
        """How many subscriptions are known to hear the images."""
        return int(self._images.get_subscription_count())

    def publish(self, frame: Frame, boxes: Boxes | None = None) -> None:
        """Publish a frame under its stamp and frame_id; before it, where asked for, the time and the boxes."""
        header = to_header(frame.stamp, frame.frame_id, self._types)
        if self._clock is not None:
            self._clock.publish(Clock(clock=header.stamp))
        if self._boxes is not None and boxes is not None:
            self._boxes.publish(boxes_message(boxes, header, self._types))
        self._images.publish(self._message(frame, header))

    def _message(self, frame: Frame, header: Any) -> Any:
        if not self._compressed:
            return fill_image_message(Image(header=header), frame.image)
        data = array("B", cv2.imencode(".png", frame.image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
        return CompressedImage(header=header, format="bgr8; png compressed bgr8", data=data)


def boxes_message(boxes: Boxes, header: Any, types: MessageTypes) -> Any:
    """Person boxes as a vision_msgs/Detection2DArray, class_id 'person'; track ids are not told."""
    people = []
    for box, score in zip(boxes.xywh, boxes.scores, strict=True):
        left, top, width, height = (float(v) for v in box)
        centre = types.pose2d(position=types.point2d(x=left + width / 2, y=top + height / 2), theta=0.0)
        hypothesis = types.hypothesis(class_id=PERSON, score=float(score))
        people.append(
            types.detection(
                header=header,
                results=[types.hypothesis_with_pose(hypothesis=hypothesis)],
                bbox=types.bounding_box(center=centre, size_x=width, size_y=height),
            )
        )
    return types.detection_array(header=header, detections=people)


class Pace:
    """When frames are due: as their stamps say, `rate` times as fast."""

    def __init__(self, rate: float) -> None:
        self._rate, self._begin, self._first = rate, 0.0, 0
        self._last: int | None = None

    def due(self, stamp: int) -> float:
        """Seconds (of `monotonic`) at which the frame of this stamp is due; stamps that jump back start over."""
        if self._last is None or stamp < self._last:
            self._begin, self._first = monotonic(), stamp
        self._last = stamp
        return self._begin + (stamp - self._first) / SECOND / self._rate


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that choose the input and how it is published."""
    add = parser.add_argument
    add("input", type=Path, metavar="INPUT", help="a rosbag2 (folder, .mcap, .db3), a video, a folder of images")
    add("--topic", help="the bag's image topic; required if it has several")
    add("--fps", type=float, help="frame rate of a folder of images (default 25), or instead of the video's own")
    add("--start", type=int, default=0, metavar="N", help="number of the first frame (default 0)")
    add("--frames", type=int, metavar="N", help="how many frames (default: to the end)")
    add("--frame-id", default="", help="header.frame_id of the images (default: the bag's)")
    add("--transport", choices=[RAW, COMPRESSED], default=RAW, help="default: %(default)s; compressed: as PNG")
    add("--clock", action="store_true", help="publish the stamps on /clock, for use_sim_time")


def open_input(args: argparse.Namespace) -> Source:
    """The input that the arguments name; raises UsageError and InputError."""
    if args.start < 0 or (args.frames is not None and args.frames < 1):
        raise UsageError("--start must be 0 or more, and --frames 1 or more")
    source = open_source(args.input, args.topic or None, args.fps, Excerpt(args.start, args.frames))
    if args.frame_id:
        frames = source.frames
        source.frames = ((number, replace(frame, frame_id=args.frame_id)) for number, frame in frames)
    return source


def run_process(argv: list[str], name: str, work: Callable[[list[str]], int]) -> int:
    """Call `work` with the arguments that are not ROS's, in a ROS context; one sentence for what a user can mend."""
    try:
        rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # wrong --ros-args
        print(f"{name}: error: {error}", file=sys.stderr)
        return UsageError.exit_status
    try:
        return work(remove_ros_args(argv)[1:])
    except SdtcError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    finally:
        rclpy.try_shutdown()


def main(argv: list[str] | None = None) -> int:
    """Play an input to its end, or until Ctrl-C; returns the exit status."""
    return run_process(sys.argv if argv is None else argv, "play_images", _play)


def _play(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="play_images", description="Publish recorded frames as a camera would.")
    add_input_arguments(parser)
    parser.add_argument("--rate", type=float, default=1.0, help="playback speed relative to the recording (default 1)")
    parser.add_argument("--loop", action="store_true", help="start over at the end")
    args = parser.parse_args(words)
    if args.rate <= 0:
        raise UsageError("--rate must be > 0")
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    node = rclpy.create_node("play_images")
    player, pace, count = Player(node, args.transport, args.clock), Pace(args.rate), 0
    source = open_input(args)
    node.get_logger().info(f"playing {source.what} on {player.topic}")
    while not stopped.is_set():
        for _, frame in source.frames:
            if stopped.wait(max(0.0, pace.due(frame.stamp) - monotonic())):
                break
            player.publish(frame)
            count += 1
        if not args.loop or stopped.is_set():
            break
        source = open_input(args)
    node.get_logger().info(f"{count} frames were published" + "".join(f"; {text}" for text in source.problems))
    node.destroy_node()
    return 0


if __name__ == "__main__":
    sys.exit(main())
