# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Cameras that are mounted turned: detector and network see upright people, everyone else the camera's own image.

An angle is what turns the camera's image upright: 0, 90, 180 or 270 degrees clockwise. A frame is turned once, before
the pipeline; boxes from outside are turned with it, and poses are turned back after it, so that what is published
fits the camera's image and its camera_info. Coordinates are those of pixel centres: of W columns, x becomes W - 1 - x.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import UsageError
from sdtc_ros.types import Boxes, Frame, FramePoses, Pose

FloatArray = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]
Size = tuple[int, int]  # width, height

ANGLES = (0, 90, 180, 270)
_CODES = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_FLIPS = {(True, False): 0, (False, True): 1, (True, True): -1}  # (rows, columns) -> cv2.flip's code


@dataclass(frozen=True)
class Rotation:
    """Between a camera's image and the upright one: `angle` degrees clockwise. At 0, everything is handed through."""

    angle: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError for an angle that is none of the four."""
        if self.angle not in ANGLES:
            raise UsageError(f"rotate must be one of {', '.join(map(str, ANGLES))} (degrees), got {self.angle}")

    def upright_frame(self, frame: Frame) -> Frame:
        """The camera's frame with its image turned upright."""
        if not self.angle:
            return frame
        return replace(frame, image=np.asarray(cv2.rotate(frame.image, _CODES[self.angle]), np.uint8))

    def upright_boxes(self, boxes: Boxes, size: Size) -> Boxes:
        """Boxes in pixels of the camera's image, which is `size` (width, height), in those of the upright one."""
        return replace(boxes, xywh=turn_boxes(boxes.xywh, self.angle, size)) if self.angle else boxes

    def camera_poses(self, result: FramePoses) -> FramePoses:
        """Poses of an upright frame, in the camera's own image: a view of the upright one, see `solid_copy`."""
        if not self.angle:
            return result
        upright = result.frame.image
        frame = replace(result.frame, image=np.rot90(upright, self.angle // 90))
        poses = [self._camera_pose(pose, (upright.shape[1], upright.shape[0])) for pose in result.poses]
        return replace(result, frame=frame, poses=poses)

    def _camera_pose(self, pose: Pose, size: Size) -> Pose:
        back = 360 - self.angle
        points = turn_points(pose.keypoints[:, :2], back, size)
        return replace(
            pose,
            box=turn_boxes(pose.box, back, size),
            keypoints=np.concatenate([points, pose.keypoints[:, 2:]], axis=1),
            covariance=turn_covariance(pose.covariance, back),
        )


def solid_copy(image: Image) -> Image:
    """A contiguous copy of an H x W x 3 uint8 image; of a turned view, several times as fast as NumPy's own."""
    straight = image[:: -1 if image.strides[0] < 0 else 1, :: -1 if image.strides[1] < 0 else 1]
    swapped = straight.strides[0] < straight.strides[1]
    turn = (image.strides[0] < 0, image.strides[1] < 0)
    if not (swapped or any(turn)):
        return image.copy()
    copy = np.ascontiguousarray(np.swapaxes(straight, 0, 1) if swapped else straight)
    copy = np.asarray(cv2.transpose(copy), np.uint8) if swapped else copy
    return np.asarray(cv2.flip(copy, _FLIPS[turn]), np.uint8) if any(turn) else copy


def turn_points(points: FloatArray, angle: int, size: Size) -> FloatArray:
    """Points (... x 2, pixels) of an image of `size` (width, height), after it was turned clockwise by `angle`."""
    x, y = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    turned = _turned(x, y, angle % 360, size)
    return np.stack(turned, axis=-1).astype(np.float32)


def turn_boxes(xywh: FloatArray, angle: int, size: Size) -> FloatArray:
    """Boxes (... x 4: left, top, width, height) of an image of `size`, after it was turned clockwise by `angle`."""
    left, top, width, height = np.moveaxis(np.asarray(xywh, np.float64), -1, 0)
    one, other = _turned(left, top, angle % 360, size), _turned(left + width, top + height, angle % 360, size)
    sides = (height, width) if angle % 180 else (width, height)
    near = np.minimum(one, other)
    return np.stack([*near, *sides], axis=-1).astype(np.float32)


def turn_covariance(covariance: FloatArray, angle: int) -> FloatArray:
    """Covariances (... x 3: xx, xy, yy) after a turn by `angle`: a quarter turn swaps the axes and flips one."""
    if angle % 180 == 0:
        return covariance
    xx, xy, yy = np.moveaxis(np.asarray(covariance, np.float32), -1, 0)
    return np.stack([yy, -xy, xx], axis=-1)


def _turned(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], angle: int, size: Size
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    right, bottom = size[0] - 1, size[1] - 1
    return {0: (x, y), 90: (bottom - y, x), 180: (right - x, bottom - y), 270: (y, right - x)}[angle]
