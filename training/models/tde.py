# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""TDE, the multi-stage Temporal Difference Encoder (TDMI section 3.1, equations 1-5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from training.models.deform_conv import DeformConv2d
from training.models.residual import residual_blocks
from training.models.smml import conv_bn_relu


@dataclass(frozen=True)
class TDEConfig:
    """Sizes and parts of the encoder; the defaults are the complete TDE, Table 6 (d).

    stages: which of the backbone's four stages give differences; (4,) is Table 6 (a). blocks: residual blocks of
    stages 1 to 4 in equation 2. modulation: equations 3-4; without it and with fusion "progressive" it is Table 6 (c),
    with "concat" (all stages concatenated, one convolution) Table 6 (b). offset_groups: parts of the channels with
    offsets of their own; dilation: of the deformable convolutions and of those that give their offsets.
    accumulation_convs: the 3x3 convolutions after each addition of equation 5. The paper says "several"; each further
    one adds 0.33 M parameters, and with one the network has the 5.3 M that are published for it.
    """

    channels: int = 96
    stages: tuple[int, ...] = (1, 2, 3, 4)
    blocks: tuple[int, int, int, int] = (3, 3, 2, 2)
    modulation: bool = True
    fusion: Literal["progressive", "concat"] = "progressive"
    offset_groups: int = 12
    dilation: int = 3
    accumulation_convs: int = 1


def feature_differences(features: Tensor) -> Tensor:
    """Equation 1 for any span: B x T x C x h x w -> consecutive differences, concatenated: B x (T-1)C x h x w."""
    return (features[:, 1:] - features[:, :-1]).flatten(1, 2)


class SpatialModulation(nn.Module):
    """Equations 3-4: offsets and modulated scalars from the stage's own motion, then a deformable convolution of it.

    The scalars pass a sigmoid, as in DCN v2. Both predictors start near zero: offset 0, modulation 1/2.
    """

    def __init__(self, channels: int, groups: int, dilation: int) -> None:
        super().__init__()
        self.offset = nn.Sequential(residual_blocks(channels, channels, 1), _predictor(channels, 18 * groups, dilation))
        self.scale = nn.Sequential(residual_blocks(channels, channels, 1), _predictor(channels, 9 * groups, dilation))
        self.deform = DeformConv2d(channels, channels, groups, dilation)

    def forward(self, motion: Tensor) -> Tensor:
        """motion B x C x h x w -> the same, calibrated."""
        return self.deform(motion, self.offset(motion), torch.sigmoid(self.scale(motion)))


class TDE(nn.Module):
    """Features of a window at several stages -> its motion representation M."""

    def __init__(self, frames: int, features: int, config: TDEConfig) -> None:
        """frames: of a window, at least 2; features: the backbone's channels at every stage."""
        super().__init__()
        self.stages = config.stages
        channels, steps = config.channels, range(len(config.stages))
        self.intra = nn.ModuleList(
            residual_blocks((frames - 1) * features, channels, config.blocks[stage - 1]) for stage in config.stages
        )
        sizes = (channels, config.offset_groups, config.dilation)
        self.modulate = nn.ModuleList(SpatialModulation(*sizes) if config.modulation else nn.Identity() for _ in steps)
        self.concat = config.fusion == "concat"
        inputs = [channels * len(config.stages)] if self.concat else [channels for _ in steps]
        self.inter = nn.ModuleList(_convs(width, channels, config.accumulation_convs) for width in inputs)

    def forward(self, features: Mapping[int, Tensor]) -> Tensor:
        """features: stage -> B x T x features x h x w (other stages are ignored) -> M, B x channels x h x w."""
        stages = [
            modulate(intra(feature_differences(features[stage])))  # (1), (2), then (3), (4)
            for stage, intra, modulate in zip(self.stages, self.intra, self.modulate, strict=True)
        ]
        if self.concat:
            return self.inter[0](torch.cat(stages, dim=1))
        motion = self.inter[0](stages[0])
        for conv, stage in zip(self.inter[1:], stages[1:], strict=True):
            motion = conv(motion + stage)  # (5)
        return motion


def _convs(inputs: int, channels: int, count: int) -> nn.Sequential:
    """`count` times 3x3 Conv -> BN -> ReLU, the first from `inputs` channels."""
    return nn.Sequential(*(layer for i in range(count) for layer in conv_bn_relu(channels if i else inputs, channels)))


def _predictor(channels: int, outputs: int, dilation: int) -> nn.Conv2d:
    conv = nn.Conv2d(channels, outputs, 3, padding=dilation, dilation=dilation)
    nn.init.normal_(conv.weight, std=0.001)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv
