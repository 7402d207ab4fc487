# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Adapters for corrupted images beside a MoveNet's layers, and the gate that decides how much they count.

A network that is trained further on corrupted crops of rendered people forgets photographs. Here its weights stay as
published, and beside each later layer stands a narrow one of its own (a parallel adapter: He et al., "Towards a unified
view of parameter-efficient transfer learning", arXiv:2110.04366) whose output counts `gate` times: 0 for a crop that is
clean, where the published network answers, 1 for one that is blurred, occluded or dark.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LOOK = 32  # channels of the gate's layers
PRIOR = -2.0  # logits: in training three crops of four are corrupted, before a camera far fewer
PYRAMID = 24  # hidden channels of the pyramid's adapters


class Gate(nn.Module):
    """How corrupted a crop is, from early features.

    Their mean over the crop says how sharp and bright it is, their maximum whether something lies before a part of it.
    """

    def __init__(self, lateral: int, stride8: int) -> None:
        super().__init__()
        self.fine = nn.Conv2d(lateral, LOOK, 3, stride=2, padding=1)
        self.coarse = nn.Conv2d(stride8, LOOK, 1)
        self.local = nn.Conv2d(LOOK, LOOK, 3, stride=2, padding=1)
        self.hidden = nn.Conv2d(2 * LOOK, LOOK, 1)
        self.decide = nn.Conv2d(LOOK, 1, 1)

    def logit(self, lateral: Tensor, stride8: Tensor) -> Tensor:
        """What MoveNet.early gives, B x C x h x w each -> B x 1 x 1 x 1."""
        seen = F.relu(self.local(F.relu(self.fine(lateral) + self.coarse(stride8))))
        over = torch.cat([seen.mean(dim=(2, 3), keepdim=True), seen.amax(dim=(2, 3), keepdim=True)], dim=1)
        return self.decide(F.relu(self.hidden(over)))

    def forward(self, lateral: Tensor, stride8: Tensor) -> Tensor:
        """How far it is open, B x 1 x 1 x 1 between 0 and 1."""
        return torch.sigmoid(self.logit(lateral, stride8) + PRIOR)


class Adapter(nn.Module):
    """A narrow inverted residual beside a layer; its output is zero before training."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.expand = nn.Conv2d(inputs, hidden, 1)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, stride=stride, padding=2 - stride, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1, bias=False)
        nn.init.zeros_(self.project.weight)

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        """x B x inputs x H x W, gate B x 1 x 1 x 1 -> B x outputs x H/stride x W/stride."""
        y = F.relu6(self.expand(x))
        y = F.pad(y, (0, 1, 0, 1)) if self.stride == 2 else y  # TensorFlow's 'SAME', as the layer beside it
        return self.project(F.relu6(self.depthwise(y)) * gate)
