# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Quality of service: what fits by itself, what is overridden, and partners that do not match, named once."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import scene
from conftest import Running

IMAGE, POSES = "/image", "/sdtc/poses"


def start(ros: Any, models: list[str], *parameters: str) -> Running:
    given = [word for parameter in (*models, "lookahead:=0", *parameters) for word in ("-p", parameter)]
    node = ros.start(sys.executable, "-m", "sdtc_ros.node", "--ros-args", "-r", "__ns:=/robot", *given)
    node.wait_for("waiting for images on /robot/image")
    return node


def answers(hand: Any, count: int = 4) -> list[int]:
    """The frames answered of `count` that are published."""
    for number in range(count):
        hand.image("/robot" + IMAGE, number)
        hand.heard("/robot" + POSES, count=number + 1, patience=2.0)
    return [scene.number_of(message["stamp"]) for message in hand.heard("/robot" + POSES, patience=0.0)]


@pytest.mark.parametrize("policies", [
    {}, {"reliability": "RELIABLE"}, {"reliability": "RELIABLE", "durability": "TRANSIENT_LOCAL"}, {"deadline": 0.5},
])  # fmt: skip
def test_every_publisher_is_heard_by_default(ros, models, hand, policies) -> None:
    node = start(ros, models, "max_silence:=0.0")  # a slow machine's silence is none of this test's
    hand.camera("/robot" + IMAGE, **policies)
    hand.listen("/robot" + POSES)
    assert answers(hand)[-1] == 3
    assert "WARN" not in node.log


def test_an_incompatible_publisher_is_named_at_once_and_once(ros, models, hand) -> None:
    node = start(ros, models, "qos_overrides./robot/image.subscription.reliability:=reliable", "max_silence:=2.0")
    hand.camera("/robot" + IMAGE, wait=False)
    node.wait_for("nothing comes from /hand on /robot/image", 10.0)
    assert (
        "nothing comes from /hand on /robot/image: incompatible quality of service (reliability is best_effort "
        "there and reliable here); set qos_overrides./robot/image.subscription.reliability to best_effort" in node.log
    )
    node.wait_for("no image received for 2 s: the quality of service of 'hand' on /robot/image does not match ours")
    hand.listen("/robot" + POSES)
    assert answers(hand, 2) == []
    hand.camera("/robot" + IMAGE, reliability="RELIABLE")
    assert answers(hand)[-1] == 3, "a publisher that fits is heard"
    assert node.log.count("nothing comes from /hand") == 1


def test_the_remedy_that_is_named_helps(ros, models, hand) -> None:
    """Durability and deadline too; both are told in one sentence."""
    asked = ("durability:=transient_local", "reliability:=reliable", "deadline:=100000000")
    node = start(ros, models, *(f"qos_overrides./robot/image.subscription.{policy}" for policy in asked))
    hand.camera("/robot" + IMAGE, wait=False)
    node.wait_for("nothing comes from /hand on /robot/image", 10.0)
    line = next(line for line in node.lines if "nothing comes from" in line)
    remedies = line.split("); set ")[1].strip().split(", ")
    assert len(remedies) == 3
    node.interrupt()
    again = start(ros, models, *(remedy.replace(" to ", ":=") for remedy in remedies))
    hand.camera("/robot" + IMAGE)
    hand.listen("/robot" + POSES)
    assert answers(hand)[-1] == 3
    assert "nothing comes from" not in again.log


def test_an_incompatible_subscriber_of_the_poses_is_named(ros, models, hand) -> None:
    node = start(ros, models)
    hand.camera("/robot" + IMAGE)
    hand.listen("/robot" + POSES, durability="TRANSIENT_LOCAL")
    node.wait_for(
        "nothing reaches /hand on /robot/sdtc/poses: incompatible quality of service (durability is volatile "
        "here and transient_local there); set qos_overrides./robot/sdtc/poses.publisher.durability to transient_local",
        10.0,
    )
    assert "Traceback" not in node.log


def test_poses_can_be_made_to_wait_for_late_subscribers(ros, models, hand) -> None:
    start(ros, models, "qos_overrides./robot/sdtc/poses.publisher.durability:=transient_local")
    hand.camera("/robot" + IMAGE, reliability="RELIABLE")
    hand.image("/robot" + IMAGE, 0)
    hand.spin(1.0)
    hand.listen("/robot" + POSES, durability="TRANSIENT_LOCAL")
    assert len(hand.heard("/robot" + POSES, count=1)) == 1, "it was published before anybody listened"


def test_a_topic_of_another_type_is_no_traceback(ros, models, hand) -> None:
    node = start(ros, models, "max_silence:=10.0")
    ros.start("ros2", "topic", "pub", "--rate", "5", "/robot/image", "sensor_msgs/msg/CompressedImage", "{}")
    node.wait_for("/robot/image carries sensor_msgs/msg/CompressedImage, not sensor_msgs/msg/Image")
    assert "Traceback" not in node.log
