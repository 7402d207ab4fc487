# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a camera's poses become: one class a topic, made when the node is configured, asked for every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vision_msgs.msg import Detection2DArray

from sdtc_ros.messages import message_types, ros_message, to_detections
from sdtc_ros.poses import FramePoses

if TYPE_CHECKING:
    from sdtc_ros.live.camera import Camera

POSES = "sdtc/poses"


class Output:
    """One way out. Publishers are had of `camera.publisher`, which also ends them."""

    def publish(self, result: FramePoses) -> None:
        """Send an answer (called in the worker's thread; `camera.skeleton` is that of its joints)."""
        raise NotImplementedError

    def every_second(self) -> None:
        """Whatever has to be seen to from time to time (the executor's thread)."""

    def close(self) -> None:
        """Let go of what is no publisher."""


class Poses(Output):
    """Every answer as a Detection2DArray."""

    def __init__(self, camera: Camera) -> None:
        """On `sdtc/poses`."""
        self._camera, self._types = camera, message_types(ros_message)
        self.publisher = camera.publisher(Detection2DArray, POSES, depth=10)

    def publish(self, result: FramePoses) -> None:
        """See Output."""
        self.publisher.publish(to_detections(result, self._camera.skeleton, self._types))


class Bodies(Output):
    """Every person as a body of ROS4HRI, where parameter `hri` asks for it."""

    def __init__(self, camera: Camera) -> None:
        """On topics that all cameras share."""
        self._camera = camera

    def publish(self, result: FramePoses) -> None:
        """See Output."""
        self._camera.node.shared.send_bodies(self._camera, result)
