# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Equations 1 to 13 on what MoveNet's trunk sees: tokens with its heatmaps, MLSME, SMML, and a head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.embedding import SpaceTimeEmbedding
from training.models.mlsme import MLSME, Motion, MotionDecoder
from training.models.movenet import FEATURES, SeparableConv
from training.models.realign import realigned_tokens
from training.models.sdtc_movenet_config import SDTCMoveNetConfig
from training.models.smml import SMML
from training.models.trajectory import Tracks, Trajectory

POOL = 2  # tokens of stride 16 are pooled 2 x 2 for the motion encoders


class TokenEmbedding(nn.Module):
    """What a token is made of: the trunk's feature at stride 16, and its heatmaps of the token's 4 x 4 cells."""

    def __init__(self, features: int, joints: int, channels: int) -> None:
        super().__init__()
        self.feature = nn.Conv2d(features, channels, 1)
        self.heatmap = nn.Conv2d(joints, channels, 4, stride=4, bias=False)

    def forward(self, stride16: Tensor, heatmaps: Tensor) -> Tensor:
        """stride16 N x D x H x W, heatmaps N x K x 4H x 4W -> N x L x C."""
        return (self.feature(stride16) + self.heatmap(heatmaps)).flatten(2).transpose(1, 2)


class ResidualHead(nn.Module):
    """F and what is known of the keyframe at stride 4 -> logits to add; zero before training."""

    def __init__(self, channels: int, width: int, detail: int, joints: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.mix = SeparableConv(width + detail + 3 * joints, width)
        self.final = nn.Conv2d(width, joints, 1)
        nn.init.zeros_(self.final.weight)
        nn.init.zeros_(self.final.bias)  # type: ignore[arg-type]

    def forward(self, fused: Tensor, known: Tensor) -> Tensor:
        """fused B x C x H x W, known B x (detail + 3K) x 4H x 4W -> B x K x 4H x 4W.

        Computed at stride 8, a quarter of the cells: what it adds are whole Gaussians, the detail is in the logits.
        """
        x = F.relu(self.norm(self.up(fused)))
        coarse = self.final(self.mix(torch.cat([x, F.avg_pool2d(known, 2)], dim=1)))
        return F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)


class Semantics(nn.Module):
    """Equations 1 to 13 on what the trunk sees, and the head on F: logits to add to the keyframe's heatmaps."""

    names = ("tokens", "detail")  # of what is cached of a crop

    def __init__(self, config: SDTCMoveNetConfig, joints: int) -> None:
        super().__init__()
        channels, frames, features = config.channels, config.frames, config.backbone.token_channels
        rows, columns = self.grid = config.grid
        self.image_size = config.backbone.image_size
        self.pooled = rows // POOL, columns // POOL
        self.tokens = TokenEmbedding(features, joints, channels)
        self.detail = nn.Conv2d(FEATURES, config.detail, 1)
        self.embedding = SpaceTimeEmbedding(frames, config.grid, channels, True, True)
        self.pool = nn.Conv2d(channels, channels, POOL, stride=POOL)
        self.pooled_embedding = SpaceTimeEmbedding(frames, self.pooled, channels, True, True)
        self.mlsme = MLSME(channels, config.mlsme)
        if config.mlsme.mask_ratio > 0:
            self.decoder = MotionDecoder(channels, config.mlsme.heads, features, joints, self.pooled)
        self.unpool = nn.ConvTranspose2d(channels, channels, POOL, stride=POOL)
        self.smml = SMML(frames, channels, config.grid, config.smml)
        self.head = ResidualHead(channels, config.head_width, config.detail, joints)

    def forward(self, tokens: Tensor, detail: Tensor, logits: Tensor, gaussians: Tensor) -> tuple[Tensor, Motion]:
        """tokens B x T x L x C; of the keyframe detail, logits and the trajectories' Gaussians, B x ... x h x w."""
        embedded = tokens + self.embedding()
        position = self.pooled_embedding()
        motion = self.mlsme(self._pooled(embedded) + position, position)
        fused = self.smml(embedded, self._unpooled(motion.motion))
        known = torch.cat([torch.sigmoid(logits), logits / 8, gaussians, detail], dim=1)
        return self.head(fused, known), motion

    def cached(self, stride16: Tensor, stride4: Tensor, heatmaps: Tensor, logits: Tensor) -> tuple[Tensor, ...]:
        """What was seen in N crops, and its logits -> tokens N x L x C, detail N x d x h x w."""
        return self.tokens(stride16, heatmaps), self.detail(stride4)

    def realigned(self, cached: dict[str, Tensor], moves: Tensor) -> dict[str, Tensor]:
        """What is cached of windows in the frames' own crops, and their moves -> the maps in the keyframe's crop."""
        return {"tokens": realigned_tokens(cached["tokens"], moves, self.grid, self.image_size)}

    def residual(self, cached: dict[str, Tensor], trajectory: Trajectory, tracks: Tracks) -> Tensor:
        """What is cached of windows, B x T x ... by name, and their tracks -> logits B x K x h x w to add."""
        keyframe = cached["logits"].shape[1] // 2
        detail, logits = cached["detail"][:, keyframe], cached["logits"][:, keyframe]
        return self(cached["tokens"], detail, logits, trajectory.gaussians(tracks))[0]

    def _pooled(self, embedded: Tensor) -> Tensor:
        """B x T x L x C -> B x T x L/4 x C."""
        batch, frames, _, channels = embedded.shape
        maps = embedded.transpose(2, 3).reshape(batch * frames, channels, *self.grid)
        return self.pool(maps).flatten(2).transpose(1, 2).reshape(batch, frames, -1, channels)

    def _unpooled(self, motion: Tensor) -> Tensor:
        """B x T x L/4 x C -> B x T x L x C."""
        batch, frames, _, channels = motion.shape
        maps = motion.transpose(2, 3).reshape(batch * frames, channels, *self.pooled)
        return self.unpool(maps).flatten(2).transpose(1, 2).reshape(batch, frames, -1, channels)
