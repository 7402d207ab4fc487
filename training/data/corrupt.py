# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What happens to people in front of a robot's camera, done to clean windows: occluded, blurred, dark, coarse, shaken.

All of it acts on pixels alone, so that the labels stay: a joint behind the occluder is still to be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Corruption:
    """Probabilities, each drawn by itself for a window, and the largest strengths.

    shift, scale: of the crop about the person, as a share of its size and as a factor's deviation; turned: by any
    angle, as people who lie, climb or do gymnastics are. mirrored: crops that show their own mirror image outside of
    the rendered window; in a picture a crop rarely ends in black. restyled: windows that `restyle` has changed;
    what comes out counts as clean, so a gate that is trained on it takes soft and grainy crops for clean ones.
    """

    occluded: float = 0.35
    blurred: float = 0.35
    dark: float = 0.2
    coarse: float = 0.15
    flipped: float = 0.5
    shift: float = 0.07
    scale: float = 0.1
    rotation: float = 8.0
    turned: float = 0.0
    mirrored: float = 0.0
    restyled: float = 0.0


def spans(frames: int, random: np.random.Generator) -> list[int]:
    """Which frames of a window are hit: 1, 3 or all about the keyframe, or a run at one of the window's ends."""
    if frames == 1:
        return [0]
    middle = frames // 2
    kind = random.choice(["one", "three", "all", "past", "future"], p=[0.26, 0.28, 0.22, 0.14, 0.1])
    if kind == "one":
        return [middle]
    if kind == "three":
        return list(range(max(0, middle - 1), min(frames, middle + 2)))
    if kind == "all":
        return list(range(frames))
    cut = int(random.integers(1, frames))
    return list(range(cut)) if kind == "past" else list(range(cut, frames))


def occlude(images: Images, frames: Sequence[int], texture: Images, random: np.random.Generator) -> None:
    """Lay one to three rectangles over the same place of some frames, in place; they may drift by a few pixels.

    texture: any picture of the same height and width, which half of the rectangles show a part of.
    """
    height, width = images.shape[1:3]
    for _ in range(int(random.choice([1, 2, 3], p=[0.65, 0.25, 0.1]))):
        h, w = (int(side * random.uniform(0.12, 0.5)) for side in (height, width * 1.3))
        y, x = random.uniform(0.05, 0.95) * height - h / 2, random.uniform(0.1, 0.9) * width - w / 2
        drift = random.normal(0, 2.5, 2) * (random.random() < 0.5)
        paint = random.integers(0, 256, 3)
        noise = random.uniform(0, 20)
        flat = random.random() < 0.5
        for t in frames:
            top, left = (int(v) for v in (y + drift[0] * t, x + drift[1] * t))
            rows, columns = slice(max(top, 0), max(top + h, 0)), slice(max(left, 0), max(left + w, 0))
            place = images[t, rows, columns]
            cover = paint + random.normal(0, noise, place.shape) if flat else texture[rows, columns][::-1, ::-1]
            place[...] = np.clip(cover, 0, 255).astype(np.uint8)


def blur(images: Images, frames: Sequence[int], random: np.random.Generator) -> None:
    """Motion blur of some frames, in place: a straight stroke of up to a sixth of the height, or out of focus."""
    height = images.shape[1]
    length = int(random.uniform(0.03, 0.17) * height) | 1
    angle, turning = random.uniform(0, np.pi), random.normal(0, 0.3) * (random.random() < 0.4)
    focus = random.random() < 0.15
    for t in frames:
        if focus:
            images[t] = cv2.GaussianBlur(images[t], (0, 0), length / 5)
        else:
            images[t] = cv2.filter2D(images[t], -1, stroke(length, angle + turning * t))


def stroke(length: int, angle: float) -> npt.NDArray[np.float32]:
    """A straight line's kernel, length x length (odd), sum 1; angle in radians."""
    kernel = np.zeros((length, length), np.float32)
    middle, reach = length // 2, (length - 1) / 2
    dx, dy = round(reach * np.cos(angle)), round(reach * np.sin(angle))
    cv2.line(kernel, (middle - dx, middle - dy), (middle + dx, middle + dy), (1.0,))
    return kernel / kernel.sum()


def darken(images: Images, random: np.random.Generator) -> None:
    """Low light, in place: a gain, and the noise that a camera then has."""
    gain, gamma, noise = random.uniform(0.12, 0.7), random.uniform(0.8, 1.5), random.uniform(2, 14)
    for t in range(len(images)):
        dim = 255 * gain * (images[t] / 255.0) ** gamma
        images[t] = np.clip(dim + random.normal(0, noise, dim.shape), 0, 255).astype(np.uint8)


def coarsen(images: Images, random: np.random.Generator) -> None:
    """A small person brought up to the crop's size, in place, sometimes with the blocks of a weak JPEG."""
    height, width = images.shape[1:3]
    factor, quality = random.uniform(0.2, 0.7), int(random.integers(15, 70)) if random.random() < 0.5 else 0
    for t in range(len(images)):
        small = cv2.resize(images[t], None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        if quality:
            small = compressed(small, quality)
        images[t] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def shake(
    images: Images, points: Points, config: Corruption, random: np.random.Generator, size: tuple[int, int] | None = None
) -> tuple[Images, Points]:
    """Another crop of the same frames, as boxes tremble: images T x H x W x 3 and points T x K x 2, both new.

    size: (width, height) of the new crops, which the old ones then cover; None leaves it as it is.
    """
    height, width = images.shape[1:3]
    new = size or (width, height)
    angle = float(np.clip(random.normal(0, config.rotation), -30, 30))
    if config.turned and random.random() < config.turned:
        angle = float(random.uniform(-180, 180))
    zoom = max(new[0] / width, new[1] / height)
    matrix = np.array(
        cv2.getRotationMatrix2D(
            ((width - 1) / 2, (height - 1) / 2), angle, zoom * float(np.exp(random.normal(0, config.scale)))
        ),
        np.float64,
    )
    matrix[:, 2] += (np.array(new) - (width, height)) / 2 + random.normal(0, config.shift, 2) * new
    moved = np.empty((len(images), new[1], new[0], 3), np.uint8)
    mirror = config.mirrored and random.random() < config.mirrored
    border = cv2.BORDER_REFLECT_101 if mirror else cv2.BORDER_CONSTANT
    for image, target in zip(images, moved, strict=True):
        cv2.warpAffine(image, matrix, new, dst=target, flags=cv2.INTER_LINEAR, borderMode=border)
    return moved, (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def flip(images: Images, points: Points, pairs: Sequence[tuple[int, int]]) -> tuple[Images, Points]:
    """Mirrored: left and right joints change places."""
    order = np.arange(points.shape[1])
    for left, right in pairs:
        order[[left, right]] = right, left
    mirrored = points[:, order].copy()
    mirrored[..., 0] = images.shape[2] - 1 - mirrored[..., 0]
    return np.ascontiguousarray(images[:, :, ::-1]), mirrored


def restyle(images: Images, random: np.random.Generator) -> Images:
    """The window as another camera would show other people in other light; all frames alike, a new array.

    What is learnt on rendered people carries over to real ones further where their colours and sharpness vary beyond
    what is real (domain randomisation: Tobin et al., arXiv:1703.06907).
    """
    amount, sigma = random.uniform(-0.8, 1.2), random.uniform(0.6, 1.6)  # of sharpening; below 0 it softens
    noise, quality = random.uniform(0, 7), int(random.integers(25, 90)) if random.random() < 0.5 else 0
    coloured = recolour(images, random)
    made = np.empty_like(images)
    for image, target in zip(coloured, made, strict=True):
        sharp = image + amount * (image - cv2.GaussianBlur(image, (0, 0), sigma))
        target[...] = np.clip(sharp + noise * random.standard_normal(image.shape, dtype=np.float32), 0, 255)
        if quality:
            target[...] = compressed(target, quality)
    return made


def compressed(image: Images, quality: int) -> Images:
    """H x W x 3 after JPEG of that quality."""
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)  # type: ignore[return-value]


def recolour(images: Images, random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Saturation, mixed channels, white balance, contrast, brightness and gamma; T x H x W x 3 float32, 0 to 255."""
    colour = images.astype(np.float32)
    grey = colour.mean(axis=-1, keepdims=True)
    colour = grey + (colour - grey) * random.uniform(0.1, 1.7)
    if random.random() < 0.3:  # clothes in other colours
        mix = np.eye(3) + random.normal(0, 0.25, (3, 3))
        mix += (1 - mix.sum(axis=0)) / 3  # grey stays grey
        colour = colour @ mix.astype(np.float32)
    colour *= np.exp(random.normal(0, 0.1, 3)).astype(np.float32)
    middle = float(colour.mean())
    brightness = float(np.clip(middle * np.exp(random.normal(0, 0.25)), 20, 220))
    colour = (colour - middle) * float(np.exp(random.normal(0, 0.3))) + brightness
    return 255 * (np.clip(colour, 0, 255) / 255) ** float(np.exp(random.normal(0, 0.25)))


def corrupt(images: Images, texture: Images, config: Corruption, random: np.random.Generator) -> Images:
    """A window T x H x W x 3 after what is drawn by the config's probabilities; the given one stays as it is."""
    images = images.copy()
    if random.random() < config.occluded:
        occlude(images, spans(len(images), random), texture, random)
    if random.random() < config.coarse:
        coarsen(images, random)
    if random.random() < config.blurred:
        blur(images, spans(len(images), random), random)
    if random.random() < config.dark:
        darken(images, random)
    return images
