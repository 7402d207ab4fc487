"""Quality of service of the node's topics: the defaults, and which policies `qos_overrides` may change (all)."""

from __future__ import annotations

from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSPolicyKind, QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

OVERRIDABLE = QoSOverridingOptions(
    (
        QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY,
        QoSPolicyKind.DEADLINE, QoSPolicyKind.LIFESPAN, QoSPolicyKind.LIVELINESS,
        QoSPolicyKind.LIVELINESS_LEASE_DURATION, QoSPolicyKind.AVOID_ROS_NAMESPACE_CONVENTIONS,
    )
)  # fmt: skip


def newest_only() -> QoSProfile:
    """Sensor data's, but only the newest message: the slot would drop the others anyway."""
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST, depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT,
        durability=QoSDurabilityPolicy.VOLATILE,
    )  # fmt: skip


def reliable(depth: int) -> QoSProfile:
    """Heard by reliable and by best-effort subscribers alike."""
    return QoSProfile(depth=depth, reliability=QoSReliabilityPolicy.RELIABLE)
