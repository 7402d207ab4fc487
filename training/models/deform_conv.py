# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Modulated deformable convolution (Zhu et al., "Deformable ConvNets v2", CVPR 2019) without a compiled extension.

Every tap of the kernel reads the input where its offset points, bilinearly and with zeros outside, times its
modulation. Sampling is one `grid_sample` and the rest one matrix product, so the operator exports to ONNX
(GridSample, MatMul) and runs in ONNX Runtime. The layout of offsets and masks is torchvision's, stride is 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def deform_conv2d(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None, padding: int = 1, dilation: int = 1
) -> Tensor:
    """Equal to torchvision.ops.deform_conv2d with stride 1 and one group of weights.

    x B x C x H x W; offset B x 2GK x H' x W' (group by group, tap by tap, y before x, in cells) and mask B x GK x
    H' x W' for G groups of channels that share offsets and K = kh * kw taps; weight O x C x kh x kw -> B x O x H' x W'.
    Sampled in float32 at least, whatever the autocast: a bfloat16 position is off by up to 1/4 cell at column 70.
    """
    columns = sample_taps(x, offset, mask, (weight.shape[2], weight.shape[3]), padding, dilation)
    out = (weight.flatten(1) @ columns.flatten(1, 2).flatten(2)).unflatten(2, offset.shape[2:])
    return out if bias is None else out + bias[:, None, None]


def sample_taps(
    x: Tensor, offset: Tensor, mask: Tensor, kernel: tuple[int, int], padding: int, dilation: int
) -> Tensor:
    """What every tap reads: B x C x K x H' x W', modulated, in x's dtype."""
    precise = torch.promote_types(x.dtype, torch.float32)
    (kh, kw), (height, width) = kernel, x.shape[2:]
    taps, (rows, columns) = kh * kw, offset.shape[2:]
    groups = mask.shape[1] // taps
    moves = offset.to(precise).unflatten(1, (groups, taps, 2))
    device = offset.device
    tap_y = (torch.arange(kh, device=device) * dilation - padding).repeat_interleave(kw).view(taps, 1, 1)
    tap_x = (torch.arange(kw, device=device) * dilation - padding).repeat(kh).view(taps, 1, 1)
    y = moves[:, :, :, 0] + tap_y + torch.arange(rows, device=device).view(rows, 1)
    x_at = moves[:, :, :, 1] + tap_x + torch.arange(columns, device=device)
    # grid_sample's coordinates run from -1 to 1 between the outer edges of the first and last cell
    grid = torch.stack([(2 * x_at + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)  # B G K H' W' 2
    grid = grid.flatten(0, 1).flatten(1, 2)  # BG x KH' x W' x 2
    maps = x.to(precise).unflatten(1, (groups, -1)).flatten(0, 1)  # BG x C/G x H x W
    read = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    read = read.unflatten(2, (taps, rows)).unflatten(0, (-1, groups))  # B G C/G K H' W'
    return (read * mask.to(precise).unflatten(1, (groups, 1, taps))).flatten(1, 2).to(x.dtype)


class DeformConv2d(nn.Module):
    """3x3 modulated deformable convolution that keeps the size; `groups` parts of the channels have own offsets."""

    def __init__(self, inputs: int, outputs: int, groups: int = 1, dilation: int = 1) -> None:
        super().__init__()
        if inputs % groups:
            raise ValueError(f"{inputs} channels cannot be split into {groups} offset groups")
        self.groups, self.dilation = groups, dilation
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """x B x C x H x W, offset B x 18G x H x W, mask B x 9G x H x W -> B x O x H x W."""
        return deform_conv2d(x, offset, mask, self.weight, self.bias, self.dilation, self.dilation)
