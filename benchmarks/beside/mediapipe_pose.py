# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""MediaPipe Pose (`mediapipe` 0.10.21's "solutions" interface), which finds one person in a picture.

Several people therefore need a picture each: the crop box that our pipeline would cut, cut out of the frame as it is.
Modes: "tracking" has one tracker a person, which looks for the body again only where it lost it; "still" looks for it
in every picture; "whole" gets the whole frame, for clips of one person. Runs in MediaPipe's environment, so it imports
nothing of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

LANDMARKS = [0, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]  # of MediaPipe's 33, in the order of worker.JOINTS


class Player:
    """Plays one clip; `points` T x P x 13 x 2 image pixels, NaN where nobody was found."""

    reads = "crops"

    def __init__(self, mode: str, shape: tuple[int, ...], complexity: int) -> None:
        """Make the graphs; a tracker a person, or one for all pictures."""
        pose = import_module("mediapipe.python.solutions.pose").Pose
        self.mode = mode
        self.points = np.full(shape, np.nan)
        count = shape[1] if mode == "tracking" else 1
        self._poses = [pose(static_image_mode=mode == "still", model_complexity=complexity) for _ in range(count)]

    def step(self, number: int, image: Any, boxes: Any) -> None:
        """One frame H x W x 3 uint8 BGR with P x 4 crop boxes."""
        import cv2

        if self.mode == "whole":
            self._look(self._poses[0], cv2.cvtColor(image, cv2.COLOR_BGR2RGB), self.points[number, 0], (0, 0))
            return
        height, width = image.shape[:2]
        for person in np.flatnonzero(~np.isnan(boxes[:, 0])).tolist():
            x, y, w, h = boxes[person]
            left, top = max(0, int(x)), max(0, int(y))
            right, bottom = min(width, int(np.ceil(x + w))), min(height, int(np.ceil(y + h)))
            if right - left < 2 or bottom - top < 2:
                continue
            picture = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_BGR2RGB)
            pose = self._poses[person if self.mode == "tracking" else 0]
            self._look(pose, picture, self.points[number, person], (left, top))

    def finish(self) -> None:
        """Free the graphs."""
        for pose in self._poses:
            pose.close()

    @staticmethod
    def _look(pose: Any, picture: Any, points: Any, corner: tuple[int, int]) -> None:
        found = pose.process(picture).pose_landmarks
        if found is not None:
            size = picture.shape[1], picture.shape[0]
            points[:] = [(found.landmark[i].x * size[0], found.landmark[i].y * size[1]) for i in LANDMARKS]
            points += corner


def maker(settings: dict[str, Any]) -> Callable[[str, tuple[int, ...]], Player]:
    """What worker.serve asks for a player a clip; settings: the model's complexity (the wheel carries 1 only)."""
    return lambda mode, shape: Player(mode, shape, settings["complexity"])
