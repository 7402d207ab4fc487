# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""From a feature to heatmaps at four times its grid.

The SDTC paper says "3x3 convolution", which at 16x12 tokens gives no 64x48 heatmap: two transposed convolutions come
before it, ViTPose's classic head made narrow. ViTPose's own heads are here too, for its published weights.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HeadKind = Literal["deconv", "classic", "simple"]


class HeatmapHead(nn.Module):
    """B x C x H x W -> B x K x 4H x 4W. ViTPose's classic head is width 256 and a final kernel of 1."""

    def __init__(self, channels: int, width: int, joints: int, final_kernel: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (channels, width):
            layers += [
                nn.ConvTranspose2d(inputs, width, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.upsample = nn.Sequential(*layers)
        self.final = nn.Conv2d(width, joints, final_kernel, padding=final_kernel // 2)
        nn.init.normal_(self.final.weight, std=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """x B x C x H x W -> heatmaps B x K x 4H x 4W."""
        return self.final(self.upsample(x))


class SimpleHead(nn.Module):
    """ViTPose's simple head: ReLU, bilinear x4, one 3x3 convolution. B x C x H x W -> B x K x 4H x 4W."""

    def __init__(self, channels: int, joints: int) -> None:
        super().__init__()
        self.final = nn.Conv2d(channels, joints, 3, padding=1)
        nn.init.normal_(self.final.weight, std=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """x B x C x H x W -> heatmaps B x K x 4H x 4W."""
        return self.final(F.interpolate(F.relu(x), scale_factor=4.0, mode="bilinear", align_corners=False))


def make_head(kind: HeadKind, channels: int, width: int, joints: int) -> HeatmapHead | SimpleHead:
    """Head by its kind: "deconv" ends in a 3x3 convolution, "classic" in a 1x1; "simple" has no `width`."""
    if kind == "simple":
        return SimpleHead(channels, joints)
    return HeatmapHead(channels, width, joints, final_kernel={"deconv": 3, "classic": 1}[kind])


def location_heatmaps(logits: Tensor, sigma: float) -> Tensor:
    """Logits of where a joint is, ... x h x w -> its probability, scaled so that a certain joint's maximum is 1.

    Certain means the training target: a Gaussian of `sigma` cells, which sums to 2 pi sigma^2 times its maximum.
    """
    share = torch.softmax(logits.flatten(-2), dim=-1).view(logits.shape)
    return share * (2 * math.pi * sigma * sigma)
