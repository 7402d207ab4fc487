# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How people move: joint angles over time for walking, running, standing, gesturing, dancing, squatting, jumping."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

KINDS = ("walk", "run", "stand", "gesture", "dance", "squat", "jump")
SHARES = (0.42, 0.16, 0.10, 0.14, 0.08, 0.05, 0.05)
LEFT_RIGHT = (0.0, np.pi)  # the two sides of a gait are half a period apart


@dataclass
class Angles:
    """Joint angles in radians, (left, right); 0 is hanging straight down. hop is in body heights."""

    hip: list[float]  # thigh forward
    knee: list[float]  # bent
    shoulder: list[float]  # upper arm forward
    elbow: list[float]  # bent
    spread: list[float]  # upper arm away from the trunk
    lean: float  # trunk forward
    twist: float  # shoulders turned against the hips
    look: float  # head turned to the person's left
    hop: float = 0.0


@dataclass(frozen=True)
class Motion:
    """One person's way of moving. speed is in body heights a second along where the person faces."""

    kind: str
    frequency: float  # Hz of the gait or gesture
    amplitude: float
    phase: float
    speed: float
    lean: float
    habit: Vector = field(repr=False)  # 12 standard normals: how this person differs
    wobble_rate: Vector = field(repr=False)  # 12 slow oscillations, Hz
    wobble_phase: Vector = field(repr=False)

    def wobble(self, i: int, time: float) -> float:
        """A slow oscillation in -1..1."""
        return float(np.sin(2 * np.pi * self.wobble_rate[i] * time + self.wobble_phase[i]))


def random_motion(random: np.random.Generator) -> Motion:
    """Someone's motion."""
    kind = str(random.choice(KINDS, p=SHARES))
    rates = {"walk": (0.7, 1.1), "run": (1.2, 1.8), "dance": (0.9, 1.6)}
    speeds = {"walk": 0.75, "run": 1.6}
    quick = 2.0 if kind == "dance" else 1.0
    return Motion(
        kind=kind,
        frequency=random.uniform(*rates.get(kind, (0.3, 0.9))),
        amplitude=random.uniform(0.7, 1.3),
        phase=random.uniform(0, 2 * np.pi),
        speed=speeds.get(kind, 0.05) * random.uniform(0.7, 1.2),
        lean=random.normal(0, 0.07),
        habit=random.normal(0, 1, 12),
        wobble_rate=random.uniform(0.3, 1.4, 12) * quick,
        wobble_phase=random.uniform(0, 2 * np.pi, 12),
    )


def angles_at(motion: Motion, time: float) -> Angles:
    """The angles at a time in seconds."""
    if motion.kind in ("walk", "run"):
        return _gait(motion, time)
    angles = _standing(motion, time)
    cycle = 2 * np.pi * motion.frequency * time + motion.phase
    if motion.kind == "squat":
        depth = 0.5 * (1 - np.cos(cycle))
        angles.hip, angles.knee = [1.5 * depth + 0.1] * 2, [2.2 * depth] * 2
        angles.lean += 0.5 * depth
    elif motion.kind == "jump":
        air = max(0.0, float(np.sin(cycle)))
        angles.hop = 0.15 * air * motion.amplitude
        angles.spread = [0.2 + 1.8 * air * motion.amplitude] * 2
        angles.hip, angles.knee = [0.1 + 0.4 * (1 - air)] * 2, [0.2 + 0.8 * (1 - air)] * 2
    elif motion.kind == "dance":
        angles.hip = [h + 0.3 * motion.wobble(i, time) for i, h in enumerate(angles.hip)]
        angles.knee = [k + 0.5 * max(0.0, motion.wobble(i + 2, time)) for i, k in enumerate(angles.knee)]
    return angles


def _gait(motion: Motion, time: float) -> Angles:
    """Walking and running: legs against each other, arms against legs, the knee bends as the leg swings forward."""
    runs = motion.kind == "run"
    cycle = 2 * np.pi * motion.frequency * time + motion.phase
    swing = (0.75 if runs else 0.45) * motion.amplitude
    bend = (1.7 if runs else 0.9) * 0.75 * motion.amplitude
    phases = [cycle + offset for offset in LEFT_RIGHT]
    angles = Angles(
        hip=[swing * float(np.sin(p)) + 0.05 for p in phases],
        knee=[bend * max(0.0, float(np.cos(p))) + 0.08 for p in phases],
        shoulder=[-0.8 * swing * float(np.sin(p)) for p in phases],
        elbow=[0.2 + 0.25 * motion.amplitude * (1 - float(np.sin(p))) + (1.1 if runs else 0.0) for p in phases],
        spread=[0.08 + 0.015 * float(motion.habit[0] ** 2)] * 2,
        lean=motion.lean + (0.15 if runs else 0.0),
        twist=-0.15 * float(np.sin(cycle)),
        look=0.25 * float(motion.habit[2]),
        hop=0.02 * abs(float(np.sin(cycle))) * motion.amplitude,
    )
    if abs(motion.habit[5]) > 1.3:  # carries something, or phones, with one hand
        side = int(motion.habit[5] > 0)
        angles.shoulder[side] = 0.6 + 0.2 * motion.wobble(1, time)
        angles.elbow[side] = 1.6 + 0.2 * motion.wobble(2, time)
    return angles


def _standing(motion: Motion, time: float) -> Angles:
    """Standing still, or talking with the hands."""
    habit = motion.habit
    busy = {"gesture": 0.9, "dance": 1.1}.get(motion.kind, 0.25)
    active = [float(habit[6] > -0.8), float(habit[7] > -0.8)]
    return Angles(
        hip=[0.12 * float(habit[i]) + 0.06 * motion.wobble(i, time) for i in (0, 1)],
        knee=[abs(0.1 * float(habit[i])) + 0.04 for i in (2, 3)],
        shoulder=[
            0.3 * float(habit[4 + i]) + busy * active[i] * (0.6 + 1.2 * motion.wobble(2 + i, time)) for i in (0, 1)
        ],
        elbow=[abs(0.4 * float(habit[8 + i])) + busy * (1 + motion.wobble(4 + i, time)) for i in (0, 1)],
        spread=[0.1 + busy * 0.7 * max(0.0, motion.wobble(6 + i, time) + 0.4 * float(habit[10 + i])) for i in (0, 1)],
        lean=motion.lean,
        twist=0.2 * motion.wobble(8, time),
        look=0.35 * motion.wobble(9, time) + 0.25 * float(habit[2]),
    )
