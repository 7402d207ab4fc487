# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Where a camera's frames come from: the subscription to its images, raw or compressed; and to outside detections."""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from sdtc_ros.node.health.watchdog import why_silent
from sdtc_ros.node.input.adaptive import AdaptiveSubscription
from sdtc_ros.node.input.matching import Matcher
from sdtc_ros.node.parameters import COMPRESSED
from sdtc_ros.node.ports import Ports
from sdtc_ros.node.stream import Stream

IMAGE, DETECTIONS = "image", "detections"


class ImageSource:
    """Offers every image message to the camera's stream, from its making until `close`."""

    def __init__(self, ports: Ports, stream: Stream) -> None:
        """Subscribe, as parameter `transport` says."""
        self._ports, self._stream = ports, stream
        kind, topic = Image, ports.topic(IMAGE)
        if ports.parameters["transport"] == COMPRESSED:  # named after the topic that `image` is remapped to
            kind, topic = CompressedImage, ports.resolved(IMAGE) + "/compressed"
        self._adaptive = AdaptiveSubscription(ports, kind, topic, self._hear, stream.lost)

    @property
    def subscription(self) -> Any:
        """The rclpy subscription to the images."""
        return self._adaptive.current

    @property
    def reliability(self) -> str:
        """What that subscription asks for, or is about to."""
        return self._adaptive.reliability

    def _hear(self, message: Any) -> None:
        self._stream.offer(message)

    def every_second(self) -> None:
        """Whatever has to be seen to from time to time."""
        self._adaptive.adapt()

    def close(self) -> None:
        """Hear no more."""
        self._adaptive.close()


class MatchedSource(ImageSource):
    """Holds every image until its detections come on the camera's topic `detections`, then passes both on."""

    def __init__(self, ports: Ports, stream: Stream) -> None:
        """Subscribe to both; parameters detections_tolerance and detections_wait say how they are matched."""
        parameters = ports.parameters
        self._reported = ""  # what was last told of images left out, while none is matched
        self._matcher = Matcher(
            round(parameters["detections_tolerance"] * 1e9), parameters["detections_wait"], matched=self._pass_on,
            unmatched=self._leave_out,
        )  # fmt: skip
        self._detections: Any = ports.subscription(
            Detection2DArray, ports.topic(DETECTIONS), self._matcher.detections, depth=10
        )
        try:
            super().__init__(ports, stream)
        except Exception:
            ports.node.destroy_subscription(self._detections)
            raise
        ports.info(f"waiting for person boxes on {self._detections.topic_name}")

    def _hear(self, message: Any) -> None:
        if self._stream.receive():
            self._matcher.image(message)

    def _pass_on(self, image: Any, detections: Any) -> None:
        self._reported = ""
        self._stream.pass_on(image, detections)

    def _leave_out(self, reason: str) -> None:
        self._stream.leave_unmatched()
        about = "detections that do not match" if self._matcher.heard else "no detections"
        if not reason or self._reported == about:
            return
        why = "" if self._matcher.heard else f": {why_silent(self._ports.node, self._detections)}"
        if self._ports.warn(about, f"image skipped: {reason}{why}"):
            self._reported = about

    def every_second(self) -> None:
        """Let the images go that have waited for too long."""
        super().every_second()
        self._matcher.expire()

    def close(self) -> None:
        """Hear no more of either."""
        super().close()
        self._ports.node.destroy_subscription(self._detections)
