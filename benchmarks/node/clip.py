# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the camera shows: synthetic people, written beforehand and played there and back, so that nobody ever jumps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.node.records import NUMBERS
from sdtc_ros.demo.clip import demo_clip

SECONDS = 2.0  # of the demo's clip; played there and back
_ASIDE = 0.1  # of a box's size: how far a second box of somebody lies from the first


@dataclass(frozen=True)
class PlayedClip:
    """T frames (T x H x W x 3 uint8 BGR) and the boxes of their people (for each frame N x 4 xywh, image pixels)."""

    images: npt.NDArray[np.uint8]
    boxes: list[npt.NDArray[np.float32]]

    def number(self, count: int) -> int:
        """Which frame is the `count`-th to be sent."""
        last = len(self.images) - 1
        place = count % (2 * last) if last else 0
        return place if place <= last else 2 * last - place


def render(path: Path, size: tuple[int, int], people: int, hz: float) -> None:
    """Write the middle of the demo's clip at a size (pixels) to `path`.npy (images) and `path`.npz (boxes).

    Every frame has `people` boxes, so that every frame costs the same: of whom the picture holds, and where these are
    fewer, of the same people again, a little aside.
    """
    clip = demo_clip()
    count = min(NUMBERS, max(2, round(SECONDS * hz)), len(clip.frames))
    clip = clip.part((len(clip.frames) - count) // 2, (len(clip.frames) + count) // 2)
    scale = np.array(size) / np.array(clip.frames[0].shape[1::-1])
    np.save(path.with_suffix(".npy"), np.stack([cv2.resize(frame, size) for frame in clip.frames]))
    boxes = np.stack([_boxes(own[here], people) for own, here in zip(clip.boxes, clip.present, strict=True)])
    np.savez(path.with_suffix(".npz"), boxes=(boxes * np.tile(scale, 2)).astype(np.float32))


def _boxes(present: npt.NDArray[np.float32], people: int) -> npt.NDArray[np.float32]:
    """`people` boxes (people, 4) xywh of those who are there (N, 4)."""
    again, who = np.divmod(np.arange(people), len(present))
    boxes = present[who].copy()
    boxes[:, :2] += _ASIDE * again[:, None] * boxes[:, 2:]
    return boxes


def load(path: Path) -> PlayedClip:
    """What `render` wrote; the images stay on the disk until they are looked at."""
    images = np.load(path.with_suffix(".npy"), mmap_mode="r")
    with np.load(path.with_suffix(".npz")) as content:
        return PlayedClip(images, list(content["boxes"]))
