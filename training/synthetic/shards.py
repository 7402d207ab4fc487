# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Shards of training windows: the files that the renderer writes and a training reads. Reading needs no renderer.

A folder of windows holds `windows.json` (the settings) and `windows-00000.npz`, ... of up to SHARD windows each,
written whole one by one, so that what is there can be read while more is rendered. A shard's arrays, N windows of T
frames:

| array | shape, dtype | what |
|---|---|---|
| jpeg | (bytes,) uint8 | every frame's JPEG, one after another, window by window |
| offsets | (N * T + 1,) int64 | where each begins in `jpeg`; frame t of window n is number n * T + t |
| joints | (N, T, 15, 2) float32 | PoseTrack's joints, x and y in pixels of the crop (pixel centres at whole numbers) |
| visibility | (N, T, 15) uint8 | 0 outside the crop or the camera's picture, 1 occluded, 2 visible |
| blur | (N, T, 15) float32 | pixels that a joint moves during the exposure |
| boxes | (N, T, 4) float32 | x, y, w, h of the whole person, occluded parts too, pixels of the crop |
| joints_camera | (N, T, 15, 3) float32 | the same joints in the frame's camera, metres, x right, y down, z forward |
| interval | (N,) float32 | seconds between frames |
| tags | (N,) uint8 | bits: 1 occluder in front, 2 neighbours, 4 long exposure, 8 moving camera |

Shards of footage (training.data.footage) hold jpeg, offsets, joints and visibility alone.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np

from sdtc_ros.errors import InputError

SHARD = 64  # windows
ARRAYS = ("jpeg", "offsets", "joints", "visibility", "blur", "boxes", "joints_camera", "interval", "tags")
OCCLUDER, NEIGHBOURS, LONG_EXPOSURE, MOVING_CAMERA = 1, 2, 4, 8


def read_shard(path: Path, names: tuple[str, ...] = ARRAYS) -> dict[str, np.ndarray]:
    """Some arrays of a shard, by the names of the module's table; InputError for a file that is damaged or none."""
    try:
        with np.load(path) as stored:
            return {name: stored[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise InputError(f"{path} is not a shard of windows ({error}): remove it and make it again") from error


def frames_of(shard: dict[str, np.ndarray], window: int) -> np.ndarray:
    """The pictures of a shard's window, (T, H, W, 3) uint8 RGB."""
    count = shard["joints"].shape[1]
    offsets = shard["offsets"][window * count : (window + 1) * count + 1]
    frames = []
    for start, end in zip(offsets[:-1], offsets[1:], strict=True):
        frame = cv2.imdecode(shard["jpeg"][start:end], cv2.IMREAD_COLOR)
        if frame is None:
            raise InputError(f"window {window} of the shard has a damaged image")
        frames.append(frame)
    return np.stack(frames)[..., ::-1]
