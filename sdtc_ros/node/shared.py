# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the cameras of a node share: a thread that makes what is only looked at, and everybody's bodies."""

from __future__ import annotations

import traceback
from functools import lru_cache
from typing import Any

from rclpy.node import Node

from sdtc_ros.messages.hri import TRACKED, Bodies
from sdtc_ros.messages.poses import message_types, ros_message, to_header
from sdtc_ros.node.output.renderer import Renderer
from sdtc_ros.node.qos import PublisherEventCallbacks, make_publisher, reliable
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses

STOP_SECONDS = 0.5  # how long an image that is being drawn is waited for


class Shared:
    """Outputs of the node as a whole, between `configure` and `free`."""

    def __init__(self, node: Node) -> None:
        """Begin nothing yet."""
        self._node = node
        self._lookup = lru_cache(maxsize=None)(ros_message)
        self._types = message_types(self._lookup)
        self.renderer = Renderer(self._report)
        self._bodies: Bodies | None = None

    def configure(self, hri: bool) -> None:
        """Make what the cameras will need; hri: bodies too, which raises UsageError where hri_msgs is not installed."""
        if hri:
            self._bodies = Bodies(self._publisher_of_body, self._node.destroy_publisher, self._lookup)

    def free(self) -> None:
        """End what `configure` and the cameras began."""
        self.renderer.close(STOP_SECONDS)
        self.renderer = Renderer(self._report)
        if self._bodies is not None:
            self._bodies.close()
            self._bodies = None

    def send_bodies(self, camera: str, result: FramePoses, skeleton: Skeleton) -> None:
        """Send a camera's people as bodies, where they are asked for."""
        if self._bodies is not None:
            header = to_header(result.frame.stamp, result.frame.frame_id, self._types)
            self._bodies.publish(camera, result, skeleton, header)

    def every_second(self) -> None:
        """Let bodies go that nobody sees any more."""
        if self._bodies is not None:
            self._bodies.expire(to_header(self._node.get_clock().now().nanoseconds, "", self._types))

    def _publisher_of_body(self, kind: Any, topic: str) -> Any:
        """A publisher that the worker's thread may make and destroy: it has nothing for the executor to wait for.

        But the list of bodies is made and destroyed by the executor, and is like all other topics.
        """
        if topic == TRACKED:
            return make_publisher(self._node, kind, topic, reliable(1), self._node.get_logger().warning)
        silent = PublisherEventCallbacks(use_default_callbacks=False)
        return self._node.create_publisher(kind, topic, reliable(1), event_callbacks=silent)

    def _report(self, error: Exception) -> None:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self._node.get_logger().error(f"an annotated image could not be drawn: {text}", throttle_duration_sec=10.0)
