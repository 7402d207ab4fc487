# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a node has once, for all its cameras: /diagnostics, ROS4HRI's bodies, the thread that draws."""

from __future__ import annotations

import traceback
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray

from sdtc_ros.engine.session import PROVIDERS
from sdtc_ros.live.aside import Aside
from sdtc_ros.live.health import (
    Health,
    Level,
    Limits,
    camera_health,
    in_words,
    memory_bytes,
    node_health,
    to_diagnostics,
)
from sdtc_ros.live.hri import TRACKED, Bodies
from sdtc_ros.live.qos import OVERRIDABLE, PublisherEventCallbacks, make_publisher, reliable
from sdtc_ros.live.silence import why_silent
from sdtc_ros.messages import message_types, ros_message, to_header
from sdtc_ros.poses import FramePoses

if TYPE_CHECKING:
    from sdtc_ros.live.camera import Camera
    from sdtc_ros.live.pose_node import PoseNode

DIAGNOSTICS = "/diagnostics"
STOP_SECONDS = 0.5  # how long a picture that is being drawn is waited for
_SHORT_NAMES = {runtime: name for name, runtime in PROVIDERS.items()}


class Shared:
    """Outputs of the node as a whole; diagnostics are sent in every state of its lifecycle, and when it configures."""

    def __init__(self, node: PoseNode) -> None:
        """Make the publisher of the diagnostics."""
        self._node = node
        self._lookup = lru_cache(maxsize=None)(ros_message)
        self._types = message_types(self._lookup)
        self._name = node.get_fully_qualified_name().lstrip("/")
        self.aside = Aside(self._tell)
        self.bodies: Bodies | None = None
        self._publisher = node.create_publisher(
            DiagnosticArray, DIAGNOSTICS, reliable(10), qos_overriding_options=OVERRIDABLE
        )

    def configure(self) -> None:
        """Make what the cameras will need; raises UsageError where parameter `hri` asks for what is not installed."""
        if self._node.parameters["hri"]:
            self.bodies = Bodies(self._publisher_of_body, self._node.destroy_publisher, self._lookup)

    def free(self) -> None:
        """End what `configure` and the cameras began."""
        self.aside.close(STOP_SECONDS)
        self.aside = Aside(self._tell)
        if self.bodies is not None:
            self.bodies.close()
            self.bodies = None

    def send_bodies(self, camera: Camera, result: FramePoses) -> None:
        """Send a camera's people as bodies, where parameter `hri` asks for it."""
        if self.bodies is not None:
            header = to_header(result.frame.stamp, result.frame.frame_id, self._types)
            self.bodies.publish(camera.name, result, camera.skeleton, header)

    def every_second(self) -> None:
        """Send the diagnostics, and let bodies go that nobody sees any more."""
        header = to_header(self._node.get_clock().now().nanoseconds, "", self._types)
        if self.bodies is not None:
            self.bodies.expire(header)
        healths = [self._node_health(), *map(self._camera_health, self._node.cameras)]
        self._publisher.publish(to_diagnostics(healths, header, self._lookup))

    def _camera_health(self, camera: Camera) -> Health:
        name = f"{self._name}: camera {camera.name}".rstrip()
        parameters = self._node.parameters
        if camera.source is None:
            return Health(name, Level.OK, "inactive")
        limits = Limits(parameters["warn_latency"], parameters["warn_drops"], parameters["max_silence"])
        figures = camera.stream.meter.figures()
        subscription = camera.source.subscription
        reason = why_silent(self._node, subscription) if 0 < limits.silence <= figures.silent else ""
        return camera_health(name, figures, limits, topic=subscription.topic_name, why_silent=reason)

    def _node_health(self) -> Health:
        cameras, memory = self._node.cameras, memory_bytes()
        error = "" if self._node.error is None else in_words(self._node.error)
        values = {"cameras": str(len(cameras)), "memory (MB)": "unknown" if memory is None else f"{memory / 1e6:.0f}"}
        if not cameras:
            return node_health(self._name, self._node.stage, values=values, error=error)
        pipeline, asked = cameras[0].stream.pipeline, str(self._node.parameters["provider"])
        providers = getattr(pipeline.engine, "providers", [])
        values |= {
            "model": pipeline.bundle.name,
            "bundle": str(pipeline.bundle.folder),
            "joints": str(len(pipeline.bundle.skeleton)),
            "lookahead (frames)": str(pipeline.lookahead),
            "engine": ", ".join(providers) or type(pipeline.engine).__name__,
        }
        device = _SHORT_NAMES.get(providers[0], providers[0]) if providers else asked
        return node_health(self._name, self._node.stage, values=values, asked=asked, device=device, error=error)

    def _publisher_of_body(self, kind: Any, topic: str) -> Any:
        """A publisher that the worker's thread may make and destroy: it has nothing for the executor to wait for.

        But the list of bodies is made and destroyed by the executor, and is like all other topics.
        """
        if topic == TRACKED:
            return make_publisher(self._node, kind, topic, reliable(1), self._node.get_logger().warning)
        silent = PublisherEventCallbacks(use_default_callbacks=False)
        return self._node.create_publisher(kind, topic, reliable(1), event_callbacks=silent)

    def _tell(self, error: Exception) -> None:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self._node.get_logger().error(f"a picture could not be made: {text}", throttle_duration_sec=10.0)
