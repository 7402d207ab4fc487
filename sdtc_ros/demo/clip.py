# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A clip with its truth: how it is kept in one file, and its annotation as a data set would have it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame
from sdtc_ros.skeleton import POSETRACK

BLURRED = 0.05  # a joint counts as blurred when an exposure moves it by this share of the body box's height
MOST_OCCLUDED = 0.9  # people of whom more is occluded are not annotated, nor those with fewer than three joints inside
_PER_FRAME = ("keypoints", "visible", "blurred", "boxes", "head_boxes", "present")
DEMO_FILE = Path(__file__).with_name("people.npz")

Image = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Clip:
    """T frames of P people; coordinates are image pixels.

    frames: T images H x W x 3 uint8 BGR. keypoints T x P x 15 x 2, exact also where occluded or outside. visible T x P
    x 15: inside the image and covered by nothing. blurred T x P x 15: pixels that the joint moves in the exposure.
    boxes T x P x 4 xywh: the whole body, occluded parts too, not clipped. head_boxes T x P x 4. present T x P: the box
    meets the image. track_ids P int64. fps: frames a second.
    """

    frames: list[Image]
    keypoints: FloatArray
    visible: BoolArray
    blurred: FloatArray
    boxes: FloatArray
    head_boxes: FloatArray
    present: BoolArray
    track_ids: npt.NDArray[np.int64]
    fps: float

    def part(self, start: int, stop: int) -> Clip:
        """Frames `start` to `stop` (excluded)."""
        frames = slice(start, stop)
        return Clip(
            self.frames[frames], self.keypoints[frames], self.visible[frames], self.blurred[frames],
            self.boxes[frames], self.head_boxes[frames], self.present[frames], self.track_ids, self.fps,
        )  # fmt: skip


def demo_clip(frames: int | None = None) -> Clip:
    """The clip that ships, or its first `frames`; raises InputError where its file is damaged."""
    return read_clip(DEMO_FILE, frames)


def read_clip(path: Path, frames: int | None = None) -> Clip:
    """A clip that `write_clip` wrote, or its first `frames`; raises InputError where it cannot be read."""
    try:
        with np.load(path) as stored:
            arrays = dict(stored)
        count = len(arrays["offsets"]) - 1
        stop = count if frames is None else min(frames, count)
        images = []
        for start, end in zip(arrays["offsets"][:stop], arrays["offsets"][1 : stop + 1], strict=True):
            image = cv2.imdecode(arrays["jpeg"][start:end], cv2.IMREAD_COLOR)
            if image is None:
                raise ValueError("an image cannot be decoded")
            images.append(np.asarray(image, np.uint8))
        per_frame = {name: arrays[name][:stop] for name in _PER_FRAME}
        return Clip(images, **per_frame, track_ids=arrays["track_ids"], fps=float(arrays["fps"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise InputError(f"{path} is not a readable demo clip: {error}; reinstall the package") from error


def write_clip(path: Path, clip: Clip, quality: int) -> None:
    """The clip as one .npz file, its frames as JPEG of `quality`."""
    coded = []
    for frame in clip.frames:
        done, code = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert done
        coded.append(code.reshape(-1))
    np.savez_compressed(
        path, jpeg=np.concatenate(coded), offsets=np.cumsum([0, *(len(code) for code in coded)]),
        keypoints=clip.keypoints, visible=clip.visible, blurred=clip.blurred, boxes=clip.boxes,
        head_boxes=clip.head_boxes, present=clip.present, track_ids=clip.track_ids, fps=clip.fps,
    )  # fmt: skip


def clip_sequence(clip: Clip, name: str, folder: str) -> Sequence:
    """The clip's annotation (see `annotate`); its frames are FOLDER/000000.jpg, ..."""
    frames = []
    for number, image in enumerate(clip.frames):
        size = image.shape[1], image.shape[0]
        people = [
            annotate(
                clip.keypoints[number, person], clip.visible[number, person], clip.blurred[number, person],
                clip.boxes[number, person], clip.head_boxes[number, person], int(track_id), size,
            )
            for person, track_id in enumerate(clip.track_ids)
            if clip.present[number, person]
        ]  # fmt: skip
        found = [person for person in people if person is not None]
        frames.append(SequenceFrame(f"{folder}/{number:06d}.jpg", number, True, found))
    return Sequence(name, frames)


def annotate(
    points: FloatArray, visible: BoolArray, blurred: FloatArray, box: FloatArray, head_box: FloatArray, track_id: int,
    size: tuple[int, int],
) -> Person | None:  # fmt: skip
    """One person's annotation, or None for whom annotators would leave out.

    Joints inside the image are annotated, those that something covers as not visible; joints outside are not. People
    with fewer than three joints inside, or with more than nine in ten of these occluded, are left out. Flags tell which
    joints are "occluded" and "blurred". points (15, 2), boxes (4,) xywh and blurred (15,) are pixels.
    """
    inside = np.all((points >= 0) & (points <= (size[0] - 1, size[1] - 1)), axis=1)
    occluded = inside & ~visible
    if inside.sum() < 3 or occluded.sum() > MOST_OCCLUDED * inside.sum():
        return None
    keypoints = np.zeros((len(POSETRACK), 3))
    keypoints[inside, :2] = points[inside].astype(np.float64).round(3)
    keypoints[:, 2] = inside & visible
    flags = {"occluded": occluded, "blurred": blurred > BLURRED * box[3]}
    whole, head = box.astype(np.float64).round(3), head_box.astype(np.float64).round(3)
    return Person(keypoints, track_id, whole, head, flags=flags)
