# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""ROS 2 as this Python sees it: distribution, rclpy, the messages the node sends, the DDS underneath."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator

from sdtc_ros.doctor.finding import BROKEN, MISSING, OK, Finding, checked, imported

PART = "ROS 2"
SAY = "; print('can be imported')"
NODE = "node"  # the line that says whether it would start
_NODE_NEEDS = "sdtc_ros.node.pose_node, sdtc_ros.node.loading, cv2, onnxruntime, scipy.optimize, supervision, trackers"
MODULES = (
    ("rclpy", "import rclpy" + SAY, "rclpy"),
    ("messages", "import sensor_msgs.msg, vision_msgs.msg, diagnostic_msgs.msg" + SAY, "vision-msgs"),
    ("DDS", "from rclpy.utilities import get_rmw_implementation_identifier as r; print(r())", "rmw-fastrtps-cpp"),
)


def findings() -> list[Finding]:
    """All of this part."""
    return checked(PART, "ROS 2", _ros)


def _ros() -> Iterator[Finding]:
    distro = os.environ.get("ROS_DISTRO", "")
    if not distro:
        works, _ = imported("import rclpy")
        if not works:
            text = "not sourced; only the node needs it"
            yield Finding(PART, MISSING, "ROS 2", text, "source /opt/ros/DISTRO/setup.bash")
            return
    yield Finding(PART, OK, "distribution", distro or "ROS_DISTRO is not set")
    for name, program, package in MODULES:
        works, said = imported(program)
        if works:
            yield Finding(PART, OK, name, said)
        else:
            python = f"ROS 2's packages go with its distribution's Python (this is {platform.python_version()})"
            advice = f"{python}; apt-get install ros-{distro or 'DISTRO'}-{package}"
            yield Finding(PART, BROKEN, name, said, advice)
    yield _node()
    domain = os.environ.get("ROS_DOMAIN_ID", "0 (not set)")
    yield Finding(PART, OK, "ROS_DOMAIN_ID", domain)


def _node() -> Finding:
    """Whether all that the node imports can be imported, in one process."""
    works, said = imported(f"import {_NODE_NEEDS}; print('would start')")
    advice = (
        "the environment's NumPy, SciPy and OpenCV must be those that ROS 2 was built against: pip install -c "
        "constraints-ros.txt -r requirements-ros.txt (docs/deploy.md)"
    )
    return Finding(PART, OK, NODE, said) if works else Finding(PART, BROKEN, NODE, f"would not start: {said}", advice)


def node_starts(found: list[Finding]) -> bool:
    """Whether the node would start, as far as ROS 2 is there to start it."""
    return not any(one.part == PART and one.state == BROKEN for one in found)
