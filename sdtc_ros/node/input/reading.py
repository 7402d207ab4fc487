# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""From an image message, and the detections that came with it, to the upright frame and people that a pipeline takes.

Knows no ROS, only messages' attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdtc_ros.errors import UsageError
from sdtc_ros.messages.detections import boxes_of_detections
from sdtc_ros.messages.images import frame_of_message
from sdtc_ros.node.stream import Arrival
from sdtc_ros.pipeline.rotation import Rotation
from sdtc_ros.types import Boxes, Frame


def camera_rotation(values: Mapping[str, Any], name: str) -> Rotation:
    """How the camera of that name (empty: the only one) is mounted, by the parameters rotate and rotate_each.

    Raises UsageError where rotate_each names a camera that there is not.
    """
    each = dict(entry.split(":") for entry in values["rotate_each"])
    for other in each:
        if other not in values["cameras"]:
            listed = ", ".join(values["cameras"]) or "there is only one, without a name: use 'rotate'"
            raise UsageError(f"parameter 'rotate_each' names '{other}', which is not one of the cameras ({listed})")
    return Rotation(int(each.get(name, values["rotate"])))


def read_arrival(arrival: Arrival, rotation: Rotation, classes: frozenset[str]) -> tuple[Frame, Boxes | None]:
    """The frame of an arrival, upright, and where detections came with it, its people (see `boxes_of_detections`).

    Raises InputError for a damaged image.
    """
    frame = frame_of_message(arrival.message, arrival.stamp)
    people = None
    if arrival.detections is not None:
        size = frame.image.shape[1], frame.image.shape[0]
        people = rotation.upright_boxes(boxes_of_detections(arrival.detections, classes), size)
    return rotation.upright_frame(frame), people
