# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Optical flow as the motion feature: the baseline of SDTC's Table 4 and TDMI's Table 5.

The flow is OpenCV's DIS (Kroeger et al., 2016), from the keyframe to each frame of the window, at the crop's size. The
papers take a learned flow network (TDMI says RAFT); DIS needs no weights and no network access.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor, nn


def window_flow(crops: Tensor) -> Tensor:
    """uint8 BGR windows B x T x H x W x 3 -> flow B x T x 2 x H x W (x, y) from the keyframe to each frame.

    In shares of the crop's width, so that its scale does not depend on the crop's size; the keyframe's is zero. Runs
    on the CPU whatever the crops' device.
    """
    windows = crops.cpu().numpy()
    batch, frames, height, width = windows.shape[:4]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)  # type: ignore[attr-defined]
    flow = np.zeros((batch, frames, height, width, 2), np.float32)
    for window, answer in zip(windows, flow, strict=True):
        grey = [cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY) for crop in window]
        for t, image in enumerate(grey):
            if t != frames // 2:
                answer[t] = dis.calc(grey[frames // 2], image, None)
    return torch.from_numpy(flow / width).permute(0, 1, 4, 2, 3).to(crops.device)


class FlowMotion(nn.Module):
    """Flow of a window -> motion tokens on the backbone's grid, by two strided convolutions that end at its patch."""

    def __init__(self, channels: int, patch: int) -> None:
        super().__init__()
        if patch % 4:
            raise ValueError(f"the flow's convolutions need a patch size that is a multiple of 4, got {patch}")
        self.encoder = nn.Sequential(
            nn.Conv2d(2, channels // 2, 4, stride=4),
            nn.GELU(),
            nn.Conv2d(channels // 2, channels, patch // 4, patch // 4),
        )

    def forward(self, crops: Tensor) -> Tensor:
        """uint8 windows B x T x H x W x 3 -> B x T x L x C."""
        batch, frames = crops.shape[:2]
        maps = self.encoder(10 * window_flow(crops).flatten(0, 1))  # 10: flow is a few hundredths of the width
        return maps.flatten(2).transpose(1, 2).unflatten(0, (batch, frames))
