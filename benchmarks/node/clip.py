# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the camera shows: synthetic people, rendered beforehand and played there and back, so that nobody ever jumps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.node.records import NUMBERS
from sdtc_ros.errors import UsageError
from training.data.figures import SceneConfig, iterate_clip

SECONDS = 2.0  # rendered; played there and back
SEED = 11


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


def render(path: Path, size: tuple[int, int], people: int, hz: float, seed: int = SEED) -> None:
    """Render a clip of people who stay in the image to `path`.npy (images) and `path`.npz (boxes)."""
    width, height = size
    config = SceneConfig(
        width=width, height=height, frames=min(NUMBERS, max(2, round(SECONDS * hz))), fps=hz,
        people=(people, people), things=(0, 1), person_height=(height / 3, 0.8 * height),
    )  # fmt: skip
    for attempt in range(100):  # until everybody is in the image all the time: then every frame costs the same
        truths = list(iterate_clip(config, seed + attempt))
        if all(truth.present.all() and len(truth.present) == people for truth in truths):
            break
    else:
        raise UsageError(f"no scene was found in which {people} people stay in an image of {width}x{height}")
    np.save(path.with_suffix(".npy"), np.stack([truth.image for truth in truths]))
    np.savez(path.with_suffix(".npz"), boxes=np.stack([truth.boxes for truth in truths]).astype(np.float32))


def load(path: Path) -> PlayedClip:
    """What `render` wrote; the images stay on the disk until they are looked at."""
    images = np.load(path.with_suffix(".npy"), mmap_mode="r")
    with np.load(path.with_suffix(".npz")) as content:
        return PlayedClip(images, list(content["boxes"]))
