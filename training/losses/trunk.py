# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Stage "trunk" of training.movenet_module: MoveNet learns to read corrupted crops, and forgets nothing of clean ones.

The published MoveNet looks at the same crop before it is corrupted and teaches all heads what it sees there. The
rendered people's labels count where it is wrong or sees nothing: behind an occluder, or in an unusual pose. So the
network keeps the conventions of the photographs it was trained on, its eyes and ears, and its other heads. The gate
learns how much was done to the crop.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.losses.movenet import JOINT_CELLS, SIGMA
from training.losses.sdtc import gaussian_heatmaps, location_loss, weighted_mean
from training.models.movenet import MoveNetOutput

NEAR = 0.25  # of the label's Gaussian at the teacher's maximum: two cells away it is another place
SURE = 0.3  # the teacher's probability from which it is asked at all
REGRESSION = 0.005  # weights of the other heads (errors in cells) beside the heatmaps' cross-entropy
OFFSETS = 0.05
CENTRE = 0.5
GATE = 0.05
CORRUPTED = 5.0  # of 255
MAXIMA = 0.03  # nats, of where the maximum lies


@dataclass
class TrunkLosses:
    """The sum, and the heads' parts before their weights, scalars."""

    total: Tensor
    heatmap: Tensor
    centre: Tensor
    regression: Tensor
    offsets: Tensor
    gate: Tensor


@dataclass
class GateLosses:
    """The gate's loss alone, a scalar."""

    total: Tensor


def trunk_loss(
    student: MoveNetOutput,
    teacher: MoveNetOutput,
    points: Tensor,
    weight: Tensor,
    image_size: tuple[int, int],
    gate: Tensor,
) -> TrunkLosses:
    """The student's maps of corrupted crops against the teacher's of clean ones and the labels.

    points B x K x 2 (crop pixels) and weight B x K in the order of MoveNet's joints; what has no label has no weight,
    and the teacher alone says where it is. image_size is the crop's (height, width); gate: `gate_loss`.
    """
    h, w = student.heatmap_logits.shape[-2:]
    target = heatmap_target(teacher.heatmap_logits, gaussian_heatmaps(points, (h, w), image_size, SIGMA), weight)
    error = F.binary_cross_entropy_with_logits(student.heatmap_logits.float(), target, reduction="none")
    heatmap = (error * (1 + JOINT_CELLS * target)).mean()
    heatmap = heatmap + MAXIMA * location_loss(student.heatmap_logits, target, weight)
    person = torch.sigmoid(teacher.centre)
    error = F.binary_cross_entropy_with_logits(student.centre, person, reduction="none")
    centre = (error * (1 + JOINT_CELLS * person)).mean()
    regression = _distance(student.regression, teacher.regression, person.expand(-1, weight.shape[1], -1, -1) ** 2)
    offsets = _distance(student.offsets, teacher.offsets, torch.sigmoid(teacher.heatmap_logits) ** 2)
    total = heatmap + CENTRE * centre + REGRESSION * regression + OFFSETS * offsets + GATE * gate
    return TrunkLosses(total, heatmap, centre, regression, offsets, gate)


def heatmap_target(teacher: Tensor, drawn: Tensor, weight: Tensor) -> Tensor:
    """The teacher's heatmap where it has the joint's maximum near the label, or there is none; else the label's.

    teacher (logits) and drawn (Gaussians about the labels) B x K x h x w, weight B x K.
    """
    known = torch.sigmoid(teacher)
    peak, cell = known.flatten(2).max(dim=2, keepdim=True)
    right = (drawn.flatten(2).gather(2, cell) > NEAR) & (peak > SURE)
    taught = right.squeeze(2) | (weight == 0)
    return torch.where(taught[..., None, None], known, drawn)


def gate_loss(logit: Tensor, crops: Tensor, clean: Tensor) -> Tensor:
    """Cross-entropy of the gate's logit (B values) with how much was done to the crops, a scalar.

    crops and clean: B x H x W x 3 uint8, after and before; from a mean difference of CORRUPTED on the gate should be 1.
    """
    done = (crops.float() - clean.float()).abs().mean(dim=(1, 2, 3)) / CORRUPTED
    return F.binary_cross_entropy_with_logits(logit.flatten(), done.clamp(max=1))


def _distance(student: Tensor, teacher: Tensor, weight: Tensor) -> Tensor:
    """Mean smooth distance in cells of B x 2K x h x w maps (row, column a joint), weight B x K x h x w."""
    away = F.smooth_l1_loss(student, teacher, reduction="none").unflatten(1, (-1, 2)).mean(dim=2)
    return weighted_mean(away, weight)
