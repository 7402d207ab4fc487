# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""SMML, Spatial-Motion Mutual Learning (SDTC section 3.2, equations 6-13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from training.models.vit import attend


@dataclass(frozen=True)
class SMMLConfig:
    """Which of the three parts are built (Table 6), and what stands in for the last one (Table 4).

    fusion: "adaptive" is equations 11-13, "add" the sum of both streams, "conv" a 3x3 Conv-BN-ReLU of both.

    residual: False is equations 6-13 as they are printed: F is what they give. True, for budgets so small that they do
    not train (docs/papers.md has what was measured), adds equation 8's answer to its input, adds both aggregated
    streams, R-bar + M-bar, to F, and lets R-bar begin as little more than the keyframe's tokens: the head then reads
    the image from the first step on, and the three parts learn what to change. "refinement" is equation 8 alone.
    """

    refinement: bool = True
    propagation: bool = True
    fusion: Literal["adaptive", "add", "conv"] = "adaptive"
    residual: bool | Literal["refinement"] = True


def conv_bn_relu(inputs: int, outputs: int) -> nn.Sequential:
    """The paper's convolutional transformation: 3x3 Conv -> BN -> ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class FrameAggregation(nn.Module):
    """Frames concatenated along the channels, then a 1x1 convolution: B x T x L x C -> B x C x H x W."""

    def __init__(self, frames: int, channels: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.conv = nn.Conv2d(frames * channels, channels, 1)

    @torch.no_grad()
    def start_small(self, keyframe: bool) -> None:
        """Begin with a tenth of the usual weights, and the keyframe's tokens as they are where `keyframe` says so."""
        weight = self.conv.weight
        weight.mul_(0.1)
        self.conv.bias.zero_()  # type: ignore[union-attr]
        if keyframe:
            channels = len(weight)
            first = weight.shape[1] // channels // 2 * channels
            weight[:, first : first + channels, 0, 0] += torch.eye(channels)

    def forward(self, x: Tensor) -> Tensor:
        """x B x T x L x C -> B x C x H x W."""
        batch, frames, _, channels = x.shape
        maps = x.transpose(2, 3).reshape(batch, frames * channels, *self.grid)
        return self.conv(maps)


class SelfFeatureRefinement(nn.Module):
    """Equations 6-8: context maps by a softmax over channels, context features, pixel-context relations."""

    def __init__(self, channels: int, residual: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """x B x C x H x W -> B x C x H x W."""
        flat = x.flatten(2)  # C x HW
        regions = torch.softmax(flat, dim=1)  # (6): softmax along the channel dimension
        context = flat @ regions.transpose(1, 2)  # (7): C x C
        relation = torch.softmax(flat.transpose(1, 2) @ context, dim=-1)  # (8): HW x C
        refined = relation @ context.transpose(1, 2)  # HW x C
        enhanced = self.conv(refined.transpose(1, 2).reshape(x.shape))
        return x + enhanced if self.residual else enhanced


class SMCA(nn.Module):
    """Spatial-Motion Cross-Attention, equation 9: the source asks, the guidance answers; d = C."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.phi = conv_bn_relu(channels, channels)

    def forward(self, source: Tensor, guidance: Tensor) -> Tensor:
        """source, guidance B x C x H x W -> B x C x H x W."""
        q, k, v = (
            conv(x).flatten(2).transpose(1, 2).unsqueeze(1)  # B x 1 x HW x C: one head
            for conv, x in ((self.query, source), (self.key, guidance), (self.value, guidance))
        )
        attention = attend(q, k, v).squeeze(1)
        return self.phi(source + attention.transpose(1, 2).reshape(source.shape))


class AdaptiveFusion(nn.Module):
    """Equations 11-13: pixel-wise weights for each stream from both of them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = conv_bn_relu(2 * channels, channels)
        self.fc_spatial = nn.Conv2d(channels, channels, 1)
        self.fc_motion = nn.Conv2d(channels, channels, 1)
        self.conv_spatial = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_motion = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, spatial: Tensor, motion: Tensor) -> Tensor:
        """spatial, motion B x C x H x W -> B x C x H x W."""
        mixed = self.mix(torch.cat([spatial, motion], dim=1))  # (11)
        weight_spatial = torch.sigmoid(self.fc_spatial(mixed))  # (12)
        weight_motion = torch.sigmoid(self.fc_motion(mixed))
        return weight_spatial * self.conv_spatial(spatial) + weight_motion * self.conv_motion(motion)  # (13)


class ConvFusion(nn.Module):
    """Concatenation and convolution: the baseline of Table 4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = conv_bn_relu(2 * channels, channels)

    def forward(self, spatial: Tensor, motion: Tensor) -> Tensor:
        """spatial, motion B x C x H x W -> B x C x H x W."""
        return self.mix(torch.cat([spatial, motion], dim=1))


class SMML(nn.Module):
    """Feature sequences R and M (B x T x L x C) -> the fused feature F (B x C x H x W)."""

    def __init__(self, frames: int, channels: int, grid: tuple[int, int], config: SMMLConfig) -> None:
        super().__init__()
        self.aggregate_spatial = FrameAggregation(frames, channels, grid)
        self.aggregate_motion = FrameAggregation(frames, channels, grid)
        residual = bool(config.residual)
        self.refine_spatial = SelfFeatureRefinement(channels, residual) if config.refinement else nn.Identity()
        self.refine_motion = SelfFeatureRefinement(channels, residual) if config.refinement else nn.Identity()
        self.to_spatial = SMCA(channels) if config.propagation else None
        self.to_motion = SMCA(channels) if config.propagation else None
        fusions = {"adaptive": AdaptiveFusion, "conv": ConvFusion}
        self.fusion = fusions[config.fusion](channels) if config.fusion != "add" else None
        self.residual = config.residual is True
        if self.residual:
            self.aggregate_spatial.start_small(keyframe=True)
            self.aggregate_motion.start_small(keyframe=False)

    def forward(self, spatial: Tensor, motion: Tensor) -> Tensor:
        """spatial, motion B x T x L x C -> B x C x H x W."""
        spatial, motion = self.aggregate_spatial(spatial), self.aggregate_motion(motion)
        s, m = self.refine_spatial(spatial), self.refine_motion(motion)
        if self.to_spatial is not None and self.to_motion is not None:
            s, m = self.to_spatial(s, m), self.to_motion(m, s)  # (10): both from the refined pair
        fused = self.fusion(s, m) if self.fusion is not None else s + m
        return fused + spatial + motion if self.residual else fused
