# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Baselines of the tables: the single-frame network (ViTPose: backbone and head, no other frame)."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from sdtc_ros.skeleton import skeleton_by_name
from training.models.head import HeadKind, location_heatmaps, make_head
from training.models.sdtc import SDTCOutput, normalise
from training.models.vit import ViT, ViTConfig


@dataclass(frozen=True)
class SingleFrameConfig:
    """Backbone and head of a network that sees the keyframe alone; delta is 0.

    head: "deconv" as in SDTC here; "classic" and "simple" are ViTPose's, for its published weights (no `head_width` in
    the simple one). location_sigma: None for the papers' heatmap regression. Otherwise the head gives logits of where
    the joint is, trained by cross-entropy against a Gaussian of this sigma (cells): learning from scratch starts far
    sooner so.
    """

    backbone: ViTConfig = field(default_factory=ViTConfig)
    skeleton: str = "posetrack"
    head: HeadKind = "deconv"
    head_width: int = 256
    location_sigma: float | None = None
    freeze_backbone: bool = False

    @property
    def delta(self) -> int:
        """Always 0: no neighbours."""
        return 0

    @property
    def heatmap_size(self) -> tuple[int, int]:
        """Rows and columns of a heatmap: four times the token grid."""
        rows, columns = self.backbone.grid
        return 4 * rows, 4 * columns


class SingleFrame(nn.Module):
    """ViTPose, a backbone and a head; trained whole, or the head alone."""

    def __init__(self, config: SingleFrameConfig) -> None:
        super().__init__()
        self.config = config
        self.skeleton = skeleton_by_name(config.skeleton)
        self.backbone = ViT(config.backbone)
        self.head = make_head(config.head, config.backbone.dim, config.head_width, len(self.skeleton))
        if config.freeze_backbone:
            self.backbone.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> SingleFrame:
        """A frozen backbone stays in eval mode, as SDTC's does."""
        super().train(mode)
        if self.config.freeze_backbone:
            self.backbone.eval()
        return self

    def encode(self, crops: Tensor) -> Tensor:
        """uint8 BGR crops N x H x W x 3 -> tokens N x L x D."""
        return self.backbone(normalise(crops))

    def estimate(self, tokens: Tensor) -> Tensor:
        """Window tokens B x T x L x D -> heatmaps B x K x h x w of the middle frame."""
        maps, sigma = self._maps(tokens), self.config.location_sigma
        return maps if sigma is None else location_heatmaps(maps, sigma)

    def forward(self, crops: Tensor, context: Tensor | None = None) -> SDTCOutput:
        """uint8 BGR windows B x T x H x W x 3 -> SDTCOutput with heatmaps only; context as in SDTC."""
        if context is None:
            context = self.encode(crops[:, crops.shape[1] // 2]).unsqueeze(1)
        maps = self._maps(context)
        return SDTCOutput.of(maps, self.config.location_sigma)

    def _maps(self, tokens: Tensor) -> Tensor:
        """What the head gives for the middle frame of B x T x L x D tokens."""
        keyframe = tokens[:, tokens.shape[1] // 2]
        return self.head(keyframe.transpose(1, 2).unflatten(2, self.config.backbone.grid))
