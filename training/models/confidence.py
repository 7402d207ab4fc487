# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How far each joint of an estimate is to be trusted. Not of the papers.

Where the tracks of five frames agree, the combined heatmap is near 1, also at places that are wrong; so its maximum is
a poor score, and its second moment a poor covariance. A small perceptron, the same for all joints but for an offset,
reads how the answer came about, and gives a probability and a factor of the covariance.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.trajectory import news

FEATURES = 10  # of `evidence`
WIDTH = 32
LOGITS = 9.0  # where the trunk's logits end
COMBINED = 30.0  # logits, the unit of the combined heatmaps' maxima


class Confidence(nn.Module):
    """What `evidence` says of each joint -> logit of the score, logarithm of the covariance's factor."""

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, WIDTH)
        self.joint = nn.Parameter(torch.zeros(joints, WIDTH))
        self.out = nn.Linear(WIDTH, 2)

    def forward(self, evidence: Tensor) -> tuple[Tensor, Tensor]:
        """evidence B x K x FEATURES -> two of B x K; the score's probability is that of a place within reach."""
        logit, factor = self.out(F.relu(self.layer(evidence) + self.joint)).unbind(-1)
        return logit, factor.clamp(-6, 6)


def evidence(logits: Tensor, combined: Tensor, joints: Tensor, tracked: Tensor, place: Tensor) -> Tensor:
    """How an answer came about, B x K x FEATURES.

    logits and combined B x K x h x w: the trunk's in the keyframe, and those that were answered from; joints
    B x T x K x 3 (cells, score) of all frames; tracked and place B x K x 2 (cells): by the trajectories, as answered.
    """
    peak, at = combined.flatten(2).max(dim=2, keepdim=True)
    near = F.max_pool2d(logits, 3, stride=1, padding=1).flatten(2).gather(2, at)
    new = news(joints)
    count = new.sum(dim=1)
    scores = joints[..., 2] * new
    weight = scores**2 + 1e-6
    apart = (joints[..., :2] - tracked.unsqueeze(1)).norm(dim=-1)
    spread = (weight * apart).sum(dim=1) / weight.sum(dim=1)
    mean = scores.sum(dim=1) / count
    own = joints[:, joints.shape[1] // 2]
    features = [
        near.squeeze(2) / LOGITS,
        (peak.squeeze(2) / COMBINED).clamp(-1, 2),
        torch.log1p(spread),
        mean,
        scores.amax(dim=1),
        own[..., 2],
        torch.log1p((own[..., :2] - place).norm(dim=-1)),
        torch.log1p((tracked - place).norm(dim=-1)),
        mean.mean(dim=1, keepdim=True).expand_as(mean),
        count.expand_as(mean) / joints.shape[1],
    ]
    return torch.stack(features, dim=-1)
