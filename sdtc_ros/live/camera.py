# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""One camera of the node: its topics, its stream of frames, and what its poses become.

Topics are relative to the node's namespace, and under the camera's name where it has one: `image` (and `detections`)
in, `sdtc/poses` and `sdtc/image_annotated` out, or `front/image` and so on. A camera lives from configure to cleanup
and hears images while the node is active.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from sdtc_ros.live.detections import people_classes
from sdtc_ros.live.image_source import ImageSource, MatchedSource
from sdtc_ros.live.outputs import Bodies, Output, Poses
from sdtc_ros.live.parameters import TOPIC
from sdtc_ros.live.pictures import Pictures
from sdtc_ros.live.qos import best_effort, make_publisher, make_subscription, reliable
from sdtc_ros.live.reading import camera_rotation, reader
from sdtc_ros.live.silence import Silence, why_silent
from sdtc_ros.live.stream import Stream
from sdtc_ros.pipeline import Pipeline
from sdtc_ros.poses import FramePoses
from sdtc_ros.skeleton import Skeleton

if TYPE_CHECKING:
    from sdtc_ros.live.pose_node import PoseNode

WARN_SECONDS = 5.0  # at most one warning about the same in this time
OUTPUTS: tuple[Callable[[Camera], Output], ...] = (Poses, Bodies, Pictures)  # the poses first, timed by themselves


class Camera:
    """A camera's topics around its stream; `name` is empty for the only camera of a node."""

    def __init__(self, node: PoseNode, name: str, pipeline: Pipeline) -> None:
        """Make the publishers; images are heard from `activate` on."""
        self.node, self.name = node, name
        self.rotation = camera_rotation(node.parameters.values(), name)
        self.stream = Stream(
            pipeline, self._publish, then=self._publish_more, warn=self.warn,
            now=lambda: node.get_clock().now().nanoseconds,
            max_age=lambda: node.parameters["max_age"], max_wait=lambda: node.parameters["max_wait"],
            read=reader(self.rotation, people_classes(node.parameters["detections_class"])),
            finish=self.rotation.camera_poses,
        )  # fmt: skip
        self.source: ImageSource | None = None
        self._silence = Silence()
        self._warned: dict[str, float] = {}
        self._publishers: list[Any] = []
        self.outputs: list[Output] = []
        try:
            self.outputs += [make(self) for make in OUTPUTS]
        except Exception:
            self.close()
            raise

    @property
    def skeleton(self) -> Skeleton:
        """The joints of the poses that are handed on now."""
        return self.stream.pipeline.bundle.skeleton

    def topic(self, name: str) -> str:
        """A topic of this camera, relative and not yet remapped; an absolute one as it is."""
        return f"{self.name}/{name}" if self.name and not name.startswith("/") else name

    def publisher(self, kind: type, topic: str, *, depth: int) -> Any:
        """A reliable publisher on one of the camera's topics, until `close`."""
        made = make_publisher(self.node, kind, self.topic(topic), reliable(depth), self.warning)
        self._publishers.append(made)
        return made

    def subscription(self, kind: type, topic: str, callback: Callable[[Any], None], *, depth: int = 1) -> Any:
        """A subscription to a topic (as `topic` gives it, or absolute), with sensor data's quality of service."""
        return make_subscription(self.node, kind, topic, callback, best_effort(depth), self.warning)

    def activate(self) -> None:
        """Begin to hear images; the worker must have opened the stream."""
        self._silence = Silence()
        self.source = (MatchedSource if self.node.parameters["detector"] == TOPIC else ImageSource)(self)
        self.info(f"waiting for images on {self.source.subscription.topic_name}, poses go to "
                 f"{self._publishers[0].topic_name}")  # fmt: skip

    def deactivate(self) -> None:
        """Hear no more images."""
        if self.source is not None:
            self.source.close()
            self.source = None

    def close(self) -> None:
        """End the outputs and their publishers."""
        for output in self.outputs:
            output.close()
        for publisher in self._publishers:
            self.node.destroy_publisher(publisher)
        self._publishers.clear()

    def every_second(self) -> None:
        """Log the statistics, and that the camera is silent, where it is time to."""
        for output in self.outputs:
            output.every_second()
        if self.source is None:
            return
        self.source.every_second()
        period, limit = self.node.parameters["statistics_period"], self.node.parameters["max_silence"]
        if 0 < period <= self.stream.meter.seconds_since_report + 0.5:
            self.info(self.stream.meter.report().line())
        if self._silence.is_news(self.stream.counts.received, limit):
            reason = why_silent(self.node, self.source.subscription)
            self.warning(f"no image came for {limit:g} s: {reason}")

    def info(self, sentence: str) -> None:
        """Into the node's log, under the camera's name where there are several."""
        self.node.get_logger().info(self._named(sentence))

    def warning(self, sentence: str) -> None:
        """A warning, likewise."""
        self.node.get_logger().warning(self._named(sentence))

    def _named(self, sentence: str) -> str:
        return f"{self.name}: {sentence}" if self.name else sentence

    def _publish(self, result: FramePoses) -> None:
        self.outputs[0].publish(result)

    def _publish_more(self, result: FramePoses) -> None:
        for output in self.outputs[1:]:
            output.publish(result)

    def warn(self, about: str, sentence: str) -> None:
        """A warning, at most one about the same in WARN_SECONDS (in any thread)."""
        moment = monotonic()
        if moment - self._warned.get(about, -WARN_SECONDS) >= WARN_SECONDS:
            self._warned[about] = moment
            self.warning(sentence)
