# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Poses drawn on their frame: limbs coloured by side, everything faded by its score, box and track id."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.colours import Colour, joint_colours, limb_colour
from sdtc_ros.pipeline.rotation import solid_copy
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses, Pose

Image = npt.NDArray[np.uint8]

_ID_COLOURS = np.array(
    [[80, 175, 76], [54, 67, 244], [243, 150, 33], [176, 39, 156], [0, 193, 255], [136, 150, 0], [99, 30, 233]]
)
_SHIFT = 4  # cv2 draws at 1 / 16 pixel


def draw_poses(
    result: FramePoses, skeleton: Skeleton, *, in_place: bool = False, boxes: bool = True, min_score: float = 0.05
) -> Image:
    """Draw all poses of a frame; returns a new image, or the frame's own where `in_place` is set.

    boxes: also draw boxes and ids; joints scored under min_score, and limbs with such an end, are left out. The frame
    given to a running pipeline must not be drawn on in place: later windows still look at it.
    """
    image = result.frame.image if in_place else solid_copy(result.frame.image)
    colours = joint_colours(skeleton)
    for pose in sorted(result.poses, key=lambda pose: pose.score):  # the surest on top
        thickness = line_thickness(pose, image.shape)
        if boxes:
            _draw_box(image, pose)
        _draw_limbs(image, pose, skeleton, colours, thickness, min_score)
        _draw_joints(image, pose, colours, thickness, min_score)
    return image


def line_thickness(pose: Pose, shape: tuple[int, ...]) -> int:
    """Pixels, growing with the person's height, and bounded by the image's."""
    return int(np.clip(round(float(pose.box[3]) / 90), 1, max(2, shape[0] // 150)))


def _draw_limbs(
    image: Image, pose: Pose, skeleton: Skeleton, colours: list[Colour], thickness: int, min_score: float
) -> None:
    points = _fixed(pose.keypoints[:, :2])
    scores = pose.keypoints[:, 2].tolist()
    for a, b in skeleton.limbs:
        score = min(scores[a], scores[b])
        if score >= min_score:
            colour = _faded(limb_colour(colours[a], colours[b]), score)
            cv2.line(image, points[a], points[b], colour, thickness, cv2.LINE_AA, _SHIFT)


def _draw_joints(image: Image, pose: Pose, colours: list[Colour], thickness: int, min_score: float) -> None:
    radius = (thickness + 1) << _SHIFT
    for point, score, colour in zip(_fixed(pose.keypoints[:, :2]), pose.keypoints[:, 2].tolist(), colours, strict=True):
        if score >= min_score:
            cv2.circle(image, point, radius, _faded((0, 0, 0), score), -1, cv2.LINE_AA, _SHIFT)
            cv2.circle(image, point, radius * 2 // 3, _faded(colour, score), -1, cv2.LINE_AA, _SHIFT)


def _draw_box(image: Image, pose: Pose) -> None:
    colour = tuple(_ID_COLOURS[pose.track_id % len(_ID_COLOURS)].tolist())
    left, top, width, height = (int(v) for v in _bounded(pose.box))
    cv2.rectangle(image, (left, top), (left + width, top + height), colour, 1)
    scale = float(np.clip(image.shape[0] / 1200, 0.35, 1.2))
    label = f"{pose.track_id}  {pose.score:.2f}"
    (text_width, text_height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    # inside the image even where the box is not
    x = int(np.clip(left, 0, max(0, image.shape[1] - text_width - 4)))
    y = int(np.clip(top, text_height + 5, image.shape[0] - 1))
    cv2.rectangle(image, (x, y - text_height - 5), (x + text_width + 4, y), colour, -1)
    cv2.putText(image, label, (x + 2, y - 3), cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 1, cv2.LINE_AA)


def _faded(colour: Colour, score: float) -> Colour:
    """Darker with a lower score; never quite black, so that it stays visible."""
    part = 0.35 + 0.65 * min(max(score, 0.0), 1.0) ** 0.5
    return int(colour[0] * part), int(colour[1] * part), int(colour[2] * part)


def _fixed(points: npt.NDArray[np.float32]) -> list[list[int]]:
    """K x 2 pixels as cv2's fixed point numbers."""
    fixed: list[list[int]] = np.rint(_bounded(points) * (1 << _SHIFT)).astype(int).tolist()
    return fixed


def _bounded(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Finite and within what cv2's integers can hold."""
    return np.clip(np.nan_to_num(np.asarray(values, np.float64)), -30000, 30000)
