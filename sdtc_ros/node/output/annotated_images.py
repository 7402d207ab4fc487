# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What people look at: annotated images (raw and JPEG), the camera_info beside them, markers for RViz.

Each is made only while somebody listens to it, in a thread of its own (see `renderer`), of the newest keyframe.
"""

from __future__ import annotations

from array import array
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from visualization_msgs.msg import MarkerArray

from sdtc_ros.errors import InputError
from sdtc_ros.messages.camera_model import camera_model, scaled_info
from sdtc_ros.messages.images import fill_image_message
from sdtc_ros.messages.markers import to_markers
from sdtc_ros.messages.poses import message_types, ros_message, to_header
from sdtc_ros.node.input.calibration import Calibration
from sdtc_ros.node.output.outputs import Output
from sdtc_ros.node.output.renderer import Renderer, annotated_image, annotated_size, to_jpeg
from sdtc_ros.node.ports import Ports
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses

if TYPE_CHECKING:
    from sdtc_ros.node.output.poses_3d import Poses3D

ANNOTATED, CAMERA_INFO, MARKERS = "sdtc/image_annotated", "sdtc/camera_info", "sdtc/markers"


class AnnotatedImages(Output):
    """One camera's annotated images."""

    def __init__(self, ports: Ports, renderer: Renderer, number: int, angle: int, depth: Poses3D | None = None) -> None:
        """On `sdtc/image_annotated`, its sibling /compressed, `sdtc/camera_info` and `sdtc/markers`.

        renderer: makes them, `number` saying whose they are; angle: how the camera is turned (see Rotation);
        depth: what lifts the camera's keyframes, where something does.
        """
        self._ports, self._renderer, self._number, self._angle, self._depth = ports, renderer, number, angle, depth
        self._lookup = lru_cache(maxsize=None)(ros_message)
        self._types = message_types(self._lookup)
        jpeg_topic = ports.resolved(ANNOTATED) + "/compressed"
        self._image = ports.publisher(Image, ANNOTATED, depth=1)
        self._jpeg = ports.publisher(CompressedImage, jpeg_topic, depth=1)
        self._info = ports.publisher(CameraInfo, CAMERA_INFO, depth=1)
        self._markers = ports.publisher(MarkerArray, MARKERS, depth=1)
        self._calibration = Calibration(ports, lambda: bool(_heard(self._info) or _heard(self._markers)))

    def publish(self, result: FramePoses, skeleton: Skeleton) -> None:
        """See Output."""
        if any(map(_heard, (self._image, self._jpeg, self._info, self._markers))):
            self._renderer.put(self._number, partial(self._make, result, skeleton, self._places(result)))

    def every_second(self) -> None:
        """See Output."""
        self._calibration.every_second()

    def close(self) -> None:
        """See Output."""
        self._calibration.close()

    def _places(self, result: FramePoses) -> dict[int, Any]:
        """The joints in space of the people of this keyframe, by track id, as far as depth tells them."""
        lifted = None if self._depth is None else self._depth.newest
        if lifted is None or lifted.source is not result:
            return {}
        return {person.pose.track_id: person.joints for person in lifted.people}

    def _make(self, result: FramePoses, skeleton: Skeleton, places: dict[int, Any]) -> None:
        """Make and send what is listened to (the renderer's thread)."""
        parameters = self._ports.parameters
        header = to_header(result.frame.stamp, result.frame.frame_id, self._types)
        if _heard(self._markers) or _heard(self._info):
            self._send_calibrated(result, skeleton, header, places)
        if not (_heard(self._image) or _heard(self._jpeg)):
            return
        image = annotated_image(result, skeleton, parameters["annotated_max_width"])
        if _heard(self._jpeg):
            message = CompressedImage(header=header, format="bgr8; jpeg compressed bgr8")
            message.data = array("B", to_jpeg(image, parameters["jpeg_quality"]).tobytes())
            self._jpeg.publish(message)
        if _heard(self._image):
            self._image.publish(fill_image_message(Image(header=header), image))

    def _send_calibrated(self, result: FramePoses, skeleton: Skeleton, header: Any, places: dict[int, Any]) -> None:
        info, parameters = self._calibration.newest, self._ports.parameters
        if info is None:
            return
        height, width = result.frame.image.shape[:2]
        if _heard(self._info):
            copied = scaled_info(info, annotated_size((width, height), parameters["annotated_max_width"]))
            copied.header = header
            self._info.publish(copied)
        if not _heard(self._markers):
            return
        try:
            model = camera_model(info, (width, height))
        except InputError as error:
            self._ports.warn("markers", f"there are no markers: {error} ({self._calibration.topic})")
            return
        self._markers.publish(
            to_markers(
                result, skeleton, model, person_height=parameters["person_height"], lifetime=parameters["max_gap"],
                header=header, lookup=self._lookup, rotate=self._angle, places=places,
            )
        )  # fmt: skip


def _heard(publisher: Any) -> int:
    """How many listen."""
    return int(publisher.get_subscription_count())
