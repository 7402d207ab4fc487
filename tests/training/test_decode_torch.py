# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The decoder of the exported graph against the NumPy definition."""

import numpy as np
import torch

from training.decode import decode_heatmaps, encode_heatmaps
from training.models.decode import Decode


def compare(heatmaps):
    expected = decode_heatmaps(heatmaps, (192, 256))
    got = Decode((64, 48), (256, 192))(torch.from_numpy(heatmaps))
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5, atol=2e-3)


def test_clean_gaussians_everywhere_edges_included():
    points = np.random.default_rng(0).uniform((0, 0), (191, 255), (40, 15, 2)).astype(np.float32)
    compare(encode_heatmaps(points, (192, 256), (48, 64)))


def test_noisy_and_doubled_peaks():
    random = np.random.default_rng(1)
    points = random.uniform((0, 0), (191, 255), (2, 40, 15, 2)).astype(np.float32)
    one, other = (encode_heatmaps(p, (192, 256), (48, 64)) for p in points)
    noise = random.normal(0, 0.02, one.shape).astype(np.float32)
    compare(one + 0.6 * other + noise)


def test_silent_heatmaps_do_not_break_it():
    for value in (0.0, -0.3):
        heatmaps = np.full((1, 15, 64, 48), value, np.float32)
        keypoints, covariance = Decode((64, 48), (256, 192))(torch.from_numpy(heatmaps))
        assert torch.isfinite(keypoints).all()
        assert torch.isfinite(covariance).all()
        assert (keypoints[..., 2] == 0).all()
