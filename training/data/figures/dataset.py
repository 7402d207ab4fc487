# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Synthetic clips in PoseTrack18's layout: images/<split>/<name>/000000.jpg, annotations/<split>/<name>.json.

Joints inside the image are annotated with their visibility, also where something hides them; joints outside the image
are not (0, 0, 0). People with fewer than three joints inside the image, or with all but one of ten occluded, are left
out, as annotators do. Beside PoseTrack's keys an annotation carries "flags": which joints are occluded and blurred.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sdtc_ros.skeleton import POSETRACK
from training.data.figures.scene import Clip

SLOTS = (*POSETRACK.joints[:3], "left_ear", "right_ear", *POSETRACK.joints[3:])  # PoseTrack18's 17 names
_SLOT_OF = [SLOTS.index(name) for name in POSETRACK.joints]
BLURRED = 0.05  # a joint counts as blurred when an exposure moves it by this share of the body box's height
MOST_OCCLUDED = 0.9


def write_posetrack18(clips: Iterable[tuple[str, Clip]], folder: Path, split: str = "val", quality: int = 95) -> None:
    """Write every (name, clip); files that are there are overwritten."""
    for number, (name, clip) in enumerate(clips):
        images = folder / "images" / split / name
        images.mkdir(parents=True, exist_ok=True)
        for i, frame in enumerate(clip.frames):
            cv2.imwrite(str(images / f"{i:06d}.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
        annotations = folder / "annotations" / split / f"{name}.json"
        annotations.parent.mkdir(parents=True, exist_ok=True)
        content = posetrack18_truth(clip, f"images/{split}/{name}", first_id=10_000_000_000 + number * 10_000)
        annotations.write_text(json.dumps(content))


def posetrack18_truth(clip: Clip, path: str, first_id: int = 10_000_000_000) -> dict[str, Any]:
    """The annotation file's content; `path` is the folder of the images as the file names it."""
    height, width = clip.frames[0].shape[:2]
    count = len(clip.frames)
    images = [
        {
            "id": first_id + i, "frame_id": first_id + i, "file_name": f"{path}/{i:06d}.jpg", "is_labeled": True,
            "vid_id": path.rsplit("/", 1)[-1], "nframes": count, "width": width, "height": height,
        }
        for i in range(count)
    ]  # fmt: skip
    annotations = [
        _annotation(clip, i, person, first_id, (width, height))
        for i in range(count)
        for person in range(len(clip.track_ids))
        if _is_labelled(clip, i, person, (width, height))
    ]
    category = {"id": 1, "name": "person", "supercategory": "person", "keypoints": list(SLOTS), "skeleton": []}
    return {"images": images, "annotations": annotations, "categories": [category]}


def _inside(clip: Clip, frame: int, person: int, size: tuple[int, int]) -> np.ndarray:
    points = clip.keypoints[frame, person]
    return np.all((points >= 0) & (points <= (size[0] - 1, size[1] - 1)), axis=1)


def _is_labelled(clip: Clip, frame: int, person: int, size: tuple[int, int]) -> bool:
    inside = _inside(clip, frame, person, size)
    occluded = inside & ~clip.visible[frame, person]
    return bool(clip.present[frame, person] and inside.sum() >= 3 and occluded.sum() <= MOST_OCCLUDED * inside.sum())


def _annotation(clip: Clip, frame: int, person: int, first_id: int, size: tuple[int, int]) -> dict[str, Any]:
    inside, visible = _inside(clip, frame, person, size), clip.visible[frame, person]
    keypoints = np.zeros((len(SLOTS), 3))
    keypoints[_SLOT_OF, :2] = np.where(inside[:, None], clip.keypoints[frame, person], 0)
    keypoints[_SLOT_OF, 2] = inside & visible
    box = clip.boxes[frame, person]
    flags = {}
    for name, mask in (("occluded", inside & ~visible), ("blurred", clip.blurred[frame, person] > BLURRED * box[3])):
        slots = np.zeros(len(SLOTS), int)
        slots[_SLOT_OF] = mask
        flags[name] = slots.tolist()
    return {
        "id": (first_id + frame) * 100 + person, "image_id": first_id + frame, "category_id": 1,
        "track_id": int(clip.track_ids[person]), "keypoints": np.round(keypoints, 3).ravel().tolist(), "scores": [],
        "bbox": np.round(box, 3).tolist(), "bbox_head": np.round(clip.head_boxes[frame, person], 3).tolist(),
        "flags": flags,
    }  # fmt: skip
