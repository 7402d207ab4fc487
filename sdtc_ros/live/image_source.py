"""Where a camera's frames come from: the subscription to its images, raw or compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sensor_msgs.msg import CompressedImage, Image

from sdtc_ros.live.parameters import COMPRESSED

if TYPE_CHECKING:
    from sdtc_ros.live.camera import Camera

IMAGE = "image"


class ImageSource:
    """Offers every image message to the camera's stream, from its making until `close`."""

    def __init__(self, camera: Camera) -> None:
        """Subscribe, as parameter `transport` says."""
        kind, topic = Image, camera.topic(IMAGE)
        if camera.node.parameters["transport"] == COMPRESSED:  # named after the topic that `image` is remapped to
            kind, topic = CompressedImage, camera.node.resolve_topic_name(topic) + "/compressed"
        self.subscription: Any = camera.subscription(kind, topic, camera.stream.offer)
        self._camera = camera

    def close(self) -> None:
        """Hear no more."""
        self._camera.node.destroy_subscription(self.subscription)
