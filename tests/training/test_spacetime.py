# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Equations 2 and 3: who may influence whom."""

import pytest
import torch
import torch.nn.functional as F

from training.models.spacetime import (
    DividedAttention,
    JointAttention,
    MotionEncoder,
    SpatialAttention,
    TemporalAttention,
)
from training.models.vit import attend

T, L, C = 5, 12, 16


def influence(module: torch.nn.Module, frame: int, place: int) -> torch.Tensor:
    """T x L bool: whose input moves the output at (frame, place)."""
    x = torch.randn(1, T, L, C, requires_grad=True)
    module(x)[0, frame, place].square().sum().backward()
    return x.grad[0].abs().sum(dim=-1) > 0


def test_joint_attention_mixes_everything():
    assert influence(JointAttention(C, 2, 4.0), 2, 3).all()


def test_temporal_attention_mixes_one_place_across_frames():
    expected = torch.zeros(T, L, dtype=torch.bool)
    expected[:, 3] = True
    assert torch.equal(influence(TemporalAttention(C, 2), 2, 3), expected)


def test_spatial_attention_mixes_one_frame():
    expected = torch.zeros(T, L, dtype=torch.bool)
    expected[2] = True
    assert torch.equal(influence(SpatialAttention(C, 2), 2, 3), expected)


def test_divided_attention_reaches_everything_in_two_steps():
    assert influence(DividedAttention(C, 2, 4.0), 2, 3).all()


@pytest.mark.parametrize("layer", [TemporalAttention, SpatialAttention])
def test_attention_is_residual(layer):
    module = layer(C, 2)
    torch.nn.init.zeros_(module.attention.proj.weight)
    torch.nn.init.zeros_(module.attention.proj.bias)
    x = torch.randn(2, T, L, C)
    assert torch.equal(module(x), x)


def test_divided_attention_is_ffn_of_spatial_of_temporal():
    module, x = DividedAttention(C, 2, 4.0), torch.randn(2, T, L, C)
    y = module.spatial(module.temporal(x))
    assert torch.allclose(module(x), y + module.ffn(module.norm(y)))


def test_motion_encoder_has_the_blocks_it_was_asked_for():
    encoder = MotionEncoder(C, 2, 4.0, joint_blocks=2, divided_blocks=3)
    assert [type(b) for b in encoder.blocks] == [JointAttention] * 2 + [DividedAttention] * 3


def test_attention_in_bfloat16_is_the_fused_kernel_s():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 7, 8).bfloat16().unbind(0)
    assert torch.allclose(attend(q, k, v), F.scaled_dot_product_attention(q, k, v), atol=0.03)
    assert attend(q, k, v).dtype == torch.bfloat16
    q, k, v = (x.float() for x in (q, k, v))
    expected = torch.softmax(q @ k.transpose(-2, -1) / 8**0.5, -1) @ v
    assert torch.allclose(attend(q, k, v), expected, atol=1e-5)
