# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The clips that all contenders play: frames, boxes, and where it is known, the truth.

Frames and boxes are written once, uncompressed, so that no contender's decoder gives it another picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.beside.worker import JOINTS
from sdtc_ros.crops import crop_boxes
from sdtc_ros.demo.clip import demo_clip
from sdtc_ros.detection.person import PersonDetector
from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.posetrack import read_sequence
from sdtc_ros.io.boxes_file import person_box
from sdtc_ros.io.sources import open_source
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.tracking.tracker import Tracker

Array = npt.NDArray[np.float64]
ASPECT = 0.75  # width to height of a crop
MIN_FRAMES = 10  # a person of a video is taken who was seen in so many frames
_COLUMNS = [POSETRACK.index(joint) for joint in JOINTS]


@dataclass(frozen=True)
class Truth:
    """points T x P x 13 x 2 (NaN where not annotated), visible T x P x 13, unit T x P: half a head size (pixels)."""

    points: Array
    visible: npt.NDArray[np.bool_]
    unit: Array


@dataclass(frozen=True)
class Clip:
    """images T x H x W x 3 uint8 BGR; boxes T x P x 4 xywh, NaN where a person is not there."""

    name: str
    images: npt.NDArray[np.uint8]
    boxes: Array
    truth: Truth | None = None

    def save(self, path: Path) -> None:
        """Write what worker.py reads."""
        crops = crop_boxes(self.boxes.reshape(-1, 4).astype(np.float32), ASPECT).reshape(self.boxes.shape)
        np.savez(path, images=self.images, boxes=self.boxes, crops=crops)


def synthetic(frames: int, alone: bool = False) -> Clip:
    """The middle of the demo's clip, with the exact truth; alone: cut around the one who is seen best."""
    clip = demo_clip()
    first = max(0, (len(clip.frames) - frames) // 2)
    clip = clip.part(first, first + frames)
    there, images, corner = np.arange(len(clip.track_ids)), np.stack(clip.frames), np.zeros(2)
    if alone:
        there = np.argsort(-clip.visible.sum(axis=(0, 2)))[:1]
        box = clip.boxes[:, there[0]]
        low, high = box[:, :2].min(axis=0), (box[:, :2] + box[:, 2:]).max(axis=0)
        corner = np.clip(low - 0.1 * (high - low), 0, None).astype(int)
        end = (high + 0.1 * (high - low)).astype(int)
        images = np.ascontiguousarray(images[:, corner[1] : end[1], corner[0] : end[0]])
    last = np.array(images.shape[2:0:-1]) - 1
    present, keypoints = clip.present[:, there], clip.keypoints[:, there] - corner
    inside = np.all((keypoints >= 0) & (keypoints <= last), axis=-1) & present[..., None]
    points = np.where(inside[..., None], keypoints, np.nan)[:, :, _COLUMNS]
    unit = 0.3 * np.linalg.norm(clip.head_boxes[:, there, 2:], axis=-1)
    boxes = np.where(present[..., None], clip.boxes[:, there] - np.r_[corner, 0, 0], np.nan)
    name = "synthetic, one person" if alone else f"synthetic, {len(there)} people"
    return Clip(name, images, boxes, Truth(points, clip.visible[:, there][:, :, _COLUMNS], unit))


def video(path: Path, frames: int) -> Clip:
    """The first frames of a video without truth; its people are those that the person detector and the tracker find."""
    detect, tracker = PersonDetector(threads=1), Tracker()
    images, found = [], []
    for _, frame in islice(open_source(path).frames, frames):
        tracked = tracker.update(detect(frame.image), frame.stamp)
        assert tracked.ids is not None
        images.append(frame.image)
        found.append(dict(zip(tracked.ids.tolist(), tracked.xywh, strict=True)))
    ids = [i for i in sorted({i for frame in found for i in frame}) if sum(i in f for f in found) >= MIN_FRAMES]
    if not ids:
        raise InputError(f"the person detector finds nobody for {MIN_FRAMES} frames in the first {frames} of {path}")
    boxes = np.full((len(images), len(ids), 4), np.nan)
    for number, frame_boxes in enumerate(found):
        for column, track in enumerate(ids):
            if track in frame_boxes:
                boxes[number, column] = frame_boxes[track]
    return Clip(f"{path.name}, {len(ids)} people", np.stack(images), boxes)


def photograph(annotations: Path, frames: int) -> Clip:
    """The first annotated image of a PoseTrack18 file that is there, shown for so many frames.

    The file's images are named from the data set's folder, two above the annotations'.
    """
    folder = annotations.resolve().parents[2]
    for frame in read_sequence(annotations, POSETRACK).frames:
        image = cv2.imread(str(folder / frame.name)) if (folder / frame.name).is_file() else None
        people = [(person, person_box(person)) for person in frame.people if person.head_box is not None]
        if image is not None and people:
            break
    else:
        raise InputError(f"no annotated image of {annotations} lies under {folder}")
    boxes = np.array([box for _, box in people])
    points = np.stack([np.where(p.annotated[:, None], p.keypoints[:, :2], np.nan)[_COLUMNS] for p, _ in people])
    unit = np.array([0.3 * np.linalg.norm(p.head_box[2:]) for p, _ in people if p.head_box is not None])
    truth = Truth(*(np.stack([array] * frames) for array in (points, ~np.isnan(points[..., 0]), unit)))
    return Clip(
        f"{annotations.stem}, a photograph of {len(people)} people", np.stack([image] * frames),
        np.stack([boxes] * frames), truth,
    )  # fmt: skip
