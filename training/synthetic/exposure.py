# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A frame as a camera takes it: a scene at one view, supersampled, smeared where it moves during the exposure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from sdtc_ros.skeleton import POSETRACK
from training.synthetic.camera import View
from training.synthetic.scene import Drawing, Scene, backdrop_of, render

MOST_SUBFRAMES = 7  # of a smeared frame; each is shifted by a part of a pixel, which also smooths edges
_STEP = 2.5  # pixels that things move between two sub-frames
# How far, in metres, a joint may lie under the body's own surface and still count as seen.
_DEPTH_OF_JOINT = {
    "nose": 0.05, "head_bottom": 0.12, "head_top": 0.16, "shoulder": 0.13, "elbow": 0.08, "wrist": 0.065, "hip": 0.18,
    "knee": 0.10, "ankle": 0.085,
}  # fmt: skip
TOLERANCE = np.array([_DEPTH_OF_JOINT[name.removeprefix("left_").removeprefix("right_")] for name in POSETRACK.joints])


@dataclass(frozen=True)
class Moment:
    """One frame's time: the scene's instants at the exposure's begin, middle and end (all the same if still)."""

    begin: int
    middle: int
    end: int

    @property
    def smeared(self) -> bool:
        """Whether the exposure is long enough to render it in parts."""
        return self.begin != self.end


def expose(scene: Scene, moment: Moment, views: Sequence[View], supersample: int) -> tuple[np.ndarray, Drawing, int]:
    """A frame's light (H, W, 3) float32 linear RGB, the drawing of its middle, and how much finer that drawing is.

    views: the camera at the exposure's begin, middle and end.
    """
    numbers = range(len(scene.actors))
    middle = [scene.vertices(n, moment.middle) for n in numbers]
    size = (views[1].width, views[1].height)
    ends = [(scene.vertices(n, moment.begin), scene.vertices(n, moment.end)) for n in numbers if moment.smeared]
    moved = max((_moved(begin, end, views) for begin, end in ends), default=0.0)
    if moved < 1:
        drawing = render(
            scene, middle, views[1].finer(supersample), moment.middle, supersample, shared=4 if supersample > 1 else 1
        )
        if supersample == 1:
            return drawing.image, drawing, 1
        return cv2.resize(drawing.image, size, interpolation=cv2.INTER_AREA), drawing, supersample
    parts = int(np.clip(round(moved / _STEP), 1, MOST_SUBFRAMES // 2)) * 2 + 1
    still = views[0] is views[2]
    behind = backdrop_of(scene, middle, views[1], 2) if still else None
    total = np.zeros((size[1], size[0], 3), np.float32)
    for part in sorted(range(parts), key=lambda part: part != parts // 2):  # the middle first: its shadows serve all
        share = part / (parts - 1)
        shapes = middle if part == parts // 2 else [begin + np.float32(share) * (end - begin) for begin, end in ends]
        angle = 2 * np.pi * part / parts
        view = _between(views, share).finer(1, (0.3 * np.cos(angle), 0.3 * np.sin(angle)))
        drawing = render(scene, shapes, view, moment.middle, 2, behind, shared=2)
        total += drawing.image
        if part == parts // 2:
            centre = drawing
    return total / parts, centre, 1


def _moved(begin: np.ndarray, end: np.ndarray, views: Sequence[View]) -> float:
    """Pixels that a shape moves during the exposure: its fastest vertex of some."""
    some = slice(0, len(begin), 50)
    return float(np.linalg.norm(views[0].to_pixels(begin[some]) - views[2].to_pixels(end[some]), axis=1).max())


def _between(views: Sequence[View], share: float) -> View:
    """The camera within the exposure: of a short time, so that a straight line between rotations is near enough."""
    begin, middle, end = views
    if begin is end:
        return middle
    first, last, part = (begin, middle, 2 * share) if share < 0.5 else (middle, end, 2 * share - 1)
    rotation = first.rotation + np.float32(part) * (last.rotation - first.rotation)
    left, _, right = np.linalg.svd(rotation.astype(float))
    translation = first.translation + np.float32(part) * (last.translation - first.translation)
    return View(
        (left @ right).astype(np.float32), translation.astype(np.float32), middle.focal, middle.cx, middle.cy,
        middle.width, middle.height,
    )  # fmt: skip


def joint_visibility(
    drawing: Drawing, actor: int, pixels: np.ndarray, depth: np.ndarray, factor: int
) -> np.ndarray:  # fmt: skip
    """What a depth buffer tells of an actor's joints: (15,) uint8, 0 outside the picture, 1 occluded, 2 visible.

    pixels: (15, 2) in the unsampled picture; depth: (15,) metres along the view's axis; factor: the drawing's.
    """
    height, width = drawing.owner.shape
    place = np.rint(pixels * factor + (factor - 1) / 2).astype(int)
    inside = (depth > 0) & (place >= 0).all(axis=1) & (place[:, 0] < width) & (place[:, 1] < height)
    visibility = np.zeros(len(pixels), np.uint8)
    column, row = place[inside].T
    surface = 1 / np.maximum(drawing.inverse_depth[row, column], 1e-6)
    owner = drawing.owner[row, column]
    tolerance = np.where(owner == actor, TOLERANCE[inside], 0.0)
    visibility[inside] = np.where((owner < 0) | (surface > depth[inside] - tolerance), 2, 1)
    return visibility
