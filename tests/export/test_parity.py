# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The parity gate: what it measures, what it refuses, and that it leaves torch as it was."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from export.parity import Parity, compare, measure, sample_windows
from sdtc_ros.errors import BundleError
from training.models.baselines import SingleFrame, SingleFrameConfig
from training.models.vit import ViTConfig

GOOD = Parity(
    windows=10, joints=150, tokens=0.0, heatmaps=1e-5, keypoints_px=0.01, scores=1e-5, covariance=1e-3, undecided=15
)


def answers(random, windows=4, joints=3):
    """[keypoints, covariance, heatmaps] as a network might give them: one clear maximum a heatmap."""
    heatmaps = random.uniform(0, 0.1, (windows, joints, 16, 12)).astype(np.float32)
    heatmaps[:, :, 5, 6] = 0.9
    keypoints = random.uniform(0, 48, (windows, joints, 3)).astype(np.float32)
    return [keypoints, random.uniform(1, 9, (windows, joints, 3)).astype(np.float32), heatmaps]


@pytest.mark.parametrize(
    "change",
    [
        {"keypoints_px": 0.051}, {"heatmaps": 1.1e-4}, {"scores": 1.1e-4}, {"covariance": 0.011}, {"undecided": 16},
        {"keypoints_px": math.nan}, {"heatmaps": math.nan}, {"scores": math.nan}, {"covariance": math.nan},
        {"joints": 0, "undecided": 0},
    ],
)  # fmt: skip
def test_bounds(change):
    GOOD.check()
    with pytest.raises(BundleError, match="no bundle was written") as refusal:
        dataclasses.replace(GOOD, **change).check()
    assert "\n" not in str(refusal.value)


def test_what_is_compared():
    expected = answers(np.random.default_rng(0))
    got = [values.copy() for values in expected]
    same = compare(got, expected, tokens=0.5)
    assert same == Parity(4, 12, 0.5, 0.0, 0.0, 0.0, 0.0, 0)
    got[0][3, 0, 1] += 0.25
    got[0][2, 1, 2] -= 0.125
    got[1][1, 2, 1] += 2.0
    got[2][0, 0, 0, 0] += 0.5
    found = compare(got, expected, tokens=0.0)
    variance = expected[1][1, 2, 0] + expected[1][1, 2, 2]
    assert found.keypoints_px == pytest.approx(0.25, abs=1e-5)
    assert found.scores == pytest.approx(0.125, abs=1e-5)
    assert found.covariance == pytest.approx(2.0 / (variance + 1.0), abs=1e-5)
    assert found.heatmaps == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize(("array", "name"), [(0, "keypoints_px"), (1, "covariance"), (2, "heatmaps")])
def test_not_a_number_is_no_agreement(array, name):
    expected = answers(np.random.default_rng(0))
    for side in (0, 1):
        sides = [[values.copy() for values in expected] for _ in range(2)]
        sides[side][array][0, 0] = math.nan
        with pytest.raises(BundleError, match=name):
            compare(*sides, tokens=0.0).check()


def test_ties_are_counted_and_too_many_are_refused():
    expected = answers(np.random.default_rng(0), windows=10)
    expected[2][:3, 0, 12, 2] = 0.9 - 1e-5  # as good as the maximum
    expected[2][3:, 0, 12, 2] = 0.9 - 3e-5
    got = [values.copy() for values in expected]
    got[2] -= 1e-5
    got[0][:3, 0, :2] += 20.0  # the other peak was taken
    got[1][:3, 0] += 50.0
    few = compare(got, expected, tokens=0.0)
    assert (few.undecided, few.joints, few.keypoints_px, few.covariance) == (3, 30, 0.0, 0.0)
    few.check()
    got[2][4, 1] = expected[2][4, 1] = 0.0  # nothing at all is seen
    with pytest.raises(BundleError, match="4 of 30 joints"):
        compare(got, expected, tokens=0.0).check()
    got[0][3, 0, 0] += 20.0  # a maximum that is clear enough
    assert compare(got, expected, tokens=0.0).keypoints_px == pytest.approx(20.0, abs=1e-4)


def test_torch_is_left_as_it_was(tmp_path):
    seen = []

    class Failing(nn.Module):
        def forward(self, crops):
            seen.append(torch.get_float32_matmul_precision())
            raise RuntimeError("out of memory")

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(RuntimeError, match="out of memory"):
            measure(Failing(), Failing(), tmp_path, np.zeros((2, 5, 8, 8, 3), np.uint8))
        assert seen == ["highest"]
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_one_window_is_too_few(tmp_path):
    with pytest.raises(ValueError, match="2 windows"):
        measure(nn.Identity(), nn.Identity(), tmp_path, np.zeros((1, 5, 8, 8, 3), np.uint8))


def test_samples_are_crops_of_people():
    network = SingleFrame(SingleFrameConfig(backbone=ViTConfig(image_size=(64, 48), dim=32, depth=1, heads=2)))
    windows = sample_windows(network, 6)
    assert windows.shape == (6, 1, 64, 48, 3)
    assert windows.dtype == np.uint8
    np.testing.assert_array_equal(windows, sample_windows(network, 6))
    assert len(np.unique(windows.reshape(6, -1), axis=0)) == 6
    step = np.abs(np.diff(windows.astype(int), axis=3)).mean(axis=(1, 2, 3, 4))
    assert np.all(step < 30)  # from one pixel to the next; noise has 85
    assert np.all(windows.std(axis=(1, 2, 3, 4)) > 10)  # and yet something is there


def test_steep_heatmaps_may_differ_more_and_keypoints_not() -> None:
    steep = Parity(4, 60, tokens=1e-5, heatmaps=5e-3, keypoints_px=0.01, scores=4e-4, covariance=0.001, undecided=0)
    steep.check(steepness=100.0)
    assert steep.to_json(100.0)["allowed"]["heatmaps"] == pytest.approx(0.01)
    with pytest.raises(BundleError, match="heatmaps"):
        steep.check()
    with pytest.raises(BundleError, match="keypoints_px"):
        dataclasses.replace(steep, keypoints_px=0.06).check(steepness=100.0)
