# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The images' subscription follows its publishers' reliability, and loses and doubles no image on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from sdtc_ros.node.input.adaptive import AdaptiveSubscription


@dataclass
class Net:
    """A camera's ports, and the publishers that they see."""

    asked: str = "auto"
    offered: set[str] = field(default_factory=set)
    alive: list[Any] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.node = SimpleNamespace(destroy_subscription=self.alive.remove)
        self.adaptive = AdaptiveSubscription(
            self, object, "image", lambda message: self.heard.append(message.number), print  # type: ignore[arg-type]
        )  # fmt: skip

    def asked_reliability(self, topic: str) -> str:
        return self.asked

    def offered_reliabilities(self, subscription: Any) -> set[str]:
        return self.offered

    def subscription(self, kind: type, topic: str, callback: Any, *, reliability: str, lost: Any, warn: Any) -> Any:
        self.alive.append(SimpleNamespace(hear=callback, reliability=reliability, warn=warn))
        return self.alive[-1]

    def warning(self, sentence: str) -> None:
        self.warnings.append(sentence)


def image(number: int, stamp: int | None = None) -> Any:
    header = SimpleNamespace(stamp=SimpleNamespace(sec=number if stamp is None else stamp, nanosec=0))
    return SimpleNamespace(number=number, header=header)


def test_reliable_where_all_publishers_are() -> None:
    net = Net()
    assert not net.adaptive.adapt(), "nobody publishes yet"
    assert net.adaptive.reliability == "best_effort"
    net.offered = {"reliable", "best_effort"}
    assert not net.adaptive.adapt()
    net.offered = {"reliable"}
    assert net.adaptive.adapt()
    assert not net.adaptive.adapt(), "once is enough"
    assert [one.reliability for one in net.alive] == ["best_effort", "reliable"]
    net.offered = {"best_effort"}
    assert net.adaptive.adapt()
    assert net.adaptive.reliability == "best_effort"


def test_the_other_takes_over_with_its_first_image_and_none_is_lost_or_doubled() -> None:
    net = Net(offered={"reliable"})
    first = net.alive[0]
    first.hear(image(1))
    net.adaptive.adapt()
    second = net.alive[1]
    first.hear(image(2))  # still heard, until the other is
    second.hear(image(2))
    assert net.alive == [second]
    first.hear(image(3))  # was on its way
    second.hear(image(3))
    assert net.heard == [1, 2, 3]
    assert net.adaptive.current is second


def test_images_without_stamps_are_no_copies_of_each_other() -> None:
    net = Net(offered={"reliable"})
    net.alive[0].hear(image(1, stamp=0))
    net.adaptive.adapt()
    for number in (2, 3):
        net.alive[-1].hear(image(number, stamp=0))
    assert net.heard == [1, 2, 3]


def test_a_change_of_mind_leaves_one_behind_of_neither() -> None:
    net = Net(offered={"reliable"})
    net.adaptive.adapt()
    net.offered = {"best_effort"}
    net.adaptive.adapt()
    assert [one.reliability for one in net.alive] == ["best_effort", "best_effort"]
    stale, fresh = net.alive
    fresh.hear(image(1))
    assert net.alive == [fresh]
    net.adaptive.close()
    assert net.alive == []
    fresh.hear(image(2))
    assert net.heard == [1]


@pytest.mark.parametrize("asked", ["reliable", "best_effort"])
def test_what_is_asked_for_is_kept_and_a_mismatch_told(asked: str) -> None:
    net = Net(asked=asked, offered={"best_effort"} if asked == "reliable" else {"reliable"})
    assert not net.adaptive.adapt()
    net.alive[0].warn("does not match")
    assert (net.adaptive.reliability, net.warnings) == (asked, ["does not match"])


def test_a_mismatch_that_can_be_followed_is_no_warning() -> None:
    net = Net(offered={"reliable"})
    net.adaptive.adapt()
    net.offered = {"reliable", "best_effort"}
    net.alive[-1].warn("does not match")
    assert (net.adaptive.reliability, net.warnings) == ("best_effort", [])
    for one in net.alive:  # the one that is about to go has nothing to say any more
        one.warn("durability does not match")
    assert net.warnings == ["durability does not match"]
