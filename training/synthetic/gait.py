# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A walk or run by formulas: for whoever has no motion capture at hand, and for gaits that captures lack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.synthetic.figure import ANGLE, ANGLES


@dataclass(frozen=True)
class Gait:
    """A person's way of walking: `reach` scales the stride, `rate` is cycles (two steps) a second."""

    rate: float
    reach: float
    swing: float  # of the arms
    elbow: float  # degrees
    lean: float  # degrees forward
    lift: float  # of the knees

    @property
    def runs(self) -> bool:
        """Whether it is a run."""
        return self.rate > 1.2


def draw_gait(random: np.random.Generator) -> Gait:
    """A walk, now and then a run."""
    if random.random() < 0.18:
        return Gait(random.uniform(1.25, 1.6), random.uniform(1.1, 1.6), random.uniform(0.9, 1.5),
                    random.uniform(70, 105), random.uniform(5, 14), random.uniform(1.3, 1.8))  # fmt: skip
    reach = random.uniform(0.5, 1.15)
    return Gait(random.uniform(0.75, 1.05), reach, reach * random.uniform(0.4, 1.2), random.uniform(8, 35),
                random.uniform(0, 6), random.uniform(0.85, 1.1))  # fmt: skip


def gait_angles(gait: Gait, times: np.ndarray, phase: float = 0.0) -> np.ndarray:
    """Angles (T, A), degrees, at `times` (T,) seconds; `phase` in radians."""
    angles = np.zeros((len(times), len(ANGLES)))
    left = 2 * np.pi * gait.rate * times + phase
    for side, turn in (("l", left), ("r", left + np.pi)):
        forward = np.cos(turn)  # 1: the foot is farthest in front
        swinging = np.maximum(0, -np.sin(turn + 0.35))  # the foot is in the air
        behind = np.maximum(0, np.cos(turn - np.pi - 0.55))
        set_down = np.maximum(0, np.cos(turn)) ** 4
        bent = 12 if gait.runs else 4
        values = {
            "hip_flex": 6 + 24 * gait.reach * forward + 8 * gait.lift * swinging,
            "hip_out": np.full_like(turn, 2.0),
            "hip_turn": np.full_like(turn, 5.0),
            "knee": bent + 55 * gait.lift * swinging**1.6 + 9 * np.maximum(0, np.sin(turn)),
            "toe_down": 45 * gait.reach * behind**2 - 16 * gait.reach * set_down,
            "arm_flex": -3 - 24 * gait.swing * forward,
            "arm_out": np.full_like(turn, 8.0),
            "arm_turn": np.full_like(turn, -8.0),
            "elbow": gait.elbow - 10 * gait.swing * forward,
        }
        for name, value in values.items():
            angles[:, ANGLE[f"{name}_{side}"]] = value
    angles[:, ANGLE["pelvis_turn"]] = 5 * gait.reach * np.cos(left) * -1
    angles[:, ANGLE["spine_turn"]] = 10 * gait.reach * np.cos(left)
    angles[:, ANGLE["pelvis_roll"]] = 3 * np.sin(left)
    angles[:, ANGLE["spine_lean"]] = -3 * np.sin(left)
    angles[:, ANGLE["spine_bend"]] = gait.lean
    return angles
