# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Equation 16 for the networks on MoveNet's trunk, whose heatmaps are probabilities and not regressed values.

Equation 14's squared error becomes a cross-entropy a cell: the trunk was trained with one, and its logits are what SDTC
adds to. Equation 15 stays as printed, poses at stride 8. The places of the trajectories have a loss of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from training.losses.sdtc import context_loss, gaussian_heatmaps, location_loss, masked_pose_loss, weighted_mean
from training.models.mlsme import cells_masked
from training.models.sdtc_movenet import SDTCMoveNetOutput

SIGMA = 1.2  # cells of stride 4, of the target's Gaussians
SIGMA_COARSE = 1.0  # cells of stride 8, of the reconstructed poses
JOINT_CELLS = 20.0  # how much more a joint's own cell counts than an empty one
PLACES = 0.02  # weight of the trajectories' places (cells) beside the heatmaps
MAXIMA = 0.2  # weight of where the maximum lies (nats) beside the heatmaps: what keypoints are read from


@dataclass
class MoveNetLosses:
    """Equation 16 and its parts, scalars."""

    total: Tensor
    heatmap: Tensor
    places: Tensor
    context: Tensor
    pose: Tensor


def heatmap_entropy(logits: Tensor, points: Tensor, weight: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Cross-entropy of heatmaps' logits B x K x h x w against Gaussians at points B x K x 2 (crop pixels).

    Cell by cell, and a little over all cells: which one is the highest is what keypoints are read from.

    weight B x K; image_size is the crop's (height, width). A joint outside the crop has no weight.
    """
    h, w = logits.shape[-2:]
    target = gaussian_heatmaps(points, (h, w), image_size, SIGMA)
    error = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    cells = weighted_mean((error * (1 + JOINT_CELLS * target)).mean(dim=(2, 3)), weight)
    return cells + MAXIMA * location_loss(logits, target, weight)


def movenet_loss(
    output: SDTCMoveNetOutput, points: Tensor, weight: Tensor, image_size: tuple[int, int], lam: float
) -> MoveNetLosses:
    """All parts for windows: points B x T x K x 2 (crop pixels), weight B x T x K, the keyframe in the middle."""
    middle = points.shape[1] // 2
    h, w = output.logits.shape[-2:]
    heatmap = heatmap_entropy(output.logits, points[:, middle], weight[:, middle], image_size)
    cells = points[:, middle] * points.new_tensor([(w - 1) / (image_size[1] - 1), (h - 1) / (image_size[0] - 1)])
    away = F.smooth_l1_loss(output.places.float(), cells, reduction="none").mean(dim=-1)
    places = weighted_mean(away, weight[:, middle])
    rec = output.reconstruction
    if rec is None or output.context is None or output.masked is None:
        zero = heatmap.new_zeros(())
        return MoveNetLosses(heatmap + PLACES * places, heatmap, places, zero, zero)
    context = context_loss(rec.context.float(), output.context.float(), output.masked)
    targets = gaussian_heatmaps(points, (h // 2, w // 2), image_size, SIGMA_COARSE)
    cells_of = cells_masked(output.masked, (h // 8, w // 8))
    pose = masked_pose_loss(rec.poses.float(), targets, weight, cells_of)
    return MoveNetLosses(heatmap + PLACES * places + lam * context + pose, heatmap, places, context, pose)
