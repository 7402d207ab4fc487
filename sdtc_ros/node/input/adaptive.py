# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A subscription that is as reliable as its publishers.

Large images hardly ever arrive by best effort: a hundred packets, of which none may be lost. Reliable ones do, but are
not heard from a publisher that offers best effort. So the subscription follows its publishers: reliable where all of
them offer that, best effort else, as rosbag2 does. Another one takes over with its first message: none is missed.
Knows rclpy only through the camera's ports.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from sdtc_ros.messages.poses import stamp_of
from sdtc_ros.node.parameters import AUTO, BEST_EFFORT, RELIABLE

if TYPE_CHECKING:
    from sdtc_ros.node.ports import Ports


class AdaptiveSubscription:
    """Hears a topic of images; `current` is the rclpy subscription that does."""

    def __init__(
        self, ports: Ports, kind: type, topic: str, callback: Callable[[Any], None], lost: Callable[[int], None]
    ) -> None:
        """Subscribe, by parameter reliability and the topic's qos_overrides; lost: called with how many were lost."""
        self._ports, self._kind, self._topic, self._callback, self._lost = ports, kind, topic, callback, lost
        self._asked = ports.asked_reliability(topic)
        self.reliability = BEST_EFFORT if self._asked == AUTO else self._asked
        self._number = 0  # of the current one
        self._stamp = 0  # of the newest message
        self._next: Any = None  # one that is to take over
        self.current = self._subscribe(0, self.reliability)

    def adapt(self) -> bool:
        """Follow the publishers that there are now; whether something had to change."""
        if self._asked != AUTO:
            return False
        offered = self._ports.offered_reliabilities(self.current)
        wanted = RELIABLE if offered == {RELIABLE} else BEST_EFFORT
        if not offered or wanted == self.reliability:
            return False
        self._destroy(self._next)
        self.reliability, self._next = wanted, None
        self._next = self._subscribe(self._number + 1, wanted)
        return True

    def close(self) -> None:
        """Hear no more."""
        for subscription in (self._next, self.current):
            self._destroy(subscription)
        self._next = None
        self._number += 2  # whatever is still on its way goes nowhere

    def _subscribe(self, number: int, reliability: str) -> Any:
        return self._ports.subscription(
            self._kind, self._topic, partial(self._hear, number), reliability=reliability, lost=self._lost,
            warn=partial(self._warn, number),
        )  # fmt: skip

    def _warn(self, number: int, sentence: str) -> None:
        """A publisher does not match: by its reliability, we may follow it, or have followed it already."""
        newest = self._number + (self._next is not None)
        if number == newest and not self.adapt():
            self._ports.warning(sentence)

    def _hear(self, number: int, message: Any) -> None:
        stamp = stamp_of(message.header)
        if number == self._number + 1 and self._next is not None:
            self._destroy(self.current)
            self.current, self._next, self._number = self._next, None, number
            if stamp and stamp == self._stamp:  # the one before has heard it too
                return
        elif number != self._number:
            return
        self._stamp = stamp
        self._callback(message)

    def _destroy(self, subscription: Any) -> None:
        if subscription is not None:
            self._ports.node.destroy_subscription(subscription)
