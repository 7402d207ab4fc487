# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The sizes of SDTC on MoveNet's trunk (training.models.sdtc_movenet)."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.models.mlsme import MLSMEConfig
from training.models.movenet import MoveNetConfig
from training.models.smml import SMMLConfig


@dataclass(frozen=True)
class SDTCMoveNetConfig:
    """Every size and part of the network; the defaults are sdtc-lite.

    detail: channels of the keyframe's stride-4 features that the head reads beside the trunk's logits; trajectory:
    width of the perceptron that reads each joint's track; head_width: of the residual's layers; trust: how often
    the tracks' logits count once trained (real keyframes are more often sure of a wrong place than rendered ones);
    semantics: False leaves equations 1 to 13 out, so that the trunk and its trajectories remain; confidence: scores and
    covariances by `training.models.confidence`, not from the heatmaps alone.
    """

    backbone: MoveNetConfig = field(default_factory=MoveNetConfig)
    skeleton: str = "posetrack"
    delta: int = 2
    channels: int = 64
    head_width: int = 48
    detail: int = 8
    trajectory: int = 64
    trust: float = 1.0
    semantics: bool = True
    confidence: bool = False
    freeze_backbone: bool = True
    mlsme: MLSMEConfig = field(default_factory=lambda: MLSMEConfig(heads=2, ffn_ratio=2.0, masked_share=0.25))
    smml: SMMLConfig = field(default_factory=SMMLConfig)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens, stride 16."""
        height, width = self.backbone.image_size
        return height // 16, width // 16

    @property
    def frames(self) -> int:
        """Frames in a window, 2 * delta + 1."""
        return 2 * self.delta + 1

    @property
    def heatmap_size(self) -> tuple[int, int]:
        """Rows and columns of a heatmap, stride 4."""
        rows, columns = self.grid
        return 4 * rows, 4 * columns

    @property
    def cell(self) -> tuple[float, float]:
        """Crop pixels from one cell of a heatmap to the next, (across, down)."""
        (rows, columns), (height, width) = self.heatmap_size, self.backbone.image_size
        return (width - 1) / (columns - 1), (height - 1) / (rows - 1)
