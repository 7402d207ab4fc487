# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the node sees of the ROS graph: why a camera is silent, and whether another node has our name.

The usual reasons: a topic misspelt, compressed images on a raw subscription, quality of service that does not match.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

NOTHING_COMES = (
    "if it does send (ros2 topic hz), its images are too large for the socket buffers: reliability:=reliable, "
    "transport:=compressed, or more room (docs/deploy.md, 'Images over DDS')"
)


class Watchdog:
    """Watches something that should change, as a counter does."""

    def __init__(self) -> None:
        self._seen: object = 0
        self._since, self.reported = monotonic(), False

    def is_news(self, seen: object, seconds: float) -> bool:
        """Whether `seen` has stood still for `seconds` (0: never mind); True once until it changes again."""
        if seen != self._seen:
            self._seen, self._since, self.reported = seen, monotonic(), False
        if self.reported or not 0 < seconds <= monotonic() - self._since:
            return False
        self.reported = True
        return True


class Silence:
    """Why a camera is silent: told once a silence, and again when the reason is another."""

    def __init__(self) -> None:
        self._images, self._reasons = Watchdog(), Watchdog()
        self._told = ""  # while images come: nothing

    def news(self, received: int, seconds: float, why: Callable[[], str]) -> str:
        """The reason to tell, or nothing; to be called about once a second.

        received: messages so far; seconds: that they must have stood still (0: never mind), and so must another reason:
        a publisher's first message may come a moment after itself.
        """
        begins = self._images.is_news(received, seconds)
        if not begins and not self._images.reported:
            self._told = ""
            return ""
        reason = why()
        stands = self._reasons.is_news(reason, seconds)
        if not begins and (not stands or reason == self._told):
            return ""
        self._told = reason
        return reason


def namesakes(node: Any) -> int:
    """How many other nodes have this node's full name: ROS lets them."""
    ours = (node.get_name(), node.get_namespace())
    return max(0, node.get_node_names_and_namespaces().count(ours) - 1)


def why_silent(node: Any, subscription: Any) -> str:
    """Why no message comes by an rclpy node's subscription, as far as the graph tells."""
    topic, wanted = subscription.topic_name, _type_name(subscription.msg_type)
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return f"nobody publishes on {topic}; {_elsewhere(node, topic, wanted)}"
    fitting = [publisher for publisher in publishers if publisher.topic_type == wanted]
    if not fitting:
        return f"{topic} carries {publishers[0].topic_type}, not {wanted}"
    reasons = [_mismatch(publisher, subscription) for publisher in fitting]
    if all(reasons):
        return f"the quality of service of '{fitting[0].node_name}' on {topic} does not match ours: {reasons[0]}"
    silent = fitting[reasons.index("")]
    return f"'{silent.node_name}' is there to publish on {topic}, but nothing comes from it; {NOTHING_COMES}"


def _type_name(kind: Any) -> str:
    """A message class's name as the graph has it, 'sensor_msgs/msg/Image'."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def _elsewhere(node: Any, topic: str, wanted: str) -> str:
    """The topics that do carry images of the wanted type, or of the topic's other transport."""
    known = dict(node.get_topic_names_and_types())
    packed, unpacked = f"{topic}/compressed", topic.removesuffix("/compressed")
    for other, transport in ((packed, "compressed"), (unpacked, "raw")):
        if other != topic and other in known and _is_foreign(node, other):
            return f"{other} is there: set transport to {transport}"
    # who publishes is asked of these only: it takes the graph half a millisecond for each topic
    found = sorted(name for name, types in known.items() if wanted in types and _is_foreign(node, name))
    return f"{wanted} is published on {', '.join(found)}" if found else f"no topic of the type {wanted} is published"


def _is_foreign(node: Any, topic: str) -> bool:
    """Whether another node publishes there (our own annotated images are no camera)."""
    ours = (node.get_name(), node.get_namespace())
    return any((info.node_name, info.node_namespace) != ours for info in node.get_publishers_info_by_topic(topic))


def _mismatch(publisher: Any, subscription: Any) -> str:
    """What keeps a publisher's quality of service from a subscription's; empty where they match."""
    from sdtc_ros.node.qos import in_words, mismatches

    return in_words(mismatches(publisher.qos_profile, subscription.qos_profile), "there", "here")
