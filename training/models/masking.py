# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Random masks of MLSME (SDTC equations 1 and 4). A mask is True where the token is HIDDEN, i.e. the paper's M-hat."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def tube_mask(batch: int, places: int, ratio: float, device: torch.device | None = None) -> Tensor:
    """B x 1 x L x 1 bool: round(ratio * L) places hidden, the same ones in every frame (equation 1's M-hat_c)."""
    return _random_subset(batch, places, ratio, device).view(batch, 1, places, 1)


def frame_mask(batch: int, frames: int, ratio: float, device: torch.device | None = None) -> Tensor:
    """B x T x 1 x 1 bool: round(ratio * T) whole frames hidden (equation 4's M-hat_f)."""
    return _random_subset(batch, frames, ratio, device).view(batch, frames, 1, 1)


def _random_subset(batch: int, total: int, ratio: float, device: torch.device | None) -> Tensor:
    """B x total bool with exactly round-half-up(ratio * total) True in each row."""
    hidden = int(ratio * total + 0.5)
    order = torch.rand(batch, total, device=device).argsort(dim=1)
    return order < hidden


class MaskToken(nn.Module):
    """Replaces hidden tokens by a learned one that keeps its place: M * R + M-hat * (token + position)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(channels))
        nn.init.trunc_normal_(self.token, std=0.02)

    def forward(self, tokens: Tensor, hidden: Tensor, position: Tensor) -> Tensor:
        """tokens B x T x L x C, hidden broadcastable bool, position T x L x C -> B x T x L x C."""
        return torch.where(hidden, (self.token + position).to(tokens.dtype), tokens)
