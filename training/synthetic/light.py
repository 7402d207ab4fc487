# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Light: from a panorama (HDR, any CC0 one will do) or drawn by formulas.

Panoramas are read from .hdr and .exr files, and from the .exr.js files of the npm package @pmndrs/assets (CC0 pictures
of Poly Haven, each an EXR in base64).
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from sdtc_ros.errors import InputError
from training.synthetic import rotations
from training.synthetic.shading import Lighting

_ROWS, _COLUMNS = 32, 64  # a panorama is shrunk to this to find its light
_LOWEST_SUN = 0.12  # of the sun's direction, so that shadows stay short of the horizon


@dataclass(frozen=True)
class Panorama:
    """A picture of all directions: row from straight up to straight down, column by azimuth; and its light."""

    picture: np.ndarray  # (H, W, 3) float32 linear RGB, scaled so that a lit grey card is about mid-grey
    sky: np.ndarray  # (9, 3) as shading.Lighting
    sun: np.ndarray  # (3,)
    sun_colour: np.ndarray  # (3,)


def find_panoramas(folder: Path) -> list[Path]:
    """Every panorama of a folder and its subfolders, by name; raises InputError where there is none."""
    files = sorted(path for path in folder.rglob("*") if path.name.lower().endswith((".hdr", ".exr", ".exr.js")))
    if not files:
        raise InputError(f"{folder} holds no panoramas (.hdr, .exr or .exr.js)")
    return files


@lru_cache(maxsize=64)
def read_panorama(path: Path) -> Panorama:
    """A panorama and its light; raises InputError where the file cannot be read."""
    os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")
    content = path.read_bytes()
    if path.name.endswith(".js"):
        match = re.search(rb"base64,([A-Za-z0-9+/=]+)", content) or re.search(rb"[\"'`]([A-Za-z0-9+/=]{999,})", content)
        content = base64.b64decode(match.group(1)) if match else b""
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        picture = None
    if picture is None:
        raise InputError(f"{path} is not a panorama that OpenCV can read (.hdr, .exr)")
    return _light_of(np.ascontiguousarray(picture[..., 2::-1], dtype=np.float32))


def harmonics(direction: np.ndarray) -> np.ndarray:
    """The nine functions of shading's sky light, (..., 9), of unit directions (..., 3)."""
    x, y, z = direction[..., 0], direction[..., 1], direction[..., 2]
    return np.stack([np.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y], axis=-1)


def _spread(count: int) -> np.ndarray:
    """`count` fixed directions (count, 3) all around."""
    directions = np.random.default_rng(0).normal(size=(count, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _light_of(picture: np.ndarray) -> Panorama:
    """Split a panorama into its brightest part, the sun or a lamp, and the light from all sides that is left."""
    picture = np.maximum(np.nan_to_num(picture), 0)
    small = cv2.resize(picture, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
    polar = ((np.arange(_ROWS) + 0.5) / _ROWS * np.pi)[:, None]
    azimuth = ((np.arange(_COLUMNS) + 0.5) / _COLUMNS * 2 * np.pi)[None]
    flat = np.ones((_ROWS, _COLUMNS))
    direction = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar) * flat], -1)
    direction = direction.reshape(-1, 3)
    solid_angle = (np.sin(polar) * flat).reshape(-1) * (np.pi / _ROWS) * (2 * np.pi / _COLUMNS)
    radiance = small.reshape(-1, 3)
    luminance = radiance.mean(axis=1)
    even = radiance * np.minimum(1, np.percentile(luminance, 97) / np.maximum(luminance, 1e-6))[:, None]
    normals = _spread(400)
    irradiance = (np.clip(normals @ direction.T, 0, None) * solid_angle) @ even / np.pi
    sky = np.linalg.lstsq(harmonics(normals), irradiance, rcond=None)[0]
    excess = (radiance - even) * solid_angle[:, None]
    brightest = direction[np.argmax(excess.sum(axis=1) if excess.sum() > 1e-3 else luminance)]
    near = direction @ brightest > 0.9
    sun = (direction[near] * excess[near].sum(axis=1, keepdims=True)).sum(axis=0)
    sun = sun / np.linalg.norm(sun) if np.linalg.norm(sun) > 1e-6 else brightest
    colour = excess[near].sum(axis=0) / np.pi
    colour = np.minimum(colour, 3 * irradiance.mean())
    gain = 0.42 / (irradiance.mean() + 0.4 * colour.mean() + 1e-6)
    shown = np.minimum(picture * (gain * 0.9), 1.6).astype(np.float32)
    return Panorama(shown, sky * gain, sun, colour * gain)


def panorama_lighting(random: np.random.Generator, panorama: Panorama, yaw: float) -> tuple[Lighting, float]:
    """A panorama's light turned by `yaw`, brighter or darker by chance; and by how much."""
    turn = rotations.about("z", yaw)
    normals = _spread(60)
    sky = np.linalg.lstsq(harmonics(normals), harmonics(normals @ turn) @ panorama.sky, rcond=None)[0]
    sun = turn @ panorama.sun
    sun[2] = max(sun[2], _LOWEST_SUN)
    gain = random.uniform(0.6, 1.5)
    fill, fill_colour = _fill(random)
    sun_colour = panorama.sun_colour * gain * random.uniform(0.7, 1.3)
    return _lighting(sun, sun_colour, sky * gain, fill, fill_colour * 0.3), gain


def drawn_lighting(random: np.random.Generator) -> tuple[Lighting, float]:
    """Sun and sky, an overcast day or a room, without a panorama; and how bright a backdrop is in it."""
    elevation, azimuth = np.radians(random.uniform(15, 80)), random.uniform(0, 2 * np.pi)
    around = np.cos(elevation)
    sun = np.array([around * np.cos(azimuth), around * np.sin(azimuth), np.sin(elevation)])
    warm = random.uniform(-0.12, 0.18)
    strength = random.uniform(0, 0.25) if random.random() < 0.35 else random.uniform(0.5, 1.6)
    level = random.uniform(0.35, 1.0)
    above = level * np.array([1 - warm * 0.5, 1, 1 + warm * 0.7])
    below = level * random.uniform(0.15, 0.6) * np.clip(1 + random.normal(0, 0.08, 3), 0.7, 1.3)
    sky = np.zeros((9, 3))
    sky[0], sky[2] = (above + below) / 2, (above - below) / 2
    colour = strength * np.array([1 + warm, 1, 1 - warm])
    return _lighting(sun, colour, sky, *_fill(random)), 0.35 + 0.6 * level + 0.2 * strength


def _fill(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A weak light from one more side: a window, a wall."""
    azimuth = random.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(azimuth), np.sin(azimuth), random.uniform(-0.1, 0.5)])
    return direction, random.uniform(0, 0.35) * np.clip(1 + random.normal(0, 0.12, 3), 0.5, 1.5)


def _lighting(
    sun: np.ndarray, sun_colour: np.ndarray, sky: np.ndarray, fill: np.ndarray, fill_colour: np.ndarray
) -> Lighting:
    arrays = (sun / np.linalg.norm(sun), sun_colour, sky, fill / np.linalg.norm(fill), fill_colour)
    return Lighting(*(np.ascontiguousarray(array, dtype=np.float32) for array in arrays))
