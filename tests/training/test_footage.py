# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Footage: windows of whoever is tracked in the user's own videos, with the joints that the model is sure of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from one_step import train_one_step

from sdtc_ros.demo.clip import demo_clip
from sdtc_ros.errors import InputError
from sdtc_ros.types import Pose
from training.data.footage import Footage, FootageConfig, Seen, cut, packed, spread, tracked_windows
from training.models.movenet import MoveNetConfig
from training.models.sdtc_movenet_config import SDTCMoveNetConfig
from training.movenet_module import MoveNetTraining
from training.synthetic.shards import frames_of, read_shard

SIZE = (64, 128)
NETWORK = SDTCMoveNetConfig(
    backbone=MoveNetConfig(width=0.25, image_size=SIZE[::-1], adapters=8), channels=16, head_width=8, trajectory=16,
    freeze_backbone=False,
)  # fmt: skip


def person(track: int, place: float, score: float = 0.9) -> Pose:
    """Someone 20 x 40 pixels whose joints all lie at (place, 20)."""
    keypoints = np.full((15, 3), (place, 20, score), np.float32)
    box = np.array([place - 10, 0, 20, 40], np.float32)
    return Pose(track, box, 1.0, keypoints, np.ones((15, 3), np.float32), score)


def test_a_window_is_whoever_is_tracked_all_along_and_seen() -> None:
    frames = [[person(1, 30 + t), person(2, 60, 0.1), *([person(3, 90)] if t != 4 else [])] for t in range(7)]
    windows = tracked_windows(frames, 2, 0.5)
    assert [window.frame for window in windows] == [2, 3, 4]  # person 2 is not seen, person 3 is lost in between
    np.testing.assert_array_equal(windows[1].joints[:, 0, 0], [31, 32, 33, 34, 35])
    assert [window.frame for window in spread(windows, 2)] == [2, 4]
    assert spread(windows, 5) == windows


def test_crops_are_of_the_windows_frames_and_joints_lie_in_them(tmp_path: Path) -> None:
    for number in range(7):
        image = np.full((60, 120, 3), 10 * number, np.uint8)
        cv2.circle(image, (30 + 2 * number, 20), 3, (255, 255, 255), -1)
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), image)
    joints = np.stack([np.full((15, 3), (30 + 2 * t, 20, 0.9), np.float32) for t in range(1, 6)])
    joints[:, 0, 2] = 0.2
    ((window, crops),) = cut(str(tmp_path), [Seen(3, np.array([20, 0, 30, 40], np.float32), joints)], 2, SIZE)
    made = packed(window, crops, SIZE, 0.5)
    assert len(made.codes) == 5 and made.joints.shape == (5, 15, 2)
    assert made.visibility[:, 0].max() == 0 and made.visibility[:, 1:].min() == 2
    for t, (crop, (x, y)) in enumerate(zip(crops, made.joints[:, 1].round().astype(int), strict=True), start=1):
        assert crop[y, x].min() > 200  # the joint's dot
        assert crop[64, 3].max() == 10 * t  # the frame's grey


@pytest.mark.usefixtures("in_torch")
@pytest.mark.slow
def test_a_module_adapts_to_a_folder_of_images(tmp_path: Path) -> None:
    clip = tmp_path / "clip"
    clip.mkdir()
    for number, image in enumerate(demo_clip(14).frames):
        cv2.imwrite(str(clip / f"{number:03d}.png"), image)
    config = FootageConfig(videos=[str(clip)], windows=12, size=SIZE, batch=4, folder=str(tmp_path / "footage"))
    module = MoveNetTraining(NETWORK, stage="trunk")

    def fit(config: FootageConfig) -> Footage:
        data = Footage(config)
        train_one_step(module, data, tmp_path, validation_batches=0)
        return data

    data = fit(config)
    assert 0 < len(data.train_set) < 12  # type: ignore[arg-type]
    shards = sorted((tmp_path / "footage").rglob("windows-*.npz"))
    shard = read_shard(shards[0], ("jpeg", "offsets", "joints", "visibility"))
    assert frames_of(shard, 0).shape == (5, SIZE[1], SIZE[0], 3)
    assert (shard["visibility"] == 2).mean() > 0.5
    with pytest.raises(InputError, match="name at least one video"):
        fit(replace(config, videos=[]))
    with pytest.raises(InputError, match="does not exist"):
        fit(replace(config, videos=[str(clip), str(tmp_path / "none.mp4")]))
    with pytest.raises(InputError, match="a step takes 64"):
        fit(replace(config, batch=64))
