# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""RDM, the Representation Disentanglement Module (TDMI section 3.2): useful and noisy motion, equation 6.

What makes the two parts useful and noisy is the mutual-information objective (`mutual_information`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class RDMConfig:
    """How motion is parted (Table 7).

    factorisation: "attention" is equation 6, "split" halves the channels (c), "none" leaves the module out, all motion
    is taken for useful (TDMI without RDM, Table 5 a). reduction: of the MLPs' hidden layer.
    """

    factorisation: Literal["attention", "split", "none"] = "attention"
    reduction: int = 4


class ChannelGate(nn.Module):
    """sigma(MLP(GAP(M))): one weight in 0..1 a channel."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels))

    def forward(self, motion: Tensor) -> Tensor:
        """motion B x C x h x w -> B x C."""
        return torch.sigmoid(self.mlp(motion.mean(dim=(2, 3))))


class RDM(nn.Module):
    """M -> its useful and its noisy part (None where there is none), `useful_channels` and `noisy_channels` wide."""

    def __init__(self, channels: int, config: RDMConfig, noisy: bool = True) -> None:
        """noisy: whether anything will read the noisy part; else it is not built."""
        super().__init__()
        self.factorisation = config.factorisation
        self.useful_channels = channels - channels // 2 if config.factorisation == "split" else channels
        noisy_channels = {"attention": channels, "split": channels // 2, "none": 0}[config.factorisation]
        self.noisy_channels = noisy_channels if noisy else 0
        if config.factorisation == "attention":
            self.useful_gate = ChannelGate(channels, config.reduction)
            self.noisy_gate = ChannelGate(channels, config.reduction) if noisy else None

    def useful(self, motion: Tensor) -> Tensor:
        """M_u of M (B x C x h x w): all that inference needs."""
        if self.factorisation == "attention":
            return motion * self.useful_gate(motion)[:, :, None, None]
        return motion[:, : self.useful_channels]

    def noisy(self, motion: Tensor) -> Tensor | None:
        """M_n of M (B x C x h x w): the contrast that the objective needs."""
        if self.factorisation == "attention" and self.noisy_gate is not None:
            return motion * self.noisy_gate(motion)[:, :, None, None]
        return motion[:, self.useful_channels :] if self.noisy_channels else None
