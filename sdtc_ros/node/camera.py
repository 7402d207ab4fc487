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

from functools import partial

from sdtc_ros.messages.detections import people_classes
from sdtc_ros.node.health.watchdog import Silence, why_silent
from sdtc_ros.node.input.image_source import ImageSource, MatchedSource
from sdtc_ros.node.input.reading import camera_rotation, read_arrival
from sdtc_ros.node.output.annotated_images import AnnotatedImages
from sdtc_ros.node.output.annotations import Annotations, can_annotate
from sdtc_ros.node.output.outputs import Output, Poses
from sdtc_ros.node.output.poses_3d import Poses3D
from sdtc_ros.node.ports import Ports
from sdtc_ros.node.shared import Shared
from sdtc_ros.node.stream import Arrival, Stream
from sdtc_ros.options import TOPIC
from sdtc_ros.pipeline.pipeline import Pipeline
from sdtc_ros.types import Boxes, Frame, FramePoses


class Camera:
    """A camera's topics around its stream, whose host (see StreamHost) it is."""

    def __init__(self, ports: Ports, pipeline: Pipeline, shared: Shared, number: int) -> None:
        """Make the publishers; images are heard from `activate` on. number: no other camera of the node has it."""
        parameters = ports.parameters
        self._rotation = camera_rotation(parameters.values(), ports.name)
        self._classes = people_classes(parameters["detections_class"])
        self.ports, self._shared = ports, shared
        self.now, self.warn = ports.now, ports.warn
        self.stream = Stream(pipeline, self)
        self.source: ImageSource | None = None
        self._silence = Silence()
        try:
            self._poses = Poses(ports)  # the first to go out, and timed by themselves
            depth = Poses3D(ports) if parameters["depth"] else None
            images = AnnotatedImages(ports, shared.renderer, number, self._rotation.angle, depth)
            annotations = Annotations(ports) if can_annotate() else None
            self._others: list[Output] = [output for output in (depth, images, annotations) if output is not None]
        except Exception:
            ports.close()
            raise

    def activate(self) -> None:
        """Begin to hear images; the worker must have opened the stream."""
        self._silence = Silence()
        kind = MatchedSource if self.ports.parameters["detector"] == TOPIC else ImageSource
        self.source = kind(self.ports, self.stream)
        images = self.source.subscription.topic_name
        self.ports.info(f"waiting for images on {images}; publishing poses on {self._poses.topic}")

    def deactivate(self) -> None:
        """Hear no more images."""
        if self.source is not None:
            self.source.close()
            self.source = None

    def close(self) -> None:
        """End the outputs and their publishers."""
        for output in (self._poses, *self._others):
            output.close()
        self.ports.close()

    def every_second(self) -> None:
        """Log the statistics, and that the camera is silent, where it is time to."""
        for output in (self._poses, *self._others):
            output.every_second()
        if self.source is None:
            return
        self.source.every_second()
        meter, parameters = self.stream.meter, self.ports.parameters
        period, limit = parameters["statistics_period"], parameters["max_silence"]
        if period <= meter.seconds_since_report + 0.5:
            report = meter.report()
            if period:
                self.ports.info(report.line())
        why = partial(why_silent, self.ports.node, self.source.subscription)
        if reason := self._silence.news(self.stream.counts.received, limit, why):
            self.ports.warning(f"no image received for {limit:g} s: {reason}")

    def values(self) -> dict[str, str]:
        """What its outputs have to say in the diagnostics."""
        return {key: value for output in self._others for key, value in output.values().items()}

    @property
    def max_age(self) -> float:
        """As all below, see StreamHost; parameters may be set at any time."""
        return float(self.ports.parameters["max_age"])

    @property
    def max_wait(self) -> float:
        """See StreamHost."""
        return float(self.ports.parameters["max_wait"])

    @property
    def lookahead_wait(self) -> float:
        """See StreamHost."""
        return float(self.ports.parameters["lookahead_wait"])

    def read(self, arrival: Arrival) -> tuple[Frame, Boxes | None]:
        """Turned upright, as the camera is mounted."""
        return read_arrival(arrival, self._rotation, self._classes)

    def publish(self, result: FramePoses) -> FramePoses:
        """The poses alone, in the image as it came."""
        result = self._rotation.camera_poses(result)
        self._poses.publish(result, self.stream.pipeline.bundle.skeleton)
        return result

    def published(self, result: FramePoses) -> None:
        """Bodies, where parameter `hri` asks for them, and the other outputs."""
        skeleton = self.stream.pipeline.bundle.skeleton
        self._shared.send_bodies(self.ports.name, result, skeleton)
        for output in self._others:
            output.publish(result, skeleton)
