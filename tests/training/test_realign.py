# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What was seen in another crop, moved to where the keyframe's crop has it."""

from __future__ import annotations

import numpy as np
import torch

from sdtc_ros.crops import crop_moves, to_crop, to_image
from training.models.realign import realigned_joints, realigned_tokens

SIZE = (64, 128)  # a crop's (width, height)
GRID = (8, 4)


def moves(*rows: list[float]) -> torch.Tensor:
    """One window's."""
    return torch.tensor([rows])


def test_joints_lie_where_the_image_has_them() -> None:
    random = np.random.default_rng(0)
    crops = np.array([[[10, 20, 90, 180], [30, 5, 60, 120]]], np.float32)
    points = random.uniform(0, 64, (2, 7, 2)).astype(np.float32)  # crop pixels, by frame
    cell = (63 / 15, 127 / 31)
    joints = torch.from_numpy(np.concatenate([points / np.float32(cell), np.ones((2, 7, 1), np.float32)], axis=2))[None]
    moved = realigned_joints(joints, torch.from_numpy(crop_moves(crops, crops[:, 1], SIZE)), cell)
    expected = to_crop(to_image(points, crops[0], SIZE), np.repeat(crops[0, 1:], 2, axis=0), SIZE)
    np.testing.assert_allclose(moved[0, ..., :2].numpy() * cell, expected, atol=1e-3)
    assert (moved[..., 2] == 1).all()


def test_tokens_that_stay_are_the_same_and_a_whole_cell_is_a_shift() -> None:
    tokens = torch.randn(1, 3, 32, 6, generator=torch.Generator().manual_seed(0))
    found = realigned_tokens(tokens, moves([1, 1, 0, 0], [1, 1, 16, 0], [1, 1, 0, -16]), GRID, SIZE[::-1])
    maps, was = found.unflatten(2, GRID)[0], tokens.unflatten(2, GRID)[0]
    torch.testing.assert_close(maps[0], was[0])
    torch.testing.assert_close(maps[1][:, 1:], was[1][:, :-1])
    torch.testing.assert_close(maps[1][:, 0], was[1][:, 0])  # what lies beyond is the border's
    torch.testing.assert_close(maps[2][:-1], was[2][1:])


def test_half_a_cell_is_a_mean_and_a_smaller_crop_is_magnified() -> None:
    down, across = torch.meshgrid(torch.arange(8.0), torch.arange(4.0), indexing="ij")
    tokens = torch.stack([down, across], dim=-1).view(1, 1, 32, 2)
    half = realigned_tokens(tokens, moves([1, 1, 8, 8]), GRID, SIZE[::-1]).view(8, 4, 2)
    torch.testing.assert_close(half[1:, 1:], torch.stack([down, across], dim=-1)[1:, 1:] - 0.5)
    double = realigned_tokens(tokens, moves([2, 2, 0, 0]), GRID, SIZE[::-1]).view(8, 4, 2)
    # pixel p of the keyframe's crop is pixel p / 2 of the frame's; cell centres lie at 16 i + 7.5
    torch.testing.assert_close(double[3, 2], torch.tensor([((55.5 / 2) - 7.5) / 16, ((39.5 / 2) - 7.5) / 16]))
