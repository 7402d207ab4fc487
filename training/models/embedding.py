# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Feature embedding (SDTC section 3.1): backbone tokens -> C channels + where they are in space and time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def sine_cosine_2d(rows: int, columns: int, channels: int) -> Tensor:
    """Fixed 2-D sine-cosine position code, L x C: half the channels for the row, half for the column.

    Vaswani et al. (2017) applied to each axis; channels must be a multiple of 4.
    """
    if channels % 4:
        raise ValueError(f"2-D sine-cosine embedding needs a multiple of 4 channels, got {channels}")
    frequency = torch.exp(torch.arange(channels // 4) * (-math.log(10000.0) / (channels // 4)))
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = [position.reshape(-1, 1) * frequency for position in (y.float(), x.float())]
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1)


class Projection(nn.Module):
    """Backbone width -> C, frame by frame: the last step that is cached in streaming."""

    def __init__(self, backbone_dim: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(backbone_dim, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens ... x L x D -> ... x L x C."""
        return self.linear(tokens)


class SpaceTimeEmbedding(nn.Module):
    """The position code of every place in a window: fixed sine-cosine in space, learned in time.

    Kept apart from the tokens because a masked token must keep its place: the mask replaces what was seen there, not
    where it is (the paper does not say; without it all masked tokens are alike and nothing can be reconstructed).
    """

    def __init__(self, frames: int, grid: tuple[int, int], channels: int, spatial: bool, temporal: bool) -> None:
        super().__init__()
        space = sine_cosine_2d(*grid, channels)
        self.register_buffer("space", space if spatial else torch.zeros_like(space), persistent=False)
        self.time = nn.Parameter(torch.zeros(frames, channels)) if temporal else None
        if self.time is not None:
            nn.init.trunc_normal_(self.time, std=0.02)

    def forward(self) -> Tensor:
        """The code, T x L x C (1 x L x C without the temporal part)."""
        assert isinstance(self.space, Tensor)
        if self.time is None:
            return self.space.unsqueeze(0)
        return self.space.unsqueeze(0) + self.time.unsqueeze(1)
