# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Equations 14-16: hand-made values, and what must not count."""

import pytest
import torch

from training.decode import encode_heatmaps
from training.losses.sdtc import (
    context_loss,
    gaussian_heatmaps,
    heatmap_loss,
    location_loss,
    masked_pose_loss,
    sdtc_loss,
)
from training.models.mlsme import Reconstruction, cells_masked
from training.models.sdtc import SDTCOutput


def test_targets_are_those_that_the_decoder_inverts():
    points = torch.rand(3, 15, 2) * torch.tensor([191.0, 255.0])
    ours = gaussian_heatmaps(points, (64, 48), (256, 192))
    assert torch.allclose(ours, torch.from_numpy(encode_heatmaps(points.numpy(), (192, 256), (48, 64))), atol=1e-5)


def test_unlabelled_joints_do_not_count():
    predicted, target = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    target[0, 0], target[0, 1] = 1.0, 7.0
    assert heatmap_loss(predicted, target, torch.tensor([[1.0, 0.0]])) == 1.0
    assert heatmap_loss(predicted, target, torch.zeros(1, 2)) == 0.0


def test_context_counts_hidden_tokens_only_and_is_free_of_scale():
    target, masked = torch.randn(1, 2, 3, 8), torch.zeros(1, 2, 3, 1, dtype=torch.bool)
    masked[0, 1, 2] = True
    predicted = torch.nn.functional.layer_norm(target, (8,))
    predicted[0, 0] += 100.0
    assert context_loss(predicted, target, masked) < 1e-5
    assert torch.allclose(context_loss(predicted, 5 * target, masked), torch.zeros(()), atol=1e-4)
    predicted[0, 1, 2] += 0.5
    assert torch.allclose(context_loss(predicted, target, masked), torch.tensor(0.5), atol=1e-4)


def test_poses_count_hidden_cells_of_labelled_joints_only():
    predicted, target = torch.zeros(1, 1, 2, 4, 4), torch.ones(1, 1, 2, 4, 4)
    masked = torch.zeros(1, 1, 1, 4, 4, dtype=torch.bool)
    masked[..., 0, 0] = True
    target[0, 0, 0, 0, 0] = 3.0
    assert masked_pose_loss(predicted, target, torch.tensor([[[1.0, 0.0]]]), masked) == 9.0


def test_total_is_equation_16():
    output = SDTCOutput(
        heatmaps=torch.rand(2, 15, 16, 12),
        reconstruction=Reconstruction(torch.randn(2, 5, 12, 8), torch.rand(2, 5, 15, 16, 12)),
        context=torch.randn(2, 5, 12, 8),
        masked=torch.rand(2, 5, 12, 1) < 0.5,
    )
    points, weight = torch.rand(2, 5, 15, 2) * 40, torch.ones(2, 5, 15)
    for lam in (0.01, 1.0):
        losses = sdtc_loss(output, points, weight, (64, 48), lam)
        assert torch.allclose(losses.total, losses.heatmap + lam * losses.context + losses.pose)
        assert min(losses.heatmap, losses.context, losses.pose) > 0


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_every_target_has_the_sigma_that_is_asked_for(sigma):
    """The keyframe's and reconstruction's, of heatmaps as of places; the pose term on all cells or on masked ones."""
    points, weight = torch.rand(2, 5, 15, 2) * 40, torch.ones(2, 5, 15)
    targets = gaussian_heatmaps(points, (16, 12), (64, 48), sigma)
    mask = torch.rand(2, 5, 12, 1) < 0.5
    poses = torch.rand(2, 5, 15, 16, 12)
    for logits in (None, torch.randn(2, 15, 16, 12)):
        output = SDTCOutput(
            torch.rand(2, 15, 16, 12), logits, Reconstruction(torch.randn(2, 5, 12, 8), poses),
            torch.randn(2, 5, 12, 8), mask,
        )  # fmt: skip
        every, masked = (sdtc_loss(output, points, weight, (64, 48), 0.01, sigma, cells) for cells in ("all", "masked"))
        error = (poses - targets) ** 2
        assert torch.allclose(every.pose, error.mean())
        cells = cells_masked(mask, (4, 3)).expand_as(error)
        assert torch.allclose(masked.pose, error[cells].mean(), rtol=1e-4)
        if logits is None:
            assert torch.allclose(every.heatmap, ((output.heatmaps - targets[:, 2]) ** 2).mean())
        else:
            assert torch.allclose(every.heatmap, location_loss(logits, targets[:, 2], weight[:, 2]))
