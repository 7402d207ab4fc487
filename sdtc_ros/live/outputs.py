"""What a camera's poses become: one class a topic, made when the node is configured, asked for every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from sdtc_ros.draw import draw_poses
from sdtc_ros.image_messages import fill_image_message
from sdtc_ros.messages import message_types, ros_message, to_detections, to_header
from sdtc_ros.poses import FramePoses

if TYPE_CHECKING:
    from sdtc_ros.live.camera import Camera

POSES, ANNOTATED = "sdtc/poses", "sdtc/image_annotated"


class Output(Protocol):
    """One way out. Publishers are had of `camera.publisher`, which also ends them."""

    def publish(self, result: FramePoses) -> None:
        """Send an answer (called in the worker's thread; `camera.skeleton` is that of its joints)."""
        ...


class Poses:
    """Every answer as a Detection2DArray."""

    def __init__(self, camera: Camera) -> None:
        """On `sdtc/poses`."""
        self._camera, self._types = camera, message_types(ros_message)
        self.publisher = camera.publisher(Detection2DArray, POSES, depth=10)

    def publish(self, result: FramePoses) -> None:
        """See Output."""
        self.publisher.publish(to_detections(result, self._camera.skeleton, self._types))


class Annotated:
    """The poses drawn on their image, while somebody listens."""

    def __init__(self, camera: Camera) -> None:
        """On `sdtc/image_annotated`."""
        self._camera, self._types = camera, message_types(ros_message)
        self.publisher = camera.publisher(Image, ANNOTATED, depth=1)

    def publish(self, result: FramePoses) -> None:
        """See Output."""
        if self.publisher.get_subscription_count():
            message = Image(header=to_header(result.frame.stamp, result.frame.frame_id, self._types))
            self.publisher.publish(fill_image_message(message, draw_poses(result, self._camera.skeleton)))
