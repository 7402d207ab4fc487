# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Quality of service of the node's topics: the defaults, what may be overridden, and mismatches told in words.

Sensor data's policies for what comes in, reliable for what goes out; parameters `qos_overrides` change every policy of
every topic, the ROS 2 way (but for single bodies' topics, whose names nobody knows before). A partner that does not
match is named once, when it is found: otherwise only messages that never arrive would show it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSLivelinessPolicy,
    QoSPolicyKind,
    QoSProfile,
    QoSReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

from sdtc_ros.errors import UsageError
from sdtc_ros.node.parameters import AUTO, BEST_EFFORT, RELIABLE

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble's name of it
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError

__all__ = [
    "OVERRIDABLE", "Mismatch", "PublisherEventCallbacks", "best_effort", "in_words", "make_publisher",
    "asked_reliability", "make_subscription", "mismatches", "offered_reliabilities", "reliable",
]  # fmt: skip
_ALL_BUT_RELIABILITY = (
    QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.DURABILITY, QoSPolicyKind.DEADLINE,
    QoSPolicyKind.LIFESPAN, QoSPolicyKind.LIVELINESS, QoSPolicyKind.LIVELINESS_LEASE_DURATION,
)  # fmt: skip
OVERRIDABLE = QoSOverridingOptions((*_ALL_BUT_RELIABILITY, QoSPolicyKind.RELIABILITY))
UNKNOWN = "_NODE_NAME_UNKNOWN_"  # rmw's word for it
TRIES, RETRY_SECONDS = 6, 0.3
Mismatch = tuple[str, str, str]  # policy, what is offered, what is asked for


def best_effort(depth: int) -> QoSProfile:
    """Sensor data's; for images of depth 1, since the slot would drop all but the newest anyway."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST, depth=depth, reliability=QoSReliabilityPolicy.BEST_EFFORT,
        durability=QoSDurabilityPolicy.VOLATILE,
    )  # fmt: skip


def reliable(depth: int) -> QoSProfile:
    """Heard by reliable and by best-effort subscribers alike."""
    return QoSProfile(depth=depth, reliability=QoSReliabilityPolicy.RELIABLE)


def mismatches(offered: QoSProfile, asked: QoSProfile) -> list[Mismatch]:
    """The policies for which a publisher's offer is less than a subscription asks for."""
    found = []
    for name, more in (
        ("reliability", QoSReliabilityPolicy.RELIABLE),
        ("durability", QoSDurabilityPolicy.TRANSIENT_LOCAL),
        ("liveliness", QoSLivelinessPolicy.MANUAL_BY_TOPIC),
    ):
        offer, demand = getattr(offered, name), getattr(asked, name)
        if demand == more and offer != more:
            found.append((name, offer.name.lower(), demand.name.lower()))
    for name in ("deadline", "liveliness_lease_duration"):
        offer, demand = (_limit(getattr(profile, name).nanoseconds) for profile in (offered, asked))
        if demand < offer:
            found.append((name, _span(offer), _span(demand)))
    return found


def in_words(wrong: list[Mismatch], offered: str, asked: str) -> str:
    """What does not match; offered, asked: where ("here", "there") the offer and the demand are made."""
    return ", ".join(f"{policy} is {offer} {offered} and {demand} {asked}" for policy, offer, demand in wrong)


def _limit(nanoseconds: int) -> float:
    """A span of time, infinite where it is 0 or the largest that there is: both stand for no limit."""
    return nanoseconds if 0 < nanoseconds < 2**63 - 1 else inf


def _span(nanoseconds: float) -> str:
    return "0 (no limit)" if nanoseconds == inf else f"{nanoseconds} (nanoseconds)"


def make_publisher(node: Any, kind: type, topic: str, profile: QoSProfile, warn: Callable[[str], None]) -> Any:
    """A publisher whose policies may be overridden; `warn` gets a sentence about every subscription that mismatches.

    topic: relative to the node, not yet remapped. Raises UsageError where that or the overrides cannot be.
    """
    teller = _MismatchTeller(node, node.resolve_topic_name(topic), warn, publishing=False)
    try:
        made = node.create_publisher(
            kind, topic, profile, qos_overriding_options=OVERRIDABLE,
            event_callbacks=PublisherEventCallbacks(incompatible_qos=teller.found),
        )  # fmt: skip
    except Exception as error:  # rclpy has many classes for it
        raise _cannot_be(node, topic, error) from error
    teller.ours = made.qos_profile
    return made


def make_subscription(
    node: Any,
    kind: type,
    topic: str,
    callback: Callable[[Any], None],
    profile: QoSProfile,
    warn: Callable[[str], None],
    *,
    settled: bool = False,
    lost: Callable[[int], None] | None = None,
) -> Any:
    """A subscription, as `make_publisher` makes publishers.

    settled: whether its reliability is settled (see `asked_reliability`) and not to be overridden; lost: called with
    the number of messages that were lost on their way, where the DDS tells.
    """
    teller = _MismatchTeller(node, node.resolve_topic_name(topic), warn, publishing=True)
    options = QoSOverridingOptions(_ALL_BUT_RELIABILITY) if settled else OVERRIDABLE
    events: dict[str, Callable[[Any], None]] = {"incompatible_qos": teller.found}
    if lost is not None:
        events["message_lost"] = lambda event: lost(event.total_count_change)

    def make() -> Any:
        return node.create_subscription(
            kind, topic, callback, profile, qos_overriding_options=options,
            event_callbacks=SubscriptionEventCallbacks(**events),
        )  # fmt: skip

    try:
        try:
            made = make()
        except UnsupportedEventTypeError:
            events.pop("message_lost", None)
            made = make()
    except Exception as error:
        raise _cannot_be(node, topic, error) from error
    teller.ours = made.qos_profile
    return made


def asked_reliability(node: Any, topic: str, default: str) -> str:
    """A subscription's reliability by its qos_overrides, else `default`; raises UsageError for a value that is none."""
    name = f"qos_overrides.{node.resolve_topic_name(topic)}.subscription.reliability"
    if node.has_parameter(name):  # of an earlier activation; the default may have changed since
        node.undeclare_parameter(name)
    asked = node.declare_parameter(name, default, ParameterDescriptor(description="reliability of the images")).value
    asked = str(asked).lower()
    if asked == "system_default":
        return RELIABLE
    if asked not in (AUTO, RELIABLE, BEST_EFFORT):
        raise _cannot_be(node, topic, ValueError(f"reliability must be auto, reliable or best_effort, got '{asked}'"))
    return asked


def offered_reliabilities(node: Any, subscription: Any) -> set[str]:
    """What the publishers that a subscription could hear offer; empty where there are none."""
    wanted = f"{subscription.msg_type.__module__.split('.')[0]}/msg/{subscription.msg_type.__name__}"
    publishers = node.get_publishers_info_by_topic(subscription.topic_name)
    return {one.qos_profile.reliability.name.lower() for one in publishers if one.topic_type == wanted}


def _cannot_be(node: Any, topic: str, error: Exception) -> UsageError:
    name = node.resolve_topic_name(topic)
    return UsageError(f"topic {name} cannot be created (are its qos_overrides valid?): {error}")


class _MismatchTeller:
    """Says of every partner that does not match who it is and what to set, once."""

    def __init__(self, node: Any, topic: str, warn: Callable[[str], None], *, publishing: bool) -> None:
        """publishing: whether the partners publish, and we subscribe."""
        self.ours: QoSProfile | None = None  # until our own is made
        self._node, self._topic, self._warn, self._publishing = node, topic, warn, publishing
        self._reported: set[bytes] = set()

    def found(self, event: Any, tries: int = TRIES) -> None:
        """A partner was found that does not match (called by rclpy, in the executor's thread)."""
        node, topic = self._node, self._topic
        look = node.get_publishers_info_by_topic if self._publishing else node.get_subscriptions_info_by_topic
        wrong = {bytes(one.endpoint_gid): one for one in look(topic) if self._differences(one.qos_profile)}
        if tries and (not wrong or any(UNKNOWN in one.node_name for one in wrong.values())):
            self._look_again(event, tries - 1)
            return
        for key in wrong.keys() - self._reported:
            self._warn(self._sentence(wrong[key]))
        if not wrong:
            policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
            self._warn(f"an endpoint on {topic} has incompatible quality of service: {policy} differed")
        self._reported = set(wrong)

    def _look_again(self, event: Any, tries: int) -> None:
        """When the graph has heard of the partner's node: it learns of topics and of nodes in either order."""

        def once() -> None:
            self._node.destroy_timer(timer)
            self.found(event, tries)

        timer = self._node.create_timer(RETRY_SECONDS, once, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _differences(self, theirs: QoSProfile) -> list[Mismatch]:
        if self.ours is None:
            return []
        return mismatches(theirs, self.ours) if self._publishing else mismatches(self.ours, theirs)

    def _sentence(self, partner: Any) -> str:
        wrong = self._differences(partner.qos_profile)
        name = f"{partner.node_namespace.rstrip('/')}/{partner.node_name}"
        if self._publishing:
            what, kind, value = f"nothing comes from {name}", "subscription", 1
            differ = in_words(wrong, "there", "here")
        else:
            what, kind, value = f"nothing reaches {name}", "publisher", 2
            differ = in_words(wrong, "here", "there")
        remedy = ", ".join(f"qos_overrides.{self._topic}.{kind}.{one[0]} to {one[value].split()[0]}" for one in wrong)
        return f"{what} on {self._topic}: incompatible quality of service ({differ}); set {remedy}"
