# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What becomes of the frames that were sent to a running node: their results, written as a replay writes its own.

Knows no ROS, only the pose message's attributes. A result belongs to the frame of its stamp; the node answers in
order, so a frame that was sent before a processed one and is still open was dropped.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sdtc_ros.messages.poses import PoseArrays, poses_from_message
from sdtc_ros.replay.outputs import Outputs
from sdtc_ros.replay.statistics import RunStatistics
from sdtc_ros.types import Frame, FramePoses, Pose


@dataclass(frozen=True)
class Sent:
    """A frame that was sent: its number in the input, itself, and when (seconds of a steady clock)."""

    number: int
    frame: Frame
    moment: float


@dataclass
class Recording:
    """Frames sent and answers received; every result is written to `outputs` as it comes.

    sent = processed + dropped + those still open. latency: seconds from sending a frame to its result's arrival, by
    answer; dropped: numbers of the frames without a result; strangers: answers to no frame of ours.
    """

    outputs: Outputs
    statistics: RunStatistics
    sent: int = 0
    latency: list[float] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    strangers: int = 0

    def __post_init__(self) -> None:
        """Begin with no frame open."""
        self._open: deque[Sent] = deque()

    @property
    def open(self) -> int:
        """How many frames wait for their result."""
        return len(self._open)

    @property
    def answered(self) -> int:
        """How many frames have been processed."""
        return len(self.latency)

    def send(self, number: int, frame: Frame, moment: float) -> None:
        """Note that a frame is sent now; call it before the frame goes out."""
        self.sent += 1
        self.outputs.numbers[frame.name] = number
        self._open.append(Sent(number, frame, moment))

    def receive(self, message: Any, moment: float) -> None:
        """Take a result; raises InputError for a message of another layout."""
        poses = poses_from_message(message)
        if not any(sent.frame.stamp == poses.stamp for sent in self._open):
            self.strangers += 1
            return
        while self._open[0].frame.stamp != poses.stamp:
            self.drop()
        sent = self._open.popleft()
        self.latency.append(moment - sent.moment)
        self.outputs.write(FramePoses(sent.frame, people(poses)), self.statistics, 0.0)

    def drop(self) -> None:
        """Give up the frame that waits longest."""
        lost = self._open.popleft()
        self.outputs.numbers.pop(lost.frame.name, None)
        self.dropped.append(lost.number)

    def drop_all(self) -> None:
        """Give up all frames that wait."""
        while self._open:
            self.drop()

    def summary(self) -> dict[str, Any]:
        """The figures: frames sent, processed and dropped, latency in milliseconds."""
        figures: dict[str, Any] = {
            "sent": self.sent, "answered": self.answered, "dropped": len(self.dropped), "dropped_frames": self.dropped,
            "answers_to_others": self.strangers, "poses": sum(self.statistics.people),
            "tracks": len(self.statistics.tracks),
        }  # fmt: skip
        if self.latency:
            milliseconds = np.asarray(self.latency) * 1000
            values = np.percentile(milliseconds, [50, 95, 99, 100]).round(3).tolist()
            figures["latency_ms"] = dict(zip(("p50", "p95", "p99", "max"), values, strict=True))
        return figures


def people(arrays: PoseArrays) -> list[Pose]:
    """The poses of a message, which does not tell the box's own score: the pose's over the mean of the joints'."""
    joints = arrays.keypoints[..., 2].mean(axis=1) if len(arrays) else np.zeros(0, np.float32)
    box_scores = np.divide(arrays.scores, joints, out=np.zeros_like(arrays.scores), where=joints > 0)
    return [
        Pose(int(arrays.track_ids[i]), arrays.boxes[i], float(box_scores[i]), arrays.keypoints[i], arrays.covariance[i],
             float(arrays.scores[i]))
        for i in range(len(arrays))
    ]  # fmt: skip
