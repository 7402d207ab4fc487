# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Frames sent to a running node and its results heard, in one thread: as fast as recorded, or as fast as it answers.

In the patient way (rate 0) a frame is sent when the node is free for it, so the node's slot never has two. A frame is
free to go when the one before was processed, `lookahead` frames late; the first ones, which wait for others before they
are processed, when the node's diagnostics count the one before as taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray

from sdtc_ros.errors import InputError
from sdtc_ros.io.boxes_file import BoxTable
from sdtc_ros.io.sources import Source
from sdtc_ros.replay.guard import StopRequest
from sdtc_ros.replay.progress import Progress
from sdtc_ros.tools.play_images import Pace, Player
from sdtc_ros.tools.recording import Recording
from sdtc_ros.types import Frame

SETTLE_SECONDS = 0.5  # discovery is done by either side for itself


@dataclass(frozen=True)
class DriveConfig:
    """How to send.

    rate: times as fast as recorded, 0: the patient way; lookahead: the node's; partner: the node's name; timeout:
    seconds after which a frame without a result is given up; start_timeout: seconds to wait for the node.
    """

    rate: float
    lookahead: int
    partner: str
    timeout: float
    start_timeout: float
    transport: str
    clock: bool


class Driver:
    """One run of a source's frames through the node; `recording` has what came of it."""

    def __init__(self, name: str, config: DriveConfig, recording: Recording, boxes: BoxTable | None) -> None:
        self._config, self._recording, self._boxes = config, recording, boxes
        self._node: Node = rclpy.create_node(name)
        self._player = Player(self._node, config.transport, config.clock, boxes=boxes is not None)
        self._poses = self._node.create_subscription(Detection2DArray, "sdtc/poses", self._hear, QoSProfile(depth=100))
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, QoSProfile(depth=10))
        self._reset = self._node.create_client(Trigger, f"{config.partner}/reset_tracks")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._stop = StopRequest()
        self._heard = monotonic()
        self._taken: int | None = None  # frames that the node has taken, by its diagnostics

    def hold(self, source: Source, stop: StopRequest) -> None:
        """Wait for the node, send all frames and hear the results; `stop` ends it early, with what has come."""
        self._stop = stop
        self._wait_for_node()
        send = self._send_in_time if self._config.rate else self._send_patiently
        pace = Pace(self._config.rate or 1.0)
        with Progress("evaluate", source.count) as bar:
            for number, frame in source.frames:
                send(number, frame, pace)
                if stop.status:
                    break
                bar.step()
        source.frames.close()  # type: ignore[attr-defined]
        self._hear_the_rest()
        self._recording.drop_all()
        self._node.destroy_node()

    def _send_in_time(self, number: int, frame: Frame, pace: Pace) -> None:
        self._spin(lambda: False, pace.due(frame.stamp))
        self._send(number, frame)

    def _send_patiently(self, number: int, frame: Frame, pace: Pace) -> None:
        sent = self._recording.sent
        if sent > self._config.lookahead:
            self._let_answer(self._config.lookahead)
        elif sent:
            self._let_take(sent)
        self._send(number, frame)

    def _send(self, number: int, frame: Frame) -> None:
        if self._stop.status:
            return
        boxes = None if self._boxes is None else self._boxes.boxes(number, frame)
        self._recording.send(number, frame, monotonic())
        self._player.publish(frame, boxes)

    def _hear_the_rest(self) -> None:
        """The results of frames that wait for later ones: the node gives them when it is asked to start over."""
        config = self._config
        if not config.rate and not self._stop.status:
            if self._recording.sent > config.lookahead:
                self._let_answer(config.lookahead)
            else:
                self._let_take(self._recording.sent)
            self._reset.call_async(Trigger.Request())
        self._let_answer(0)

    def _hear(self, message: Any) -> None:
        self._heard = monotonic()
        self._recording.receive(message, self._heard)

    def _diagnose(self, message: Any) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if values.get("image topic") == self._player.topic and values.get("taken", "").isdigit():
                self._taken = int(values["taken"])

    def _wait_for_node(self) -> None:
        seconds, topic = self._config.start_timeout, self._poses.topic_name

        def ready() -> bool:
            told = self._taken is not None and self._reset.service_is_ready()
            return bool(self._player.listeners and self._node.count_publishers(topic) and (told or self._config.rate))

        self._spin(ready, monotonic() + seconds)
        if not ready() and not self._stop.status:
            raise InputError(
                f"after {seconds:g} s no node subscribes to {self._player.topic} and publishes poses on {topic}; is "
                f"the node {self._config.partner} active, with these topics?"
            )
        self._spin(lambda: False, monotonic() + SETTLE_SECONDS)
        self._before = self._taken or 0

    def _let_take(self, count: int) -> None:
        """Wait until the node has taken so many of our frames; its diagnostics come once a second."""
        taken = self._before + count
        self._spin(lambda: self._taken is not None and self._taken >= taken, monotonic() + self._config.timeout)

    def _let_answer(self, allowed: int) -> None:
        """Wait until no more than `allowed` frames are open; those that are not processed in time are given up."""
        recording, since = self._recording, monotonic()
        while recording.open > allowed and not self._stop.status:
            before = recording.open
            until = max(since, self._heard) + self._config.timeout
            self._spin(lambda before=before: recording.open < before, until)  # type: ignore[misc]
            if recording.open == before and monotonic() >= until:
                recording.drop()
                since = monotonic() if not self._config.rate else since

    def _spin(self, condition: Callable[[], bool], until: float) -> None:
        """Hear answers until the condition holds, it is `until` (seconds of `monotonic`), or the end is asked for."""
        while not condition() and not self._stop.status and (left := until - monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, 0.05))
