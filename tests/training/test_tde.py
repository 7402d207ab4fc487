# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The Temporal Difference Encoder: what is no motion gives none, which parts exist, and that all of them learn."""

import dataclasses

import pytest
import torch

from training.models.tde import TDE, SpatialModulation, TDEConfig, feature_differences

SMALL = TDEConfig(channels=12, offset_groups=3)
TABLE_6 = {
    "a": dataclasses.replace(SMALL, stages=(4,), modulation=False),
    "b": dataclasses.replace(SMALL, modulation=False, fusion="concat"),
    "c": dataclasses.replace(SMALL, modulation=False),
    "d": SMALL,
}


def features(frames=5, batch=2, seed=0):
    g = torch.Generator().manual_seed(seed)
    return {stage: torch.randn(batch, frames, 6, 8, 6, generator=g) for stage in (1, 2, 3, 4)}


def encoder(config=SMALL, frames=5):
    torch.manual_seed(0)
    return TDE(frames, 6, config)


def test_differences_are_consecutive_and_in_order():
    x = torch.tensor([1.0, 4.0, 9.0]).view(1, 3, 1, 1, 1).expand(1, 3, 2, 1, 1)
    assert feature_differences(x).flatten().tolist() == [3.0, 3.0, 5.0, 5.0]


def test_a_still_window_has_no_motion():
    still = {stage: f[:, :1].expand(-1, 5, -1, -1, -1) for stage, f in features().items()}
    assert all(not feature_differences(f).any() for f in still.values())
    tde = encoder().train()
    other = {stage: f[:, :1].expand(-1, 5, -1, -1, -1) for stage, f in features(seed=1).items()}
    tde(features())  # norms move: what they add to no motion must still not depend on the image
    tde.eval()
    assert torch.equal(tde(still), tde(other))
    assert not torch.equal(tde(features()), tde(still))


def test_a_still_window_gives_zero_before_training():
    still = {stage: f[:, :1].expand(-1, 5, -1, -1, -1) for stage, f in features().items()}
    assert not encoder().eval()(still).any()


def test_the_same_change_on_another_background_is_the_same_motion():
    tde = encoder().eval()
    background = {stage: 3 * torch.randn(2, 1, 6, 8, 6) for stage in (1, 2, 3, 4)}
    moved = {stage: f + background[stage] for stage, f in features().items()}
    assert torch.allclose(tde(features()), tde(moved), atol=1e-4)


@pytest.mark.parametrize("row", list(TABLE_6))
def test_rows_of_table_6(row):
    tde = encoder(TABLE_6[row]).train()
    motion = tde(features())
    assert motion.shape == (2, 12, 8, 6)
    motion.square().sum().backward()
    silent = [name for name, p in tde.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize(("row", "stages"), [("a", {4}), ("d", {1, 2, 3, 4})])
def test_which_stages_and_frames_matter(row, stages):
    given = {stage: f.requires_grad_() for stage, f in features().items()}
    encoder(TABLE_6[row]).eval()(given).square().sum().backward()
    assert {stage for stage, f in given.items() if f.grad is not None} == stages
    assert all((given[stage].grad.abs().sum(dim=(0, 2, 3, 4)) > 0).all() for stage in stages)


def test_blocks_per_stage_are_the_papers():
    assert [len(blocks) for blocks in encoder().intra] == [3, 3, 2, 2]
    assert [len(blocks) for blocks in encoder(dataclasses.replace(SMALL, stages=(2, 4))).intra] == [3, 2]


def test_progressive_fusion_adds_the_stages_one_by_one():
    tde = encoder(TABLE_6["c"]).eval()
    for conv in tde.inter:  # identities: M is then the sum over the stages
        conv[0].weight.data.zero_()
        conv[0].weight.data[range(12), range(12), 1, 1] = 1.0
    expected = sum(intra(feature_differences(f)) for intra, f in zip(tde.intra, features().values(), strict=True))
    assert torch.allclose(tde(features()), expected, atol=1e-3)


def test_modulation_starts_as_half_a_convolution_and_then_looks_elsewhere():
    torch.manual_seed(0)
    modulation = SpatialModulation(4, groups=2, dilation=3).eval()
    for predictor in (modulation.offset[1], modulation.scale[1]):
        torch.nn.init.zeros_(predictor.weight)
    x = torch.randn(1, 4, 8, 6)
    plain = torch.nn.functional.conv2d(x, modulation.deform.weight, padding=3, dilation=3)
    assert torch.allclose(modulation(x), plain / 2, atol=1e-5)
    modulation.offset[1].bias.data.fill_(1.0)
    assert not torch.allclose(modulation(x), plain / 2, atol=1e-2)
    modulation.scale[1].bias.data.fill_(-50.0)  # no motion counts
    assert torch.allclose(modulation(x), torch.zeros(1, 4, 8, 6), atol=1e-5)


@pytest.mark.parametrize("frames", [2, 3, 7])
def test_other_spans(frames):
    assert encoder(frames=frames).eval()(features(frames)).shape == (2, 12, 8, 6)


def test_channels_that_cannot_be_grouped():
    with pytest.raises(ValueError, match="offset groups"):
        encoder(dataclasses.replace(SMALL, offset_groups=5))


def test_equation_5_may_have_several_convolutions_each():
    """Each further one is a 3x3 Conv -> BN -> ReLU from the motion's channels to as many."""
    built = [TDE(3, 4, TDEConfig(8, offset_groups=2, accumulation_convs=n)) for n in (1, 2, 3)]
    sizes = [sum(p.numel() for p in tde.parameters()) for tde in built]
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0] == 4 * (8 * 8 * 9 + 16)
    tde = TDE(3, 4, TDEConfig(8, stages=(4,), modulation=False, accumulation_convs=2)).eval()
    window = torch.randn(1, 3, 4, 6, 5)
    motion = tde.intra[0](feature_differences(window))
    conv1, norm1, _, conv2, norm2, _ = tde.inter[0]
    assert torch.allclose(tde({4: window}), torch.relu(norm2(conv2(torch.relu(norm1(conv1(motion)))))), atol=1e-6)
