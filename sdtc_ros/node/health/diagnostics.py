# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""/diagnostics: how the node and each of its cameras fare (what that is, says `health`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from sdtc_ros.engine.ort.session import short_name
from sdtc_ros.messages.poses import message_types, ros_message, to_header
from sdtc_ros.node.camera import Camera
from sdtc_ros.node.health.health import (
    Health,
    Level,
    Limits,
    camera_health,
    in_words,
    memory_bytes,
    node_health,
    to_diagnostics,
)
from sdtc_ros.node.health.watchdog import why_silent
from sdtc_ros.node.qos import OVERRIDABLE, reliable
from sdtc_ros.node.ros_parameters import RosParameters

DIAGNOSTICS = "/diagnostics"


class Diagnostics:
    """The publisher of the diagnostics, from the node's making on: they are sent in every state of its lifecycle."""

    def __init__(self, node: Node, parameters: RosParameters) -> None:
        """Make the publisher."""
        self._node, self._parameters = node, parameters
        self._lookup = lru_cache(maxsize=None)(ros_message)
        self._types = message_types(self._lookup)
        self._name = node.get_fully_qualified_name().lstrip("/")
        self._publisher = node.create_publisher(
            DiagnosticArray, DIAGNOSTICS, reliable(10), qos_overriding_options=OVERRIDABLE
        )

    def send(self, cameras: Sequence[Camera], stage: str, error: Exception | None, namesakes: int = 0) -> None:
        """Send them; stage: of the lifecycle, error: why the node cannot go on, namesakes: other nodes of its name."""
        header = to_header(self._node.get_clock().now().nanoseconds, "", self._types)
        healths = [self._node_health(cameras, stage, error, namesakes), *map(self._camera_health, cameras)]
        self._publisher.publish(to_diagnostics(healths, header, self._lookup))

    def _camera_health(self, camera: Camera) -> Health:
        name = f"{self._name}: camera {camera.ports.name}".rstrip()
        parameters = self._parameters
        if camera.source is None:
            return Health(name, Level.OK, "inactive")
        limits = Limits(parameters["warn_latency"], parameters["warn_drops"], parameters["max_silence"])
        figures = camera.stream.meter.figures()
        subscription = camera.source.subscription
        reason = why_silent(self._node, subscription) if 0 < limits.silence <= figures.silent else ""
        pipeline = camera.stream.pipeline
        lookahead, alone = (pipeline.lookahead, pipeline.max_lookahead), pipeline.ring.alone
        health = camera_health(
            name, figures, limits, topic=subscription.topic_name, why_silent=reason, lookahead=lookahead, alone=alone
        )
        return replace(health, values=health.values | camera.values())

    def _node_health(self, cameras: Sequence[Camera], stage: str, error: Exception | None, namesakes: int) -> Health:
        memory, why = memory_bytes(), "" if error is None else in_words(error)
        values = {"cameras": str(len(cameras)), "memory (MB)": "unknown" if memory is None else f"{memory / 1e6:.0f}"}
        if not cameras:
            return node_health(self._name, stage, values=values, error=why, namesakes=namesakes)
        pipeline, asked = cameras[0].stream.pipeline, str(self._parameters["provider"])
        providers = pipeline.engine.providers
        values |= {
            "model": pipeline.bundle.name,
            "bundle": str(pipeline.bundle.folder),
            "joints": str(len(pipeline.bundle.skeleton)),
            "lookahead (frames)": str(pipeline.max_lookahead),
            "precision": pipeline.engine.precision,
            "engine": ", ".join(providers),
        }
        device = short_name(providers[0])
        return node_health(self._name, stage, values=values, asked=asked, device=device, error=why, namesakes=namesakes)
