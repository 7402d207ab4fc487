"""One training sample: the window of crops around one person's keyframe, with all joints in crop pixels."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import numpy.typing as npt

from sdtc_ros.skeleton import POSETRACK, Skeleton
from sdtc_ros.synthetic import Clip
from training.data.augment import Augmentation, sample_transform


class Window(TypedDict):
    """T = 2 * delta + 1 frames of one person.

    crops T x H x W x 3 uint8 BGR; points T x K x 2 float32 (crop pixels); weight T x K float32 (0: not labelled or not
    in the crop); hidden and blurred K bool (keyframe); head_size float32, poseval's head size in crop pixels.
    """

    crops: npt.NDArray[np.uint8]
    points: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    hidden: npt.NDArray[np.bool_]
    blurred: npt.NDArray[np.bool_]
    head_size: np.float32


HEAD_SIZE = 0.6  # poseval: head size is 0.6 of the head box's diagonal
BLUR_SHARE = 0.05  # a joint counts as blurred when it moves by this share of the body's height in an exposure


def person_window(
    clip: Clip,
    frame: int,
    person: int,
    delta: int,
    size: tuple[int, int],
    augmentation: Augmentation,
    random: np.random.Generator,
    skeleton: Skeleton = POSETRACK,
) -> Window:
    """Cut the window of `person` around `frame` with the keyframe's box, clamped at the clip's ends."""
    frames = np.clip(np.arange(frame - delta, frame + delta + 1), 0, len(clip.frames) - 1)
    height, width = clip.frames[0].shape[:2]
    joints = clip.keypoints[frames, person]  # T x K x 2
    inside = np.all((joints >= 0) & (joints <= (width - 1, height - 1)), axis=-1)
    box = clip.boxes[frame, person]
    transform = sample_transform(box, joints[delta], inside[delta], size, skeleton, augmentation, random)
    points = transform.points(joints, skeleton)
    order = list(skeleton.flip_order) if transform.flipped else list(range(len(skeleton)))
    in_crop = np.all((points >= 0) & (points <= (size[0] - 1, size[1] - 1)), axis=-1)
    head = clip.head_boxes[frame, person, 2:]
    pixels = np.sqrt(abs(np.linalg.det(transform.to_image[:, :2])))  # image pixels a crop pixel
    return Window(
        crops=np.stack([transform.crop(clip.frames[i]) for i in frames]),
        points=points,
        weight=(inside[:, order] & in_crop).astype(np.float32),
        hidden=~clip.visible[frame, person][order],
        blurred=clip.blurred[frame, person][order] > BLUR_SHARE * box[3],
        head_size=np.float32(HEAD_SIZE * np.hypot(*head) / pixels),
    )
