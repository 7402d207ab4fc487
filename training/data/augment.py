# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Augmentation, one affine a window, the same for all of its frames.

Two ways to draw scale and angle. "uniform" is how the papers' sentences read: scale in [0.65, 1.35], rotation in
[-45, 45] degrees. "normal" is what their code family does (DCPose, FAMI-Pose): scale clip(N(1, 0.35), 0.65, 1.35),
rotation clip(N(0, 45), -90, 90) with probability 0.6: half of its windows turn by less than 10 degrees, one in five by
more than 45. Flip 0.5, half body 0.3 where more than 8 joints are labelled, are that family's; the papers give none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.crops import ENLARGE, crop_boxes
from sdtc_ros.skeleton import Skeleton

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Augmentation:
    """Strengths; all zero is none. `shift` moves the box by a uniform share of its size (detectors are not exact).

    draw: "uniform" takes the scale from all of scale_range and the angle (degrees) from -rotation_limit to
    rotation_limit; "normal" takes both around the middle by their sigmas, clipped to the same bounds.
    """

    scale_sigma: float = 0.35
    scale_range: tuple[float, float] = (0.65, 1.35)
    rotation_sigma: float = 45.0
    rotation_limit: float = 90.0
    rotation_probability: float = 0.6
    flip_probability: float = 0.5
    half_body_probability: float = 0.3
    shift: float = 0.1
    draw: Literal["normal", "uniform"] = "normal"


NO_AUGMENTATION = Augmentation(0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class CropTransform:
    """Crop pixel -> image pixel as a 2 x 3 matrix, and whether the crop is mirrored afterwards."""

    to_image: npt.NDArray[np.float64]
    flipped: bool
    size: tuple[int, int]  # width, height of the crop

    def crop(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """H x W x 3 image -> height x width x 3 crop, black outside the image."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(image, self.to_image, self.size, flags=flags, borderMode=cv2.BORDER_CONSTANT)
        return np.ascontiguousarray(crop[:, ::-1]) if self.flipped else crop  # type: ignore[return-value]

    def points(self, points: FloatArray, skeleton: Skeleton) -> FloatArray:
        """Image pixels ... x K x 2 -> crop pixels; a mirrored crop swaps left and right joints."""
        inverse = cv2.invertAffineTransform(self.to_image)
        moved = points @ inverse[:, :2].T + inverse[:, 2]
        if self.flipped:
            moved[..., 0] = self.size[0] - 1 - moved[..., 0]
            moved = moved[..., skeleton.flip_order, :]
        return moved.astype(np.float32)


def half_body_box(points: FloatArray, labelled: npt.NDArray[np.bool_], skeleton: Skeleton, upper: bool) -> FloatArray:
    """A box (xywh) around the labelled joints of the upper or lower half; its crop is 1.5 times what they need."""
    lower_names = ("hip", "knee", "ankle")
    is_lower = np.array([name.endswith(lower_names) for name in skeleton.joints])
    chosen = points[labelled & (is_lower ^ upper)]
    low, high = chosen.min(axis=0), chosen.max(axis=0)
    size = np.maximum(high - low, 8.0) * (1.5 / ENLARGE)
    return np.concatenate([(low + high) / 2 - size / 2, size]).astype(np.float32)


def _scale_and_angle(a: Augmentation, random: np.random.Generator) -> tuple[float, float]:
    """Factor on the crop's size and rotation in degrees, drawn as `a.draw` says."""
    if a.draw == "uniform":
        scale, angle = random.uniform(*a.scale_range), random.uniform(-a.rotation_limit, a.rotation_limit)
    else:
        scale = np.clip(random.normal(1.0, a.scale_sigma), *a.scale_range)
        angle = np.clip(random.normal(0.0, a.rotation_sigma), -a.rotation_limit, a.rotation_limit)
    return float(scale), float(angle) if random.random() < a.rotation_probability else 0.0


def sample_transform(
    box: FloatArray,
    points: FloatArray,
    labelled: npt.NDArray[np.bool_],
    size: tuple[int, int],
    skeleton: Skeleton,
    augmentation: Augmentation,
    random: np.random.Generator,
) -> CropTransform:
    """Draw one window's transform. box xywh and points K x 2 of the keyframe in image pixels; size (width, height)."""
    a = augmentation
    if labelled.sum() > 8 and random.random() < a.half_body_probability:
        upper = random.random() < 0.5
        is_lower = np.array([name.endswith(("hip", "knee", "ankle")) for name in skeleton.joints])
        if (labelled & (is_lower ^ upper)).sum() > 2:
            box = half_body_box(points, labelled, skeleton, upper)
    x, y, w, h = crop_boxes(box[None], size[0] / size[1])[0].astype(float)
    scale, angle = _scale_and_angle(a, random)
    centre = np.array([x + w / 2, y + h / 2]) + random.uniform(-a.shift, a.shift, 2) * np.array([w, h])
    unit_x, unit_y = scale * w / (size[0] - 1), scale * h / (size[1] - 1)  # image pixels a crop pixel (UDP)
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    linear = np.array([[cos * unit_x, -sin * unit_y], [sin * unit_x, cos * unit_y]])
    middle = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])
    to_image = np.concatenate([linear, (centre - linear @ middle)[:, None]], axis=1)
    return CropTransform(to_image, bool(random.random() < a.flip_probability), size)
