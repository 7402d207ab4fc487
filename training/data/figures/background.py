# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Procedural backgrounds: a wall and a floor with gradients, noise at several scales, and clutter like limbs."""

from __future__ import annotations

import cv2
import numpy as np

from training.data.figures.body import random_colour
from training.data.figures.render import Image, capsule


def random_background(random: np.random.Generator, height: int, width: int) -> Image:
    """An H x W x 3 BGR background."""
    image = np.empty((height, width, 3), np.float32)
    horizon = int(random.uniform(0.1, 0.7) * height)
    for part in (image[:horizon], image[horizon:]):
        top, bottom = random_colour(random), random_colour(random)
        part[:] = np.linspace(top, bottom, max(len(part), 1))[: len(part), None]
    image += random.uniform(0, 1) ** 2 * (128 - image)  # many places are grey
    for cell in (4, 16, 64):
        channels = 1 if random.random() < 0.7 else 3
        noise = random.normal(0, 1, (max(2, height // cell), max(2, width // cell), channels)).astype(np.float32)
        grown = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, channels)
        image += grown * np.float32(random.uniform(1, 18))
    canvas = np.clip(image, 0, 255).astype(np.uint8)
    for _ in range(int(random.integers(0, 25))):
        _clutter(random, canvas)
    if random.random() < 0.5:
        canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), random.uniform(0.4, 2.0)), np.uint8)
    return canvas


def _clutter(random: np.random.Generator, image: Image) -> None:
    """One thing that is no person: a box, a stick, an ellipse, a line."""
    height, width = image.shape[:2]
    x, y = random.uniform(0, width), random.uniform(0, height)
    w, h = np.exp(random.uniform(1.5, 5, 2))
    colour = tuple(random_colour(random).tolist())
    kind = random.random()
    if kind < 0.4:
        filled = -1 if random.random() < 0.7 else 2
        cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), colour, filled)
    elif kind < 0.7:
        end = np.array([x, y]) + random.normal(0, 60, 2)
        capsule(image, np.array([x, y]), end, 0.12 * w + 1, 0.12 * h + 1, colour)
    elif kind < 0.85:
        cv2.ellipse(image, ((x, y), (float(w), float(h)), random.uniform(0, 180)), colour, -1)
    else:
        end_point = (int(random.uniform(0, width)), int(random.uniform(0, height)))
        cv2.line(image, (int(x), int(y)), end_point, colour, int(random.integers(1, 6)))
