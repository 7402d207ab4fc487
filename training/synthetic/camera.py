# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A robot's camera: where it is at any time, what it sees, and its picture as a window onto it.

Camera frame: metres, x right, y down, z forward. World frame: metres, z up, the ground at z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.synthetic import rotations

SIZES = ((640, 480), (640, 480), (848, 480), (1280, 720), (1920, 1080))  # of robots' cameras


@dataclass(frozen=True)
class View:
    """A pinhole: a world point p lies at camera coordinates rotation @ p + translation."""

    rotation: np.ndarray  # (3, 3) float32
    translation: np.ndarray  # (3,) float32
    focal: float  # pixels
    cx: float
    cy: float
    width: int
    height: int

    @property
    def eye(self) -> np.ndarray:
        """The camera's place in the world, (3,) float32."""
        return (-self.rotation.T @ self.translation).astype(np.float32)

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points (N, 3) in the camera frame."""
        return points @ self.rotation.T + self.translation

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """World points (N, 3) as pixels (N, 2); meaningless behind the camera."""
        place = self.to_camera(points)
        depth = np.maximum(place[:, 2:], 1e-3)
        return place[:, :2] / depth * self.focal + np.array([self.cx, self.cy])

    def crop(self, left: float, top: float, scale: float, width: int, height: int, shift: float = 0.0) -> View:
        """The part from (left, top), enlarged by `scale`: pixel x of this view becomes (x - left) * scale + shift."""
        cx, cy = (self.cx - left) * scale + shift, (self.cy - top) * scale + shift
        return replace(self, focal=self.focal * scale, cx=cx, cy=cy, width=width, height=height)

    def finer(self, factor: int, offset: tuple[float, float] = (0.0, 0.0)) -> View:
        """The same picture with `factor` by `factor` pixels for each; `offset` shifts it, in its own pixels."""
        middle = (factor - 1) / 2
        return replace(
            self, focal=self.focal * factor, cx=self.cx * factor + middle + offset[0],
            cy=self.cy * factor + middle + offset[1], width=self.width * factor, height=self.height * factor,
        )  # fmt: skip

    def coarser(self, factor: int) -> View:
        """The same picture with one pixel for `factor` by `factor`."""
        middle = (1 / factor - 1) / 2
        return replace(
            self, focal=self.focal / factor, cx=self.cx / factor + middle, cy=self.cy / factor + middle,
            width=self.width // factor, height=self.height // factor,
        )  # fmt: skip


@dataclass(frozen=True)
class Camera:
    """A camera that may move: its place and heading at time 0, how they change, and its lens."""

    eye: np.ndarray  # (3,) metres
    yaw: float  # radians, where it looks: 0 along +x
    tilt: float  # radians below the horizon
    roll: float
    velocity: np.ndarray  # (3,) metres a second
    yaw_rate: float  # radians a second
    shake: float  # radians; a robot's body on rough ground
    shake_phase: np.ndarray  # (2, 3)
    focal: float  # pixels
    size: tuple[int, int]

    def view(self, time: float) -> View:
        """What it sees at `time` seconds."""
        rates = np.array([7.0, 11.0, 17.0])
        wobble = self.shake * np.sin(rates * time * np.pi + self.shake_phase).sum(axis=1)
        eye = self.eye + self.velocity * time
        rotation = look(self.yaw + self.yaw_rate * time + wobble[0], self.tilt + wobble[1], self.roll)
        width, height = self.size
        return View(
            rotation.astype(np.float32), (-rotation @ eye).astype(np.float32), self.focal, (width - 1) / 2,
            (height - 1) / 2, width, height,
        )  # fmt: skip

    @property
    def moves(self) -> bool:
        """Whether anything of it changes with time."""
        return bool(np.any(self.velocity) or self.yaw_rate or self.shake)


def look(yaw: float, tilt: float, roll: float) -> np.ndarray:
    """World to camera, (3, 3): looking along azimuth `yaw`, `tilt` below the horizon, turned by `roll`."""
    forward = np.array([np.cos(yaw) * np.cos(tilt), np.sin(yaw) * np.cos(tilt), -np.sin(tilt)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down = rotations.cross(forward, right)
    return rotations.about("z", roll) @ np.stack([right, down, forward])


def draw_height(random: np.random.Generator) -> float:
    """A camera's height in metres: small and large robots, and now and then a ceiling."""
    kind = random.random()
    if kind < 0.25:
        return random.uniform(0.3, 0.7)
    if kind < 0.8:
        return random.uniform(0.7, 1.8)
    return random.uniform(1.8, 4.5)


def draw_camera(
    random: np.random.Generator, target: np.ndarray, distance: float, moving: float, size: tuple[int, int] | None = None
) -> Camera:
    """A camera `distance` metres from `target` (3,), which it has somewhere in its picture; a share `moving` moves."""
    size = size or SIZES[int(random.integers(len(SIZES)))]
    focal = size[0] / 2 / np.tan(np.radians(random.uniform(48, 92)) / 2)
    azimuth, height = random.uniform(0, 2 * np.pi), draw_height(random)
    rise = np.clip(height - target[2], -0.95 * distance, 0.95 * distance)
    away = np.sqrt(distance**2 - rise**2)
    eye = target + np.array([away * np.cos(azimuth), away * np.sin(azimuth), rise])
    off_x = random.uniform(-0.6, 0.6) * size[0] / 2 / focal  # where in the picture the target is
    off_y = random.uniform(-0.4, 0.4) * size[1] / 2 / focal
    velocity, yaw_rate, shake = np.zeros(3), 0.0, 0.0
    if random.random() < moving:
        kind = random.random()
        if kind < 0.6:  # drives, mostly forward
            heading = azimuth + np.pi + random.normal(0, 0.7)
            velocity = random.uniform(0.2, 1.5) * np.array([np.cos(heading), np.sin(heading), 0])
        if kind > 0.35:  # turns
            yaw_rate = random.normal(0, 0.25)
        if random.random() < 0.5:
            shake = random.uniform(0.0005, 0.006)
    return Camera(
        eye, azimuth + np.pi + np.arctan(off_x), np.arctan2(rise, away) + np.arctan(off_y), random.normal(0, 0.05),
        velocity, yaw_rate, shake, random.uniform(0, 2 * np.pi, (2, 3)), focal, size,
    )  # fmt: skip
