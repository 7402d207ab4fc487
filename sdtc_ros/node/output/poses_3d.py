# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Poses in space, `sdtc/poses_3d`: each keyframe's joints in metres, in the camera's frame or in `target_frame`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection3DArray

from sdtc_ros.errors import UsageError
from sdtc_ros.lifting.poses3d import FramePoses3D
from sdtc_ros.lifting.transform import Transform, transformed
from sdtc_ros.messages.poses import ros_message
from sdtc_ros.messages.poses3d import to_detections_3d
from sdtc_ros.node.input.adaptive import AdaptiveSubscription
from sdtc_ros.node.input.calibration import Calibration
from sdtc_ros.node.output.lifting import LiveLifting
from sdtc_ros.node.output.outputs import Output
from sdtc_ros.node.ports import Ports
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses

POSES_3D = "sdtc/poses_3d"


class Poses3D(Output):
    """Every result as a Detection3DArray, where parameter `depth` asks for it."""

    def __init__(self, ports: Ports) -> None:
        """Subscribe to the depth images and its camera_info; raises UsageError for a target_frame without tf2."""
        self._ports, self._lookup = ports, lru_cache(maxsize=None)(ros_message)
        self._transforms = Transforms(ports) if ports.parameters["target_frame"] else None
        self._publisher = ports.publisher(Detection3DArray, POSES_3D, depth=10)
        self.lifting = LiveLifting(ports.warn, ports.parameters["max_carry"])
        self._calibration = Calibration(ports, lambda: True, "joints in space")
        topic = ports.topic(ports.parameters["depth"].replace("{camera}", ports.name))
        compressed = topic.lower().endswith("compresseddepth")
        kind = CompressedImage if compressed else Image
        raw = topic.rpartition("/")[0] if compressed else topic
        self._of_depth = Calibration(ports, lambda: True, "", raw)  # tells whether it is registered
        self._depth = AdaptiveSubscription(ports, kind, topic, self.lifting.hear, lambda count: None)
        self._calibration.every_second()
        self._of_depth.every_second()
        self.newest: FramePoses3D | None = None  # in the camera's frame

    def publish(self, result: FramePoses, skeleton: Skeleton) -> None:
        """See Output."""
        parameters = self._ports.parameters
        lifted = self.lifting.lift(
            result, skeleton, self._calibration.newest, parameters["depth_tolerance"], parameters["depth_wait"],
            self._of_depth.newest,
        )  # fmt: skip
        self.newest = lifted
        if lifted is None:
            return
        frame_id = result.frame.frame_id
        if self._transforms is not None:
            transform = self._transforms.at(frame_id, result.frame.stamp)
            if transform is not None:
                lifted, frame_id = transformed(lifted, transform), self._transforms.target
        self._publisher.publish(to_detections_3d(lifted, skeleton, self._lookup, frame_id))

    def every_second(self) -> None:
        """See Output."""
        self._depth.adapt()
        self._calibration.every_second()
        self._of_depth.every_second()

    def values(self) -> dict[str, str]:
        """See Output."""
        missing = {} if self._transforms is None else {"in space, without transform": str(self._transforms.missing)}
        return self.lifting.values() | missing

    def close(self) -> None:
        """See Output."""
        self._depth.close()
        self._calibration.close()
        self._of_depth.close()
        if self._transforms is not None:
            self._transforms.close()


class Transforms:
    """From cameras' frames to parameter `target_frame`, by tf2; `missing` counts those that could not be had."""

    def __init__(self, ports: Ports) -> None:
        """Listen to /tf; raises UsageError where tf2_ros is not installed."""
        try:
            from tf2_ros import Buffer, TransformListener
        except ImportError as error:
            raise UsageError(
                f"parameter 'target_frame' needs the ROS package tf2_ros_py, which cannot be used here ({error}): "
                "install it (ros-$ROS_DISTRO-tf2-ros-py) and source its setup.bash, or leave target_frame empty"
            ) from None
        self.target, self.missing = str(ports.parameters["target_frame"]), 0
        self._ports, self._buffer = ports, Buffer()
        self._listener = TransformListener(self._buffer, ports.node)

    def at(self, source: str, stamp: int) -> Transform | None:
        """That of the source frame at that moment (nanoseconds); None, counted and reported, where it is not known."""
        try:
            found = self._buffer.lookup_transform(self.target, source, Time(nanoseconds=stamp)).transform
        except Exception as error:  # tf2's classes for it: no such frame, too early, too late
            self.missing += 1
            self._ports.warn("transform", f"poses in space stay in the camera's frame: {error}")
            return None
        shift, turn = found.translation, found.rotation
        return Transform.from_quaternion(turn.x, turn.y, turn.z, turn.w, (shift.x, shift.y, shift.z))

    def close(self) -> None:
        """Listen no more."""
        unregister: Any = getattr(self._listener, "unregister", None)
        if unregister is not None:
            unregister()
