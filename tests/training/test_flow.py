# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Optical flow as motion: its direction and scale on an image that moves, and that the network refuses kept tokens."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from sdtc_ros.errors import BundleError
from training.models.flow import FlowMotion, window_flow
from training.models.sdtc import SDTC


def moving_window(step: int) -> torch.Tensor:
    """Three frames of a texture that moves `step` pixels to the right and half of that down, from frame to frame."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    texture = cv2.GaussianBlur(noise, (0, 0), 2)
    return torch.from_numpy(np.stack([np.roll(texture, (t * step // 2, t * step), (0, 1)) for t in (-1, 0, 1)]))[None]


def test_flow_points_where_the_image_went():
    flow = window_flow(moving_window(4))[0, :, :, 20:-20, 20:-20] * 96
    for t, sign in enumerate((-1, 0, 1)):
        assert torch.allclose(flow[t, 0].median(), torch.tensor(4.0 * sign), atol=0.3)
        assert torch.allclose(flow[t, 1].median(), torch.tensor(2.0 * sign), atol=0.3)


def test_tokens_lie_on_the_patch_grid_and_learn():
    encoder = FlowMotion(8, 16)
    window = moving_window(4)
    tokens = encoder(window)
    assert tokens.shape == (1, 3, 36, 8)
    tokens.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
    keyframe, moved = tokens[0, 1], tokens[0, 2]
    assert torch.allclose(keyframe, keyframe[:1].expand_as(keyframe), atol=1e-6)  # no flow: all places alike
    assert not torch.allclose(moved, keyframe, atol=1e-3)


def test_kept_tokens_are_refused(small_config):
    network = SDTC(dataclasses.replace(small_config, motion="optical-flow"))
    tokens = torch.zeros(1, 5, 12, small_config.channels)
    with pytest.raises(BundleError, match="baseline"):
        network.estimate(tokens)
