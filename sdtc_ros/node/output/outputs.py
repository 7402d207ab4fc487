# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a camera's poses become: one class a topic, made when the node is configured, asked for every result."""

from __future__ import annotations

from vision_msgs.msg import Detection2DArray

from sdtc_ros.messages.poses import message_types, ros_message, to_detections
from sdtc_ros.node.ports import Ports
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses

POSES = "sdtc/poses"


class Output:
    """One way out. Publishers are had of the camera's ports, which also end them."""

    def publish(self, result: FramePoses, skeleton: Skeleton) -> None:
        """Send a result, `skeleton` being that of its joints (called in the worker's thread)."""
        raise NotImplementedError

    def every_second(self) -> None:
        """Whatever has to be seen to from time to time (the executor's thread)."""

    def values(self) -> dict[str, str]:
        """What the diagnostics tell of it."""
        return {}

    def close(self) -> None:
        """Let go of what is no publisher."""


class Poses(Output):
    """Every result as a Detection2DArray."""

    def __init__(self, ports: Ports) -> None:
        """On `sdtc/poses`."""
        self._types = message_types(ros_message)
        self._publisher = ports.publisher(Detection2DArray, POSES, depth=10)

    @property
    def topic(self) -> str:
        """Where they go, as the graph has it."""
        return str(self._publisher.topic_name)

    def publish(self, result: FramePoses, skeleton: Skeleton) -> None:
        """See Output."""
        self._publisher.publish(to_detections(result, skeleton, self._types))
