# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What is behind the people, seen by direction: a panorama standing on the ground, a picture, or drawn clutter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numba import njit

from training.synthetic.camera import View
from training.synthetic.noise import fractal

CAPTURE_HEIGHT = 1.6  # metres: how high panoramas are taken
_GROUND_GRAIN, _WALL_GRAIN = 150.0, 12.0  # pixels of grain for a metre of ground, for a pixel of a panorama
_SHARP_GROUND = 4.0  # metres up to which the ground's grain is whole


@dataclass(frozen=True)
class Backdrop:
    """A texture (H, W, 3) float32 linear RGB over directions.

    Column: `scale` pixels a radian of azimuth from `yaw`; row: `scale` pixels a radian of angle from straight up, `top`
    at row 0. A panorama goes round, and what lies below its horizon is on the ground, so that it shifts as the camera
    moves; a picture is far away and mirrored at its edges. `detail`, 0 to 1: how much grain is made up where a panorama
    has too few pixels.
    """

    texture: np.ndarray
    yaw: float
    scale: float
    top: float
    mirrored: bool
    detail: float = 0.0

    def seen(self, view: View) -> np.ndarray:
        """The picture (height, width, 3) float32 of a view."""
        image = np.empty((view.height, view.width, 3), np.float32)
        _look_up(
            self.texture, self.yaw, self.scale, self.top, self.mirrored, view.rotation, view.eye, view.focal, view.cx,
            view.cy, _grain(), self.detail, image,
        )  # fmt: skip
        return image


def panorama_backdrop(picture: np.ndarray, yaw: float) -> Backdrop:
    """A panorama turned by `yaw`; the fewer pixels it has, the more grain it gets."""
    return Backdrop(picture, yaw, picture.shape[1] / (2 * np.pi), 0.0, False, min(1.0, 512 / picture.shape[1]))


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """Noise (512, 512) float32 about 0 that tiles: roughness of walls and grounds."""
    noise = fractal(np.random.default_rng(0), 512, 16, 5, 0.8)
    return np.ascontiguousarray(noise - noise.mean(), dtype=np.float32)


def picture_backdrop(random: np.random.Generator, picture: np.ndarray, view: View) -> Backdrop:
    """A flat picture (H, W, 3) linear RGB that fills `view` and half as much around it."""
    forward = view.rotation[2]
    azimuth, polar = np.arctan2(forward[1], forward[0]), np.arccos(np.clip(forward[2], -1, 1))
    wide = 2 * np.arctan(view.width / 2 / view.focal) * random.uniform(1.1, 1.6)
    scale = picture.shape[1] / wide
    return Backdrop(picture, azimuth - wide / 2, scale, polar - picture.shape[0] / 2 / scale, True)


def read_picture(path: Path, longest: int = 960) -> np.ndarray | None:
    """A photograph (H, W, 3) float32 linear RGB, shrunk to `longest` pixels; None where it cannot be read."""
    image = cv2.imread(str(path))
    if image is None or min(image.shape[:2]) < 60:
        return None
    shrink = longest / max(image.shape[:2])
    if shrink < 1:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray((image[..., ::-1].astype(np.float32) / 255) ** 2.2)


@njit(cache=True, fastmath=True, nogil=True)
def _look_up(
    texture: np.ndarray, yaw: float, scale: float, top: float, mirrored: bool, rotation: np.ndarray, eye: np.ndarray,
    focal: float, cx: float, cy: float, grain: np.ndarray, detail: float, image: np.ndarray,
) -> None:  # fmt: skip
    """Each pixel's direction, taken from where the panorama was captured, and the texture there, bilinear.

    Grain shades it and moves the place that is looked up by part of a texture's pixel, so that a coarse panorama's soft
    edges get rough ones; on the ground it is a metre's, elsewhere the panorama's own.
    """
    rows, columns = texture.shape[0], texture.shape[1]
    tile = grain.shape[0]
    r = rotation
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            a, b = (x - cx) / focal, (y - cy) / focal
            dx = r[0, 0] * a + r[1, 0] * b + r[2, 0]
            dy = r[0, 1] * a + r[1, 1] * b + r[2, 1]
            dz = r[0, 2] * a + r[1, 2] * b + r[2, 2]
            amount, gu, gv = detail, 0.0, 0.0
            ground = not mirrored and dz < -1e-3 and eye[2] > 0.05
            if ground:
                reach = eye[2] / -dz
                dx, dy, dz = eye[0] + reach * dx, eye[1] + reach * dy, -CAPTURE_HEIGHT
                gu, gv = dx * _GROUND_GRAIN, dy * _GROUND_GRAIN
                amount *= min(1.0, _SHARP_GROUND / (1e-6 + math.sqrt(dx * dx + dy * dy)))
            turn = math.atan2(dy, dx) - yaw
            turn -= 2 * math.pi * math.floor(turn / (2 * math.pi))
            if mirrored and turn > math.pi * 1.5:
                turn -= 2 * math.pi
            column = turn * scale - 0.5
            row = (math.acos(dz / math.sqrt(dx * dx + dy * dy + dz * dz)) - top) * scale - 0.5
            shade = 1.0
            if amount > 0:
                if not ground:
                    gu, gv = column * _WALL_GRAIN, row * _WALL_GRAIN
                i, j = int(math.floor(gv)) & (tile - 1), int(math.floor(gu)) & (tile - 1)  # a power of two
                shade += (0.5 if ground else 0.1) * amount * grain[i, j]
                rough = (2.0 if ground else 1.0) * amount
                column += rough * grain[j, i]
                row += rough * grain[tile - 1 - i, j]
            left, upper = int(math.floor(column)), int(math.floor(row))
            fx, fy = column - left, row - upper
            right, lower = left + 1, upper + 1
            if mirrored:
                left, right = _mirror(left, columns), _mirror(right, columns)
                upper, lower = _mirror(upper, rows), _mirror(lower, rows)
            else:
                left, right = left % columns, right % columns
                upper, lower = min(max(upper, 0), rows - 1), min(max(lower, 0), rows - 1)
            for c in range(3):
                above = texture[upper, left, c] * (1 - fx) + texture[upper, right, c] * fx
                below = texture[lower, left, c] * (1 - fx) + texture[lower, right, c] * fx
                image[y, x, c] = (above * (1 - fy) + below * fy) * shade


@njit(cache=True, nogil=True)
def _mirror(number: int, count: int) -> int:
    """A row or column of a picture that is mirrored at its edges without end."""
    number = number % (2 * count)
    return number if number < count else 2 * count - 1 - number


def drawn_backdrop(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Clutter (height, width, 3) float32 linear RGB by chance: walls, windows, a floor, leaves, poles."""

    def colour(low: float = 0.05, high: float = 0.85) -> np.ndarray:
        spread = 0.10 if random.random() < 0.85 else 0.35
        return (random.uniform(low, high) * (1 + random.normal(0, spread, 3))).clip(0.02, 0.95)

    horizon = int(height * random.uniform(0.3, 0.6))
    fade = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    image = np.broadcast_to(colour(0.3, 0.95) * (1 - fade) + colour(0.2, 0.9) * fade, (height, width, 3))
    image = np.ascontiguousarray(image, dtype=np.float32)
    for _ in range(random.integers(3, 14)):
        _wall(random, image, horizon, colour(), colour())
    image[horizon:] = _floor(random, height - horizon, width, colour(0.08, 0.7))
    if random.random() < 0.55:
        leaves = cv2.resize(fractal(random, 256, 3, 6, 0.75), (width, height)) > random.uniform(0.5, 0.75)
        leaves[horizon + int(height * 0.12) :] = False
        shade = 0.4 + 1.2 * cv2.resize(fractal(random, 256, 24, 4, 0.9), (width, height))[..., None]
        green = np.array([0.12, 0.25, 0.07]) * random.uniform(0.4, 1.8) * shade
        image = np.where(leaves[..., None], green, image).astype(np.float32)
    for _ in range(random.integers(0, 10)):
        x, y = int(random.integers(width)), int(random.integers(height))
        if random.random() < 0.6:
            end = (x + int(random.normal(0, width * 0.3)), int(random.integers(height)))
            cv2.line(image, (x, y), end, colour().tolist(), int(random.integers(1, 8)))
        else:
            cv2.circle(image, (x, y), int(random.integers(3, 40)), colour().tolist(), -1)
    image *= 1 + 0.25 * (cv2.resize(fractal(random, 256, 8, 6, 0.85), (width, height))[..., None] - 0.5)
    return np.clip(cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, 2.5)), 0.004, 1) ** 1.6


def _wall(
    random: np.random.Generator, image: np.ndarray, horizon: int, colour: np.ndarray, windows: np.ndarray
) -> None:
    """A block down to about the horizon, perhaps with rows of windows or shelves."""
    height, width = image.shape[:2]
    left, wide = int(random.integers(-width // 4, width)), int(width * random.uniform(0.06, 0.6))
    top, bottom = int(random.uniform(-0.1, 0.9) * height), int(horizon + random.uniform(0, 0.2) * height)
    if bottom <= top + 4:
        return
    cv2.rectangle(image, (left, top), (left + wide, bottom), colour.tolist(), -1)
    if random.random() < 0.5:
        columns, rows = int(random.integers(1, 7)), int(random.integers(1, 9))
        for i in range(columns):
            for j in range(rows):
                x, y = left + int((i + 0.2) * wide / columns), top + int((j + 0.2) * (bottom - top) / rows)
                size = max(1, int(0.6 * wide / columns)), max(1, int(random.uniform(0.3, 0.7) * (bottom - top) / rows))
                shade = (windows * random.uniform(0.6, 1.2)).clip(0, 1).tolist()
                cv2.rectangle(image, (x, y), (x + size[0], y + size[1]), shade, -1)
    if random.random() < 0.3:
        edge = (colour * 0.4).tolist()
        cv2.line(image, (left + wide, top), (left + wide, bottom), edge, int(random.integers(1, 5)))


def _floor(random: np.random.Generator, height: int, width: int, colour: np.ndarray) -> np.ndarray:
    """A floor with grain, perhaps tiles, that gets finer towards the horizon."""
    grain = fractal(random, 256, 4, 6, 0.7)
    below = np.arange(height) + 3.0
    down = (4000 / below).astype(int)[:, None] % 256
    across = ((np.arange(width)[None] - width * random.uniform(0.2, 0.8)) * (36 / below)[:, None]).astype(int) % 256
    floor = colour * (0.7 + 0.6 * grain[down, across])[..., None]
    if random.random() < 0.4:
        floor *= np.where((down // 32 + across // 32) % 2 == 0, 1.0, random.uniform(0.5, 0.95))[..., None]
    return floor
