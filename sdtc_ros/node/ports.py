# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A camera's place in its node: the topics under its name, and the words in the log.

Topics are relative to the node's namespace, and under the camera's name where it has one.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from rclpy.node import Node

from sdtc_ros.node.parameters import RELIABLE
from sdtc_ros.node.qos import (
    asked_reliability,
    best_effort,
    make_publisher,
    make_subscription,
    offered_reliabilities,
    reliable,
)
from sdtc_ros.node.ros_parameters import RosParameters

WARN_SECONDS = 5.0  # at most one warning about the same in this time


class Ports:
    """What a camera's parts have of the node; `name` is empty for the only camera of a node."""

    def __init__(self, node: Node, parameters: RosParameters, name: str) -> None:
        """Make nothing yet."""
        self.node, self.parameters, self.name = node, parameters, name
        self._warned: dict[str, float] = {}
        self._publishers: list[Any] = []

    def topic(self, name: str) -> str:
        """A topic of this camera, relative and not yet remapped; an absolute one as it is."""
        return f"{self.name}/{name}" if self.name and not name.startswith("/") else name

    def resolved(self, name: str) -> str:
        """A topic of this camera as the graph has it."""
        return str(self.node.resolve_topic_name(self.topic(name)))

    def now(self) -> int:
        """Nanoseconds by the node's clock."""
        return int(self.node.get_clock().now().nanoseconds)

    def publisher(self, kind: type, topic: str, *, depth: int) -> Any:
        """A reliable publisher on one of the camera's topics, until `close`."""
        made = make_publisher(self.node, kind, self.topic(topic), reliable(depth), self.warning)
        self._publishers.append(made)
        return made

    def subscription(
        self,
        kind: type,
        topic: str,
        callback: Callable[[Any], None],
        *,
        depth: int = 1,
        reliability: str = "",
        lost: Callable[[int], None] | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> Any:
        """A subscription to a topic (as `topic` gives it, or absolute), with sensor data's quality of service.

        reliability: settled already (empty: best effort, unless it is overridden); lost: called with how many messages
        were lost on their way; warn: called for publishers that do not match, in place of the log.
        """
        profile = reliable(depth) if reliability == RELIABLE else best_effort(depth)
        return make_subscription(
            self.node, kind, topic, callback, profile, warn or self.warning, settled=bool(reliability), lost=lost
        )

    def asked_reliability(self, topic: str) -> str:
        """What a subscription's reliability is to be, by the topic's qos_overrides, else by parameter reliability."""
        return asked_reliability(self.node, topic, self.parameters["reliability"])

    def offered_reliabilities(self, subscription: Any) -> set[str]:
        """What the publishers that a subscription could hear offer; empty where there are none."""
        return offered_reliabilities(self.node, subscription)

    def close(self) -> None:
        """End the publishers; who subscribed ends that."""
        for publisher in self._publishers:
            self.node.destroy_publisher(publisher)
        self._publishers.clear()

    def info(self, sentence: str) -> None:
        """Into the node's log, under the camera's name where there are several."""
        self.node.get_logger().info(self._named(sentence))

    def warning(self, sentence: str) -> None:
        """A warning, likewise."""
        self.node.get_logger().warning(self._named(sentence))

    def warn(self, about: str, sentence: str) -> bool:
        """A warning, at most one about the same in WARN_SECONDS (in any thread); whether it was given."""
        moment = monotonic()
        if moment - self._warned.get(about, -WARN_SECONDS) < WARN_SECONDS:
            return False
        self._warned[about] = moment
        self.warning(sentence)
        return True

    def _named(self, sentence: str) -> str:
        return f"{self.name}: {sentence}" if self.name else sentence
