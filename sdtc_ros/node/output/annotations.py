# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`sdtc/image_annotations`: each keyframe's people as Foxglove and Lichtblick draw them over the camera's image."""

from __future__ import annotations

from functools import lru_cache

from sdtc_ros.messages.foxglove import ANNOTATIONS_TYPE, to_image_annotations
from sdtc_ros.messages.poses import ros_message
from sdtc_ros.node.output.outputs import Output
from sdtc_ros.node.ports import Ports
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses

ANNOTATIONS = "sdtc/image_annotations"


def can_annotate() -> bool:
    """Whether the ROS package foxglove_msgs is installed here."""
    try:
        ros_message(ANNOTATIONS_TYPE)
    except (ImportError, AttributeError):
        return False
    return True


class Annotations(Output):
    """Every answer as an ImageAnnotations, while somebody listens."""

    def __init__(self, ports: Ports) -> None:
        """On `sdtc/image_annotations`; needs foxglove_msgs (see `can_annotate`)."""
        self._lookup = lru_cache(maxsize=None)(ros_message)
        self._publisher = ports.publisher(ros_message(ANNOTATIONS_TYPE), ANNOTATIONS, depth=10)

    def publish(self, result: FramePoses, skeleton: Skeleton) -> None:
        """See Output."""
        if self._publisher.get_subscription_count():
            self._publisher.publish(to_image_annotations(result, skeleton, self._lookup))
