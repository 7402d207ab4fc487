# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Equations 1 and 4: what the masks hide, and what stands there instead."""

import pytest
import torch

from training.models.masking import MaskToken, frame_mask, tube_mask


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_tube_hides_the_same_places_in_every_frame(ratio):
    masked = tube_mask(batch=3, places=192, ratio=ratio)
    assert masked.shape == (3, 1, 192, 1)  # no axis of its own for time: one row serves every frame
    assert torch.all(masked.sum(dim=(1, 2, 3)) == round(ratio * 192))


def test_tubes_differ_between_samples_and_calls():
    a, b = tube_mask(2, 192, 0.5), tube_mask(2, 192, 0.5)
    assert not torch.equal(a[0], a[1])
    assert not torch.equal(a, b)


@pytest.mark.parametrize(("ratio", "frames", "expected"), [(0.5, 5, 3), (0.25, 5, 1), (0.75, 5, 4), (0.5, 3, 2)])
def test_frame_mask_hides_whole_frames(ratio, frames, expected):
    masked = frame_mask(batch=50, frames=frames, ratio=ratio)
    assert masked.shape == (50, frames, 1, 1)
    assert torch.all(masked.sum(dim=1) == expected)
    assert masked.float().mean(dim=0).min() > 0  # every frame has its turn, the keyframe too


def test_masked_tokens_forget_what_they_saw_and_keep_their_place():
    layer = MaskToken(8)
    position = torch.randn(5, 6, 8)
    masked = torch.zeros(1, 1, 6, 1, dtype=torch.bool)
    masked[:, :, [1, 4]] = True
    one, other = (layer(torch.randn(1, 5, 6, 8), masked, position) for _ in range(2))
    assert torch.equal(one[:, :, [1, 4]], other[:, :, [1, 4]])
    assert torch.allclose(one[0, :, 1] - layer.token, position[:, 1], atol=1e-6)
    assert not torch.equal(one[:, :, 0], other[:, :, 0])


def test_visible_tokens_pass_unchanged():
    layer, tokens = MaskToken(8), torch.randn(2, 5, 6, 8)
    masked = tube_mask(2, 6, 0.5)
    out = layer(tokens, masked, torch.randn(5, 6, 8))
    assert torch.equal(out[~masked.expand_as(out)], tokens[~masked.expand_as(tokens)])
