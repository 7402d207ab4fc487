# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The one place that makes a detector: from its name or path, on what the model runs on.

Nothing heavy is imported before one is made: the command line reads its defaults here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sdtc_ros.errors import UsageError
from sdtc_ros.options import ONNX, PERSON

if TYPE_CHECKING:
    from sdtc_ros.detection.boxes import Detector
    from sdtc_ros.engine.select import EngineConfig

START_SCORE = 0.45  # boxes scored from here on start a track


@dataclass(frozen=True)
class DetectorConfig:
    """Which detector, and its settings.

    which: `person`, the one that ships, or the path of an .onnx file; size: pixels of the image's longer side for
    `person`, a multiple of 32; min_score: weaker boxes are dropped; those above it continue a track, those from the
    tracker's start_score on may start one; person_class: of an .onnx file, see OnnxDetector.
    """

    which: str = PERSON
    size: int = 416
    min_score: float = 0.3
    person_class: str = ""

    @property
    def title(self) -> str:
        """The detector in a report's words."""
        return f"person detector at {self.size} px" if self.which == PERSON else f"detector {Path(self.which).name}"


def is_detector(which: str) -> bool:
    """Whether the word names a detector: `person`, or a path that ends in .onnx."""
    return which == PERSON or which.lower().endswith(ONNX)


def make_detector(config: DetectorConfig | None = None, engine: EngineConfig | None = None) -> Detector:
    """The detector, open and run once; engine: what the model runs on.

    Raises UsageError for a name that is none or a provider that is not available, BundleError for a file that cannot be
    used.
    """
    from sdtc_ros.engine.select import EngineConfig

    config, engine = config or DetectorConfig(), engine or EngineConfig()
    if not is_detector(config.which):
        raise UsageError(f"detector '{config.which}' is neither '{PERSON}' nor the path of an .onnx file")
    if config.which == PERSON:
        from sdtc_ros.detection.person import PersonConfig, PersonDetector

        settings = PersonConfig(config.size, config.min_score)
        return PersonDetector(settings, engine.provider, threads=engine.threads, allow_cpu=engine.allow_cpu)
    from sdtc_ros.detection.onnx import OnnxDetector

    return OnnxDetector(
        Path(config.which).expanduser(), engine.provider, min_score=config.min_score, person_class=config.person_class,
        threads=engine.threads, allow_cpu=engine.allow_cpu,
    )  # fmt: skip
