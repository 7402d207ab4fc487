# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Stage "confidence" of training.movenet_module: scores that are probabilities, ellipses that hold what they should."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.losses.sdtc import weighted_mean

REACH = 0.2  # of the torso's diagonal: a joint that near is found (PCK@0.2)
HELD = 0.393  # of a normal distribution lies within its ellipse of one sigma, 1 - exp(-1/2)


@dataclass
class ConfidenceLosses:
    """The sum and its parts, scalars."""

    total: Tensor
    score: Tensor
    covariance: Tensor


def confidence_loss(
    logit: Tensor, factor: Tensor, error: Tensor, covariance: Tensor, reach: Tensor, weight: Tensor
) -> ConfidenceLosses:
    """Cross-entropy of the scores; of the covariance, how far its ellipses are from holding HELD of the labels.

    logit, factor (a logarithm) and weight B x K, error B x K x 2 (crop pixels), covariance B x K x 3 (xx, xy, yy),
    before the factor, reach B x K (crop pixels). The second is a quantile's loss (Koenker and Bassett 1978)
    of the squared Mahalanobis distance's logarithm.
    """
    found = (error.norm(dim=-1) <= reach).float()
    score = weighted_mean(F.binary_cross_entropy_with_logits(logit, found, reduction="none"), weight)
    away = torch.log(mahalanobis(error, covariance).clamp_min(1e-6)) - factor
    ellipse = weighted_mean(torch.maximum(HELD * away, (HELD - 1) * away), weight)
    return ConfidenceLosses(score + ellipse, score, ellipse)


def mahalanobis(error: Tensor, covariance: Tensor) -> Tensor:
    """Squared distance of errors B x K x 2 in units of covariance B x K x 3 (xx, xy, yy)."""
    (x, y), (xx, xy, yy) = error.unbind(-1), covariance.unbind(-1)
    return (yy * x * x - 2 * xy * x * y + xx * y * y) / (xx * yy - xy * xy).clamp_min(1e-9)


def torso_reach(points: Tensor, weight: Tensor, joints: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """REACH of each person's torso B x 1 (crop pixels), and 1 where the labels show one, else 0."""
    ends = [("left_shoulder", "right_hip"), ("right_shoulder", "left_hip")]
    pairs = [[joints.index(name) for name in pair] for pair in ends]
    known = torch.stack([weight[:, a] * weight[:, b] for a, b in pairs], dim=1)
    long = torch.stack([(points[:, a] - points[:, b]).norm(dim=-1) for a, b in pairs], dim=1)
    torso = (known * long).sum(dim=1) / known.sum(dim=1).clamp_min(1e-6)
    return REACH * torso[:, None], (known.sum(dim=1) > 0).float()[:, None]
