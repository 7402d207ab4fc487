# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a camera does to light: exposure, lens blur, white balance, tone, noise, JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Sensor:
    """One camera's ways, the same for all frames of a clip."""

    target: float  # brightness that metering brings the picture's upper quartile to
    blur: float  # pixels, standard deviation; 0 for none
    balance: np.ndarray  # (3,) gains of red, green, blue
    gamma: float
    contrast: float
    offset: float
    grey: bool
    noise: float  # standard deviation, of a full scale of 1
    quality: int  # of JPEG, 0 for none


def draw_sensor(random: np.random.Generator) -> Sensor:
    """A camera as robots have them: mostly fair, some bad."""
    changed = random.random() < 0.4
    return Sensor(
        target=random.uniform(0.28, 0.75),
        blur=random.uniform(0.3, 1.2) if random.random() < 0.35 else 0.0,
        balance=np.array([1 + random.normal(0, 0.06), 1, 1 + random.normal(0, 0.06)]),
        gamma=random.uniform(1.8, 2.5),
        contrast=random.uniform(0.6, 1.3) if changed else 1.0,
        offset=random.normal(0, 0.04) if changed else 0.0,
        grey=random.random() < 0.04,
        noise=random.uniform(0.002, 0.022) if random.random() < 0.7 else 0.0,
        quality=int(random.integers(35, 97)) if random.random() < 0.75 else 0,
    )


def metered(sensor: Sensor, image: np.ndarray) -> float:
    """The gain that metering gives: towards the target, not all the way. `image` is linear RGB, any shape."""
    return float((sensor.target / max(0.05, float(np.percentile(image, 75)))) ** 0.6)


def exposed(random: np.random.Generator, sensor: Sensor, image: np.ndarray, gain: float) -> np.ndarray:
    """The picture (H, W, 3) uint8 RGB that the camera makes of linear light (H, W, 3) float32."""
    if sensor.blur:
        image = cv2.GaussianBlur(image, (0, 0), sensor.blur)
    image = image * (gain * sensor.balance).astype(np.float32)
    image = image / (1 + 0.25 * np.maximum(image - 0.6, 0))  # highlights roll off
    image = np.clip(image, 0, 1) ** np.float32(1 / sensor.gamma)
    if sensor.contrast != 1.0:
        middle = np.float32(0.45)
        image = (image - middle) * np.float32(sensor.contrast) + np.float32(middle + sensor.offset)
    if sensor.grey:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    if sensor.noise:
        image = image + random.standard_normal(image.shape, np.float32) * np.float32(sensor.noise)
    picture = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    if sensor.quality:
        coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, sensor.quality])[1]
        decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        assert decoded is not None  # it was coded here
        picture = np.ascontiguousarray(decoded[..., ::-1])
    return picture
