# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""SDTC as a whole: shapes, gradients, what exists only in training, and the two halves that meet in the cache."""

import dataclasses

import pytest
import torch

from training.losses.sdtc import sdtc_loss
from training.models.mlsme import MLSMEConfig, cells_masked
from training.models.sdtc import SDTC
from training.models.smml import SMMLConfig


def targets(windows):
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(len(windows), 5, 15, 2, generator=generator) * torch.tensor([47.0, 63.0])
    return points, torch.ones(len(windows), 5, 15)


def test_training_output_shapes(small_sdtc, small_windows):
    out = small_sdtc.train()(small_windows)
    assert out.heatmaps.shape == (2, 15, 16, 12)
    assert out.reconstruction.context.shape == out.context.shape == (2, 5, 12, 32)
    assert out.reconstruction.poses.shape == (2, 5, 15, 16, 12)
    assert out.masked.shape == (2, 5, 12, 1)
    assert 0 < out.masked.float().mean() < 1


def test_every_trainable_parameter_gets_a_gradient(small_sdtc, small_windows):
    network = small_sdtc.train()
    sdtc_loss(network(small_windows), *targets(small_windows), (64, 48), lam=0.01).total.backward()
    silent = [n for n, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert silent == []


def test_the_frozen_backbone_gets_none_and_stays_in_eval_mode(small_sdtc, small_windows):
    network = small_sdtc.train()
    sdtc_loss(network(small_windows), *targets(small_windows), (64, 48), lam=0.01).total.backward()
    assert all(p.grad is None and not p.requires_grad for p in network.backbone.parameters())
    assert not network.backbone.training
    assert network.mlsme.training


def test_an_unfrozen_backbone_trains(small_config, small_windows):
    network = SDTC(dataclasses.replace(small_config, freeze_backbone=False)).train()
    sdtc_loss(network(small_windows), *targets(small_windows), (64, 48), lam=0.01).total.backward()
    assert all(p.grad is not None for p in network.backbone.parameters())


def test_no_masking_in_eval_mode(small_sdtc, small_windows):
    network = small_sdtc.eval()
    with torch.no_grad():
        one, two = network(small_windows), network(small_windows)
        network.mlsme.tube_token.token.add_(100.0)
        network.mlsme.frame_token.token.add_(100.0)
        three = network(small_windows)
    assert one.reconstruction is None
    assert torch.equal(one.heatmaps, two.heatmaps)
    assert torch.equal(one.heatmaps, three.heatmaps)


def test_masking_changes_the_training_output(small_sdtc, small_windows):
    small_sdtc.train()
    small_sdtc.head.eval()
    small_sdtc.smml.eval()
    with torch.no_grad():
        assert not torch.equal(small_sdtc(small_windows).heatmaps, small_sdtc(small_windows).heatmaps)


def test_cached_tokens_give_what_the_whole_network_gives(small_sdtc, small_windows):
    network = small_sdtc.eval()
    with torch.no_grad():
        whole = network(small_windows).heatmaps
        frames = [network.encode(small_windows[:, t]) for t in range(5)]  # one frame at a time, as streaming does
        cached = network.estimate(torch.stack(frames, dim=1))
    assert torch.allclose(whole, cached, atol=1e-6)


def test_every_frame_of_the_window_matters(small_sdtc, small_windows):
    network = small_sdtc.eval()
    with torch.no_grad():
        tokens = network.encode(small_windows.flatten(0, 1)).unflatten(0, (2, 5))
    tokens.requires_grad_(True)
    network.estimate(tokens).square().sum().backward()
    assert (tokens.grad.abs().sum(dim=(0, 2, 3)) > 0).all()


@pytest.mark.parametrize("delta", [0, 1, 3])
def test_other_spans(small_config, delta):
    network = SDTC(dataclasses.replace(small_config, delta=delta))
    crops = torch.zeros(1, 2 * delta + 1, 64, 48, 3, dtype=torch.uint8)
    assert network.eval()(crops).heatmaps.shape == (1, 15, 16, 12)


def test_ablations_build_and_run(small_config, small_windows):
    variants = {
        "no frame level": {"mlsme": MLSMEConfig(heads=2, frame_level=False)},
        "no masks": {"mlsme": MLSMEConfig(heads=2, mask_ratio=0.0)},
        "no encodings": {"spatial_encoding": False, "temporal_encoding": False},
        "no propagation": {"smml": SMMLConfig(propagation=False, fusion="add")},
        "decode from the frame level": {"decode_from": "frame"},
        "plain vision transformer": {
            "mlsme": MLSMEConfig(2, joint_blocks=2, divided_blocks=0, frame_level=False, mask_ratio=0.0)
        },
        "optical flow, conv": {"motion": "optical-flow", "smml": SMMLConfig(False, propagation=False, fusion="conv")},
    }
    points, weight = targets(small_windows)
    for name, change in variants.items():
        network = SDTC(dataclasses.replace(small_config, **change)).train()
        output = network(small_windows)
        loss = sdtc_loss(output, points, weight, (64, 48), lam=0.01)
        assert torch.isfinite(loss.total), name
        masked = name not in ("no masks", "plain vision transformer", "optical flow, conv")
        assert (output.reconstruction is not None) == (output.masked is not None) == masked, name
        assert (loss.context > 0) == (loss.pose > 0) == masked, name


def test_cells_belong_to_their_token():
    masked = torch.zeros(1, 1, 12, 1, dtype=torch.bool)
    masked[0, 0, 5] = True  # row 1, column 2 of a 4 x 3 grid
    cells = cells_masked(masked, (4, 3), cell=4)[0, 0, 0]
    rows, columns = torch.nonzero(cells, as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 7, 8, 11)
    assert cells.sum() == 16


def test_decoder_cell_layout_matches_the_heatmap(small_sdtc):
    decoder = small_sdtc.decoder.eval()
    hybrid = torch.randn(1, 5, 12, 16)
    with torch.no_grad():
        before = decoder(hybrid).poses
        decoder.layers[0].proj.weight.zero_()  # no mixing: a token moves its own cells alone
        decoder.layers[1].proj.weight.zero_()
        base = decoder(hybrid).poses
        hybrid[0, 3, 5] += 1.0 * torch.randn(16)
        moved = (decoder(hybrid).poses - base).abs().sum(dim=2) > 0
    assert before.shape == (1, 5, 15, 16, 12)
    frames, rows, columns = torch.nonzero(moved[0], as_tuple=True)
    assert set(frames.tolist()) == {3}
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 7, 8, 11)
