# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The demo's clip as a PoseTrack18 folder."""

from __future__ import annotations

from pathlib import Path

import cv2

from sdtc_ros.demo.clip import Clip, clip_sequence
from sdtc_ros.ground_truth.posetrack_write import write_sequence


def write_demo_folder(folder: Path, clip: Clip, name: str, split: str = "val") -> None:
    """The clip's pictures (JPEG of quality 100) and annotations as the sequence `name`."""
    images = folder / "images" / split / name
    images.mkdir(parents=True)
    for number, frame in enumerate(clip.frames):
        cv2.imwrite(str(images / f"{number:06d}.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, 100])
    write_sequence(clip_sequence(clip, name, f"images/{split}/{name}"), folder / "annotations" / split / f"{name}.json")
