# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Person boxes from another process: a vision_msgs/Detection2DArray as Boxes. Knows no ROS, only attributes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sdtc_ros.types import Boxes


def people_classes(text: str) -> frozenset[str]:
    """The class_ids that mean people, from a list with commas; empty: whatever is detected is a person."""
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def boxes_of_detections(message: Any, classes: frozenset[str]) -> Boxes:
    """The people of a Detection2DArray: N boxes (xywh, pixels of the image that was looked at) with their scores.

    classes: the class_ids that mean people; empty: all do. A detection's score is that of its best result among them,
    or 1 where it has no results at all. A box with an angle counts with its upright hull. Nothing is checked: the
    pipeline drops boxes that are none.
    """
    people = [(box, score) for box, score in (_person(one, classes) for one in message.detections) if score is not None]
    with np.errstate(over="ignore"):
        return Boxes(
            np.array([box for box, _ in people], np.float32).reshape(-1, 4),
            np.array([score for _, score in people], np.float32),
        )


def _person(detection: Any, classes: frozenset[str]) -> tuple[list[float], float | None]:
    """Box and score of one detection; the score is None where it is no person."""
    scores = [one.hypothesis.score for one in detection.results if not classes or one.hypothesis.class_id in classes]
    if not scores and (classes or len(detection.results)):
        return [], None
    box, centre = detection.bbox, detection.bbox.center
    angle = centre.theta if math.isfinite(centre.theta) else math.nan
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    width, height = box.size_x * cosine + box.size_y * sine, box.size_x * sine + box.size_y * cosine
    left, top = centre.position.x - width / 2, centre.position.y - height / 2
    return [left, top, width, height], max(scores, default=1.0)
