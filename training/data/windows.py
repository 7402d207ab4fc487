# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""One training sample: the window of crops around one person's keyframe, with all joints in crop pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from sdtc_ros.demo.clip import Clip
from sdtc_ros.skeleton import POSETRACK, Skeleton
from training.data.augment import Augmentation, sample_transform


class Window(TypedDict):
    """T = 2 * delta + 1 frames of one person.

    crops T x H x W x 3 uint8 BGR; points T x K x 2 float32 (crop pixels); weight T x K float32 (0: not labelled or not
    in the crop); occluded and blurred K bool (keyframe); head_size float32, poseval's head size in crop pixels;
    to_image 2 x 3 float32, crop pixels -> image pixels (before a flip); sample int64, its number in a data set.
    """

    crops: npt.NDArray[np.uint8]
    points: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    occluded: npt.NDArray[np.bool_]
    blurred: npt.NDArray[np.bool_]
    head_size: np.float32
    to_image: npt.NDArray[np.float32]
    sample: np.int64


@dataclass(frozen=True)
class Subject:
    """One person over the T frames of a window, in image pixels: what a window is cut from.

    images: T, H x W x 3 uint8 BGR. joints T x K x 2 float32, labelled T x K bool: where they are known. Of the middle
    frame: box 4 float32 (xywh), occluded and blurred K bool, head_size.
    """

    images: Sequence[npt.NDArray[np.uint8]]
    joints: npt.NDArray[np.float32]
    labelled: npt.NDArray[np.bool_]
    box: npt.NDArray[np.float32]
    occluded: npt.NDArray[np.bool_]
    blurred: npt.NDArray[np.bool_]
    head_size: float


HEAD_SIZE = 0.6  # poseval: head size is 0.6 of the head box's diagonal
BLUR_SHARE = 0.05  # a joint counts as blurred when it moves by this share of the body's height in an exposure


def cut_window(
    subject: Subject,
    size: tuple[int, int],
    augmentation: Augmentation,
    random: np.random.Generator,
    skeleton: Skeleton = POSETRACK,
    sample: int = 0,
) -> Window:
    """Crop every frame with the middle frame's box and one transform; size is the crop's (width, height)."""
    last = np.array([(image.shape[1] - 1, image.shape[0] - 1) for image in subject.images])[:, None]
    joints = subject.joints
    labelled = subject.labelled & np.all((joints >= 0) & (joints <= last), axis=-1)
    middle = len(joints) // 2
    transform = sample_transform(subject.box, joints[middle], labelled[middle], size, skeleton, augmentation, random)
    points = transform.points(joints, skeleton)
    order = list(skeleton.flip_order) if transform.flipped else list(range(len(skeleton)))
    in_crop = np.all((points >= 0) & (points <= (size[0] - 1, size[1] - 1)), axis=-1)
    pixels = np.sqrt(abs(np.linalg.det(transform.to_image[:, :2])))  # image pixels a crop pixel
    return Window(
        crops=np.stack([transform.crop(image) for image in subject.images]),
        points=points,
        weight=(labelled[:, order] & in_crop).astype(np.float32),
        occluded=subject.occluded[order],
        blurred=subject.blurred[order],
        head_size=np.float32(subject.head_size / pixels),
        to_image=transform.to_image.astype(np.float32),
        sample=np.int64(sample),
    )


def person_window(
    clip: Clip,
    frame: int,
    person: int,
    delta: int,
    size: tuple[int, int],
    augmentation: Augmentation,
    random: np.random.Generator,
    skeleton: Skeleton = POSETRACK,
    sample: int = 0,
) -> Window:
    """Cut the window of a clip's `person` around `frame`, clamped at the clip's ends."""
    frames = np.clip(np.arange(frame - delta, frame + delta + 1), 0, len(clip.frames) - 1)
    box = clip.boxes[frame, person]
    subject = Subject(
        images=[clip.frames[i] for i in frames],
        joints=clip.keypoints[frames, person],
        labelled=np.ones((len(frames), len(skeleton)), bool),
        box=box,
        occluded=~clip.visible[frame, person],
        blurred=clip.blurred[frame, person] > BLUR_SHARE * box[3],
        head_size=HEAD_SIZE * float(np.hypot(*clip.head_boxes[frame, person, 2:])),
    )
    return cut_window(subject, size, augmentation, random, skeleton, sample)
