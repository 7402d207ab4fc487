# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Random masks of MLSME (SDTC equations 1 and 4). A mask is True where the token is MASKED, i.e. the paper's M-hat.

Under torch.distributed every process draws for all of them and takes its own part. Processes are seeded alike, so each
masks other places, and several processes on parts of a batch mask what one process on the whole batch would.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn


def tube_mask(batch: int, places: int, ratio: float, device: torch.device | None = None) -> Tensor:
    """B x 1 x L x 1 bool: round(ratio * L) places masked, the same ones in every frame (equation 1's M-hat_c)."""
    return _random_subset(batch, places, ratio, device).view(batch, 1, places, 1)


def frame_mask(batch: int, frames: int, ratio: float, device: torch.device | None = None) -> Tensor:
    """B x T x 1 x 1 bool: round(ratio * T) whole frames masked (equation 4's M-hat_f)."""
    return _random_subset(batch, frames, ratio, device).view(batch, frames, 1, 1)


def masked_samples(batch: int, share: float, device: torch.device | None = None) -> Tensor:
    """B x 1 x 1 x 1 bool: the samples that are masked at all, each with probability `share`."""
    return (_draw(batch, 1, device) < share).view(batch, 1, 1, 1)


def _random_subset(batch: int, total: int, ratio: float, device: torch.device | None) -> Tensor:
    """B x total bool with exactly round-half-up(ratio * total) True in each row."""
    masked = int(ratio * total + 0.5)
    return _draw(batch, total, device).argsort(dim=1) < masked


def _draw(batch: int, total: int, device: torch.device | None) -> Tensor:
    """B x total uniform numbers in 0..1: this process's rows of those for all processes."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return torch.rand(batch, total, device=device)
    rank = distributed.get_rank()
    everybody = torch.rand(batch * distributed.get_world_size(), total, device=device)
    return everybody[rank * batch : (rank + 1) * batch]


class MaskToken(nn.Module):
    """Replaces masked tokens by a learned one that keeps its place: M * R + M-hat * (token + position)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(channels))
        nn.init.trunc_normal_(self.token, std=0.02)

    def forward(self, tokens: Tensor, masked: Tensor, position: Tensor) -> Tensor:
        """tokens B x T x L x C, masked broadcastable bool, position T x L x C -> B x T x L x C."""
        return torch.where(masked, (self.token + position).to(tokens.dtype), tokens)
