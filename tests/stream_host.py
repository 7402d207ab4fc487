# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A stream's camera without ROS: settings that may be set, and what it was given."""

from __future__ import annotations

import math
from typing import Any

from sdtc_ros.messages.images import frame_of_message
from sdtc_ros.node.stream import Arrival
from sdtc_ros.types import Boxes, Frame, FramePoses


class RecordingHost:
    """See StreamHost; `results` and `warnings` (what about, sentence) are what it was given, `time` is its clock."""

    def __init__(self, time: int = 0) -> None:
        self.max_age, self.max_wait, self.lookahead_wait = 0.0, 0.0, math.inf
        self.time = time
        self.results: list[FramePoses] = []
        self.warnings: list[tuple[str, str]] = []

    def now(self) -> int:
        return self.time

    def warn(self, about: str, sentence: str) -> None:
        self.warnings.append((about, sentence))

    def read(self, arrival: Arrival) -> tuple[Frame, Boxes | None]:
        return frame_of_message(arrival.message, arrival.stamp), None

    def publish(self, result: FramePoses) -> FramePoses:
        self.results.append(result)
        return result

    def published(self, result: FramePoses) -> Any:
        pass
