# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Equations 6-13 against their formulas written out with explicit indices."""

import pytest
import torch

from training.models.smml import SMCA, SMML, AdaptiveFusion, FrameAggregation, SelfFeatureRefinement, SMMLConfig

C, H, W = 6, 4, 3


def test_aggregation_concatenates_frames_and_keeps_places():
    layer = FrameAggregation(2, C, (H, W))
    x = torch.randn(1, 2, H * W, C)
    out = layer(x)
    place = torch.cat([x[0, 0, 5], x[0, 1, 5]])  # row 1, column 2
    assert torch.allclose(out[0, :, 1, 2], layer.conv.weight[:, :, 0, 0] @ place + layer.conv.bias, atol=1e-5)


def test_refinement_is_equations_6_to_8():
    layer, x = SelfFeatureRefinement(C), torch.randn(1, C, H, W)
    r = x[0].reshape(C, -1)
    o = torch.stack([torch.softmax(r[:, p], dim=0) for p in range(H * W)], dim=1)  # over channels
    context = torch.einsum("cp,dp->cd", r, o)
    relation = torch.softmax(torch.einsum("cp,cd->pd", r, context), dim=1)
    refined = torch.einsum("pd,cd->cp", relation, context).reshape(1, C, H, W)
    assert torch.allclose(layer(x), layer.conv(refined), atol=1e-5)


def test_smca_is_equation_9():
    layer = SMCA(C).eval()
    s, g = torch.randn(1, C, H, W), torch.randn(1, C, H, W)
    q, k, v = (conv(x)[0].reshape(C, -1).T for conv, x in ((layer.query, s), (layer.key, g), (layer.value, g)))
    attention = torch.softmax(q @ k.T / C**0.5, dim=1) @ v
    assert torch.allclose(layer(s, g), layer.phi(s + attention.T.reshape(1, C, H, W)), atol=1e-5)


def test_smca_is_not_symmetric_and_has_a_weight_set_each_way():
    layer = SMCA(C).eval()
    a, b = torch.randn(1, C, H, W), torch.randn(1, C, H, W)
    assert not torch.allclose(layer(a, b), layer(b, a))
    smml = SMML(2, C, (H, W), SMMLConfig())
    assert smml.to_spatial is not smml.to_motion
    assert not torch.equal(smml.to_spatial.query.weight, smml.to_motion.query.weight)


def test_propagation_goes_both_ways_from_the_refined_pair():
    smml = SMML(2, C, (H, W), SMMLConfig()).eval()
    calls = {}
    smml.to_spatial.register_forward_hook(lambda m, inputs, out: calls.__setitem__("spatial", inputs))
    smml.to_motion.register_forward_hook(lambda m, inputs, out: calls.__setitem__("motion", inputs))
    smml(torch.randn(1, 2, H * W, C), torch.randn(1, 2, H * W, C))
    source, guidance = calls["spatial"]
    assert torch.equal(calls["motion"][0], guidance)
    assert torch.equal(calls["motion"][1], source)  # not the already updated one


def test_fusion_weighs_each_stream_pixel_by_pixel():
    layer = AdaptiveFusion(C).eval()
    s, m = torch.randn(1, C, H, W), torch.randn(1, C, H, W)
    mixed = layer.mix(torch.cat([s, m], 1))
    expected = torch.sigmoid(layer.fc_spatial(mixed)) * layer.conv_spatial(s)
    expected = expected + torch.sigmoid(layer.fc_motion(mixed)) * layer.conv_motion(m)
    assert torch.allclose(layer(s, m), expected, atol=1e-6)


def test_parts_can_be_left_out():
    window = torch.randn(2, 2, H * W, C)
    sizes = []
    for refinement, propagation, fusion in (
        (False, False, "add"), (True, False, "add"), (True, True, "add"), (True, True, "conv"), (True, True, "adaptive")
    ):  # fmt: skip
        smml = SMML(2, C, (H, W), SMMLConfig(refinement, propagation=propagation, fusion=fusion))
        assert smml(window, window).shape == (2, C, H, W)
        sizes.append(sum(p.numel() for p in smml.parameters()))
    assert sizes == sorted(set(sizes))


def test_the_residual_is_around_equation_8_and_around_all_of_them():
    torch.manual_seed(0)
    spatial, motion = torch.randn(2, 3, H * W, C), torch.randn(2, 3, H * W, C)
    smml = SMML(3, C, (H, W), SMMLConfig()).eval()
    refined = SMML(3, C, (H, W), SMMLConfig(residual="refinement")).eval()
    refined.load_state_dict(smml.state_dict())
    x = torch.randn(2, C, H, W)
    for layer in (smml.refine_spatial, smml.refine_motion, refined.refine_spatial, refined.refine_motion):
        printed = SelfFeatureRefinement(C)
        printed.load_state_dict(layer.state_dict())
        assert torch.allclose(layer(x), x + printed(x), atol=1e-6)
    expected = refined(spatial, motion) + smml.aggregate_spatial(spatial) + smml.aggregate_motion(motion)
    assert torch.allclose(smml(spatial, motion), expected, atol=1e-5)


def test_with_the_residual_aggregation_begins_near_the_keyframe():
    torch.manual_seed(0)
    smml, window = SMML(3, C, (H, W), SMMLConfig()), torch.randn(2, 3, H * W, C)
    keyframe = window[:, 1].transpose(1, 2).reshape(2, C, H, W)
    assert (smml.aggregate_spatial(window) - keyframe).abs().mean() < 0.15 * keyframe.abs().mean()
    assert smml.aggregate_motion(window).abs().mean() < 0.15 * keyframe.abs().mean()


@pytest.mark.parametrize("fusion", ["adaptive", "conv", "add"])
def test_without_the_residual_it_is_the_printed_equations(fusion):
    """One flag: nothing is added to equation 8's answer, and F is what the fusion gives."""
    torch.manual_seed(1)
    smml = SMML(3, C, (H, W), SMMLConfig(residual=False, fusion=fusion)).eval()
    spatial, motion = torch.randn(2, 3, H * W, C), torch.randn(2, 3, H * W, C)
    s, m = (
        equation_8(smml.refine_spatial, smml.aggregate_spatial(spatial)),
        equation_8(smml.refine_motion, smml.aggregate_motion(motion)),
    )
    s, m = smml.to_spatial(s, m), smml.to_motion(m, s)
    expected = s + m if fusion == "add" else smml.fusion(s, m)
    assert torch.allclose(smml(spatial, motion), expected, atol=1e-5)


def equation_8(layer, x):
    """Equations 6-8 as printed."""
    flat = x.flatten(2)
    context = flat @ torch.softmax(flat, dim=1).transpose(1, 2)
    relation = torch.softmax(flat.transpose(1, 2) @ context, dim=2)
    return layer.conv((relation @ context.transpose(1, 2)).transpose(1, 2).reshape(x.shape))
