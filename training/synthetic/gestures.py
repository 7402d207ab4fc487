# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What people do on the spot and with their arms: ranges of angles, drawn, and joined by smooth movements.

A range is written for a side: "a" is the side drawn for the gesture, "b" the other, "both" each on its own; an angle
without a side is the trunk's. Angles are figure.ANGLES, degrees.
"""

from __future__ import annotations

import numpy as np

from training.synthetic.figure import ANGLE, ANGLES

Ranges = dict[str, tuple[float, float]]

LEGS: dict[str, tuple[float, Ranges]] = {
    "stand": (0.34, {}),
    "lean": (0.06, {"a.hip_flex": (5, 20), "a.knee": (8, 30), "pelvis_roll": (-6, 6), "spine_lean": (-8, 8)}),
    "step": (0.14, {"a.hip_flex": (10, 35), "a.knee": (2, 40), "b.hip_flex": (-22, -4), "b.knee": (3, 40),
                    "b.toe_down": (0, 35), "a.toe_down": (-12, 0)}),
    "sit": (0.14, {"both.hip_flex": (72, 100), "both.knee": (60, 105), "both.hip_out": (0, 20),
                   "pelvis_pitch": (-12, 15), "spine_bend": (-5, 30)}),
    "squat": (0.05, {"both.hip_flex": (55, 110), "both.knee": (70, 125), "both.hip_out": (5, 25),
                     "pelvis_pitch": (10, 35), "spine_bend": (5, 30)}),
    "bend": (0.10, {"pelvis_pitch": (18, 50), "spine_bend": (15, 45), "both.hip_flex": (25, 65), "both.knee": (3, 35),
                    "head_nod": (-25, 10)}),
    "kneel": (0.03, {"a.hip_flex": (60, 95), "a.knee": (80, 100), "b.hip_flex": (-5, 15), "b.knee": (88, 112),
                     "b.foot_free": (1, 1), "b.toe_down": (30, 50), "spine_bend": (0, 30)}),
    "lunge": (0.05, {"a.hip_flex": (40, 80), "a.knee": (45, 90), "b.hip_flex": (-30, -10), "b.knee": (5, 45),
                     "b.toe_down": (15, 50), "pelvis_pitch": (0, 22)}),
    "kick": (0.03, {"a.hip_flex": (35, 90), "a.knee": (0, 60), "a.hip_out": (0, 35), "a.foot_free": (1, 1),
                    "pelvis_pitch": (-18, 0)}),
    "prowl": (0.06, {"a.hip_flex": (40, 70), "a.knee": (40, 80), "b.hip_flex": (0, 25), "b.knee": (40, 75),
                     "pelvis_pitch": (12, 32), "spine_bend": (5, 25)}),
}  # fmt: skip
_REACH: Ranges = {"a.arm_flex": (40, 110), "a.arm_out": (-8, 40), "a.elbow": (2, 60)}
_RAISE: Ranges = {"a.arm_flex": (115, 170), "a.arm_out": (0, 35), "a.elbow": (2, 85)}
_SPREAD: Ranges = {"a.arm_out": (60, 150), "a.arm_flex": (-5, 25), "a.elbow": (2, 95), "a.arm_turn": (-95, 30)}
_HIP: Ranges = {"a.arm_out": (36, 54), "a.arm_flex": (-25, -8), "a.elbow": (82, 104), "a.arm_turn": (-85, -62)}


def _each(ranges: Ranges) -> Ranges:
    """The same with both sides drawn."""
    return {name.replace("a.", "both."): limits for name, limits in ranges.items()}


ARMS: dict[str, tuple[float, Ranges]] = {
    "hang": (0.24, {}),
    "reach": (0.09, _REACH), "reach both": (0.08, _each(_REACH)),
    "raise": (0.06, _RAISE), "raise both": (0.05, _each(_RAISE)),
    "spread": (0.04, _SPREAD), "spread both": (0.04, _each(_SPREAD)),
    "hip": (0.04, _HIP), "hips": (0.04, _each(_HIP)),
    "crossed": (0.05, {"both.arm_flex": (30, 45), "both.arm_out": (3, 12), "both.elbow": (88, 110),
                       "both.arm_turn": (-78, -58)}),
    "phone": (0.07, {"a.arm_flex": (35, 75), "a.arm_out": (15, 50), "a.elbow": (118, 143), "a.arm_turn": (-40, 15)}),
    "screen": (0.06, {"a.arm_flex": (20, 50), "a.arm_out": (2, 15), "a.elbow": (80, 110), "a.arm_turn": (-35, -10),
                      "head_nod": (12, 30)}),
    "carry": (0.07, {"both.arm_flex": (12, 55), "both.arm_out": (2, 18), "both.elbow": (50, 105),
                     "both.arm_turn": (-35, 0)}),
    "point": (0.03, {"a.arm_out": (40, 95), "a.arm_flex": (0, 70), "a.elbow": (0, 15)}),
    "any": (0.04, {"both.arm_flex": (-40, 150), "both.arm_out": (0, 110), "both.elbow": (0, 135),
                   "both.arm_turn": (-75, 35)}),
}  # fmt: skip
_REST: Ranges = {
    "spine_turn": (-16, 16), "spine_bend": (-5, 14), "spine_lean": (-6, 6), "head_turn": (-45, 45),
    "head_nod": (-14, 22), "head_lean": (-9, 9), "pelvis_pitch": (-3, 3), "pelvis_roll": (-3, 3),
    "both.hip_out": (1, 9), "both.hip_turn": (-4, 18), "both.hip_flex": (-4, 6), "both.knee": (0, 8),
    "both.arm_out": (5, 16), "both.arm_flex": (-10, 12), "both.arm_turn": (-22, 22), "both.elbow": (5, 32),
    "both.palm": (-30, 55), "both.wrist": (-18, 18),
}  # fmt: skip
_SEATED: Ranges = {"both.arm_flex": (18, 48), "both.elbow": (35, 85), "both.arm_turn": (-40, -5)}


def _draw(random: np.random.Generator, ranges: Ranges, side: str, angles: np.ndarray) -> None:
    """Set the angles that `ranges` speak of."""
    other = "r" if side == "l" else "l"
    for name, (low, high) in ranges.items():
        who, _, angle = name.rpartition(".")
        for suffix in {"": [""], "a": [f"_{side}"], "b": [f"_{other}"], "both": ["_l", "_r"]}[who]:
            angles[ANGLE[angle + suffix]] = random.uniform(low, high)


def _choose(random: np.random.Generator, table: dict[str, tuple[float, Ranges]]) -> str:
    weights = np.array([weight for weight, _ in table.values()])
    return list(table)[random.choice(len(table), p=weights / weights.sum())]


def draw_gesture(
    random: np.random.Generator, legs: str | None = None, arms: str | None = None
) -> tuple[np.ndarray, str]:
    """One pose's angles (A,) and its name, "legs+arms"."""
    legs, arms = legs or _choose(random, LEGS), arms or _choose(random, ARMS)
    angles = np.zeros(len(ANGLES))
    _draw(random, _REST, "l", angles)
    _draw(random, LEGS[legs][1], str(random.choice(["l", "r"])), angles)
    held = _SEATED if legs == "sit" and arms == "hang" else ARMS[arms][1]
    _draw(random, held, str(random.choice(["l", "r"])), angles)
    return angles, f"{legs}+{arms}"


def gesture_angles(random: np.random.Generator, times: np.ndarray) -> tuple[np.ndarray, str]:
    """Angles (T, A) at `times` (T,) seconds of somebody who gestures without walking, and a name.

    Movements take 0.3 to 1.2 seconds, with rests between them; the legs change seldom.
    """
    span = float(times[-1] - times[0])
    first, name = draw_gesture(random)
    keys, when = [first], [times[0] - random.uniform(0, 0.5)]
    legs = name.split("+")[0]
    while when[-1] <= times[0] + span:
        if random.random() < 0.25:  # a rest
            keys.append(keys[-1] + random.normal(0, 1.0, len(ANGLES)))
            when.append(when[-1] + random.uniform(0.2, 1.0))
            continue
        if random.random() < 0.15:
            target, name = draw_gesture(random)
            legs = name.split("+")[0]
        else:
            target, name = draw_gesture(random, legs)
            for number, angle in enumerate(ANGLES):
                if any(part in angle for part in ("hip", "knee", "toe", "foot", "pelvis")):
                    target[number] = keys[-1][number] + random.normal(0, 2)
        share = random.uniform(0.35, 1.0)
        keys.append(keys[-1] + share * (target - keys[-1]))
        when.append(when[-1] + random.uniform(0.3, 1.2))
    keys[-1][_CLIPPED] = np.clip(keys[-1][_CLIPPED], 0, 1)
    return _smooth(np.array(when), np.array(keys), times), name


_CLIPPED = [ANGLE["foot_free_l"], ANGLE["foot_free_r"]]


def _smooth(when: np.ndarray, keys: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Between two keys along 3s^2 - 2s^3, which starts and ends at rest."""
    place = np.clip(np.searchsorted(when, times, side="right") - 1, 0, len(when) - 2)
    share = np.clip((times - when[place]) / (when[place + 1] - when[place]), 0, 1)
    share = share * share * (3 - 2 * share)
    return keys[place] + share[:, None] * (keys[place + 1] - keys[place])
