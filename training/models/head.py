"""From the fused feature to heatmaps at four times the token grid.

The paper says "3x3 convolution", which at 16x12 tokens gives no 64x48 heatmap: two transposed convolutions come
before it, ViTPose's classic head made narrow.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class HeatmapHead(nn.Module):
    """B x C x H x W -> B x K x 4H x 4W."""

    def __init__(self, channels: int, width: int, joints: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (channels, width):
            layers += [
                nn.ConvTranspose2d(inputs, width, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.upsample = nn.Sequential(*layers)
        self.final = nn.Conv2d(width, joints, 3, padding=1)
        nn.init.normal_(self.final.weight, std=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """x B x C x H x W -> heatmaps B x K x 4H x 4W."""
        return self.final(self.upsample(x))


def location_heatmaps(logits: Tensor, sigma: float) -> Tensor:
    """Logits of where a joint is, ... x h x w -> its probability, scaled so that a certain joint's maximum is 1.

    Certain means the training target: a Gaussian of `sigma` cells, which sums to 2 pi sigma^2 times its maximum.
    """
    share = torch.softmax(logits.flatten(-2), dim=-1).view(logits.shape)
    return share * (2 * math.pi * sigma * sigma)
