# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a replay found and wrote, for its report and for the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sdtc_ros.ground_truth.truth import Accuracy
from sdtc_ros.io.sources import Source
from sdtc_ros.pipeline.pipeline import Pipeline
from sdtc_ros.replay.statistics import RunStatistics


@dataclass
class ReplayResult:
    """What a replay found and wrote.

    problems: what of the input was lost or left out, a clause each; notes: warnings that cost nothing; files: what
    was written, by its role; boxes: where the person boxes came from; stopped: the exit status of a request to end.
    """

    source: Source
    pipeline: Pipeline
    boxes: str
    statistics: RunStatistics
    files: dict[str, Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    accuracy: Accuracy | None = None
    stopped: int = 0

    @property
    def frames(self) -> int:
        """How many keyframes were answered and written."""
        return len(self.statistics.seconds)
