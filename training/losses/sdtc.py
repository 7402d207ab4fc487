# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Losses: heatmaps (SDTC equation 14), masked reconstruction (15), their sum (16), and the heatmap targets.

All norms are means over what counts (labelled joints, masked tokens), not sums, so that lambda means the same at every
image size; joints that are not labelled have weight 0, as in the family's public code. With several processes the mean
is over what counts in all of them: their averaged gradients are those of one process on the whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, distributed

from training.models.mlsme import cells_masked
from training.models.sdtc import SDTCOutput


def gaussian_heatmaps(
    points: Tensor, heatmap_size: tuple[int, int], image_size: tuple[int, int], sigma: float = 2.0
) -> Tensor:
    """Targets with real-valued centres (unbiased, UDP): points ... x 2 (crop pixels) -> ... x h x w, maximum 1.

    heatmap_size and image_size are (height, width); sigma is in heatmap cells.
    """
    (h, w), (height, width) = heatmap_size, image_size
    x = points[..., 0, None] * ((w - 1) / (width - 1)) - torch.arange(w, device=points.device)
    y = points[..., 1, None] * ((h - 1) / (height - 1)) - torch.arange(h, device=points.device)
    gx, gy = (torch.exp(-d * d / (2 * sigma * sigma)) for d in (x, y))
    return gy.unsqueeze(-1) * gx.unsqueeze(-2)


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """sum(values * weight) / sum(weight), 0 where nothing has weight; both of one shape.

    Under torch.distributed the divisor is the processes' mean, so that the mean of their results is the mean over all.
    """
    total = weight.detach().float().sum()
    if distributed.is_available() and distributed.is_initialized():
        total = total.clone()
        distributed.all_reduce(total)
        total = total / distributed.get_world_size()
    return (values * weight).sum() / total.clamp_min(1e-6)


def heatmap_loss(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Equation 14: mean squared error over labelled joints; heatmaps B x K x h x w, weight B x K."""
    error = ((predicted - target) ** 2).mean(dim=(2, 3))
    return weighted_mean(error, weight)


def location_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy between where the head says a joint is and a Gaussian target; maps B x K x h x w, weight B x K.

    Not of the papers: how the backbone of the tiny models is trained from scratch, in place of ViTPose's pretraining.
    """
    share = target.flatten(2) / target.flatten(2).sum(dim=2, keepdim=True).clamp_min(1e-6)
    error = -(share * F.log_softmax(logits.flatten(2).float(), dim=2)).sum(dim=2)
    return weighted_mean(error, weight)


def context_loss(predicted: Tensor, target: Tensor, masked: Tensor) -> Tensor:
    """Equation 15, first term without lambda: mean absolute error over masked tokens.

    predicted, target B x T x L x D, masked B x T x L x 1. The target is normalised token by token, so that its scale
    does not depend on the backbone.
    """
    target = F.layer_norm(target, target.shape[-1:])
    error = (predicted - target).abs().mean(dim=-1, keepdim=True)
    return weighted_mean(error, masked)


def masked_pose_loss(predicted: Tensor, target: Tensor, weight: Tensor, masked: Tensor) -> Tensor:
    """Equation 15, second term: mean squared error over the heatmap cells of masked tokens.

    predicted, target B x T x K x h x w, weight B x T x K, masked B x T x 1 x h x w.
    """
    counts = masked * weight[..., None, None]
    return weighted_mean((predicted - target) ** 2, counts)


PoseCells = Literal["masked", "all"]


@dataclass
class Losses:
    """Equation 16 and its parts, scalars."""

    total: Tensor
    heatmap: Tensor
    context: Tensor
    pose: Tensor


def sdtc_loss(
    output: SDTCOutput,
    points: Tensor,
    weight: Tensor,
    image_size: tuple[int, int],
    lam: float,
    sigma: float = 2.0,
    pose_cells: PoseCells = "masked",
) -> Losses:
    """Equation 16. points B x T x K x 2 (crop pixels), weight B x T x K; the keyframe is the middle frame.

    sigma: of all target Gaussians, in cells, those that reconstruction aims at too. Where the network gives logits, the
    location loss stands in for equation 14, and sigma is its location_sigma. pose_cells: which cells equation 15's pose
    term counts: "all" as it is printed, "masked" as the sentence after it says ("only ... masked locations/frames").
    """
    h, w = output.heatmaps.shape[-2:]
    middle = points.shape[1] // 2
    targets = gaussian_heatmaps(points, (h, w), image_size, sigma)
    if output.logits is None:
        heatmap = heatmap_loss(output.heatmaps.float(), targets[:, middle], weight[:, middle])
    else:
        heatmap = location_loss(output.logits, targets[:, middle], weight[:, middle])
    rec = output.reconstruction
    if rec is None or output.context is None or output.masked is None:
        zero = heatmap.new_zeros(())
        return Losses(heatmap, heatmap, zero, zero)
    context = context_loss(rec.context.float(), output.context.float(), output.masked)
    rows = h // 4  # heatmaps are four times the token grid
    cells = cells_masked(output.masked, (rows, w // 4))
    if pose_cells == "all":
        cells = torch.ones_like(cells)
    pose = masked_pose_loss(rec.poses.float(), targets, weight, cells)
    return Losses(heatmap + lam * context + pose, heatmap, context, pose)
