# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""SDTC on MoveNet's trunk, small enough for a robot's CPU: sdtc-lite (Lightning) and sdtc-base (Thunder).

The trunk has seen real people and has heatmaps of its own; SDTC adds to them what neighbouring frames tell:

    logits = the trunk's own in the keyframe + what the trajectories say + a residual from the fused feature F

Both additions are zero at the first step, so training starts at the single-frame answer. Equations 1-16 are as in
`training.models.sdtc`, but for their grids: the motion encoders read tokens pooled to stride 32 (joint attention over
240 of them costs a sixteenth of that over 960), SMML works at stride 16. A token carries the trunk's feature and the
trunk's heatmaps of its 4 x 4 cells. Three tensors a crop are cached in streaming: tokens, joints and detail.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdtc_ros.skeleton import skeleton_by_name
from training.models.decode import Decode
from training.models.embedding import SpaceTimeEmbedding
from training.models.mlsme import MLSME, MLSMEConfig, Motion, MotionDecoder, Reconstruction
from training.models.movenet import FEATURES, MoveNet, MoveNetConfig, SeparableConv
from training.models.movenet_decode import CocoToPoseTrack, MoveNetDecode
from training.models.smml import SMML, SMMLConfig
from training.models.trajectory import Trajectory

SAME = 1.5  # cells: a maximum this near to a joint is the joint
FLOOR = 1e-4  # of heatmaps, so that their logits are finite
POOL = 2  # tokens of stride 16 are pooled 2 x 2 for the motion encoders


@dataclass(frozen=True)
class SDTCMoveNetConfig:
    """Every size and part of the network; the defaults are sdtc-lite.

    detail: channels of the keyframe's stride-4 features that the head reads beside the trunk's logits; trajectory:
    width of the perceptron that reads each joint's track; head_width: of the residual's layers; trust: how often
    the tracks' logits count once trained (real keyframes are more often sure of a wrong place than rendered ones);
    semantics: False leaves equations 1 to 13 out, so that the trunk and its trajectories remain.
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


@dataclass
class SDTCMoveNetOutput:
    """logits B x K x h x w of the keyframe, places B x K x 2 (cells) of its joints by their trajectories.

    The rest in training with masks only (else None): reconstruction on the pooled grid (poses at stride 8), context
    B x T x L' x D the trunk's pooled feature, masked B x T x L' x 1 bool.
    """

    logits: Tensor
    places: Tensor
    reconstruction: Reconstruction | None = None
    context: Tensor | None = None
    masked: Tensor | None = None

    @property
    def heatmaps(self) -> Tensor:
        """Probabilities that the joint is in the cell, B x K x h x w."""
        return torch.sigmoid(self.logits)


class Seen(NamedTuple):
    """What the single-frame network sees in N crops, and in windows B x T.

    stride16 N x D x h/4 x w/4 and stride4 N x 24 x h x w: its features; heatmaps N x K x h x w: as they decide, that is
    weighted by the nearness to the crop's person; joints N x K x 3: column and row (cells), and score.
    """

    stride16: Tensor
    stride4: Tensor
    heatmaps: Tensor
    joints: Tensor


def odds(heatmaps: Tensor) -> Tensor:
    """Probabilities -> logits between -9.2 and 9.2."""
    return torch.logit(heatmaps, eps=FLOOR)


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

    def __init__(self, config: SDTCMoveNetConfig, joints: int) -> None:
        super().__init__()
        channels, frames, features = config.channels, config.frames, config.backbone.token_channels
        rows, columns = self.grid = config.grid
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


class SDTCMoveNet(nn.Module):
    """The whole network; `forward` trains on what `look` gives, `encode` and `estimate` are what is exported."""

    def __init__(self, config: SDTCMoveNetConfig) -> None:
        super().__init__()
        self.config = config
        self.skeleton = skeleton_by_name(config.skeleton)
        self.backbone = MoveNet(config.backbone)
        self.decode = MoveNetDecode(config.heatmap_size)
        self.to_skeleton = CocoToPoseTrack(config.heatmap_size)
        self.trajectory = Trajectory(config.frames, config.heatmap_size, config.trajectory)
        self.semantics = Semantics(config, len(self.skeleton)) if config.semantics else None
        self.token_names = ("joints", "logits", "tokens", "detail") if config.semantics else ("joints", "logits")
        if config.freeze_backbone:
            self.backbone.requires_grad_(False)

    def look(self, crops: Tensor) -> Seen:
        """The single-frame network: uint8 BGR crops N x H x W x 3 -> what it sees."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze_backbone):
            features = self.backbone.features(crops.float().flip(-1))
            keypoints, _, heatmaps = self.to_skeleton(*self.decode(*self.backbone.heads(features.stride4)))
        (h, w), (height, width) = self.config.heatmap_size, self.config.backbone.image_size
        cells = keypoints * keypoints.new_tensor([(w - 1) / (width - 1), (h - 1) / (height - 1), 1.0])
        return Seen(features.stride16, features.stride4, heatmaps, cells)

    def encode(self, crops: Tensor) -> dict[str, Tensor]:
        """uint8 BGR crops N x H x W x 3 -> what streaming keeps of each, by name.

        joints N x K x 3 as in `Seen`; logits N x K x h x w of its heatmaps; with semantics tokens N x L x C, and
        detail, a few channels of the stride-4 features, N x detail x h x w.
        """
        seen = self.look(crops)
        cached = {"joints": seen.joints, "logits": odds(seen.heatmaps)}
        if self.semantics is not None:
            cached["tokens"] = self.semantics.tokens(seen.stride16, seen.heatmaps)
            cached["detail"] = self.semantics.detail(seen.stride4)
        return cached

    def estimate(self, cached: dict[str, Tensor]) -> Tensor:
        """The cached tensors of windows, B x T x ... by name -> the keyframe's heatmaps B x K x h x w."""
        return self._combine(cached)[0]

    def poses(self, cached: dict[str, Tensor], decode: Decode) -> tuple[Tensor, Tensor, Tensor]:
        """The cached tensors of windows -> keypoints, covariance (both B x K x 3, crop pixels), heatmaps B x K x h x w.

        A maximum where the keyframe itself has the joint, or else where its trajectory has it, is that joint: MoveNet's
        offsets, and a line through several of them, know places better than cells do.
        """
        heatmaps, places = self._combine(cached)
        keypoints, covariance = decode(heatmaps)
        (h, w), (height, width) = self.config.heatmap_size, self.config.backbone.image_size
        cell = keypoints.new_tensor([(width - 1) / (w - 1), (height - 1) / (h - 1)])
        place = keypoints[..., :2]
        for known in (places * cell, cached["joints"][:, self.config.delta, :, :2] * cell):
            away = ((known - keypoints[..., :2]) / cell).abs().amax(dim=-1, keepdim=True)
            place = torch.where(away < SAME, known, place)
        return torch.cat([place, keypoints[..., 2:]], dim=-1), covariance, heatmaps

    def _combine(self, cached: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The keyframe's heatmaps B x K x h x w, and where the trajectories have its joints, B x K x 2 cells."""
        logits = cached["logits"][:, self.config.delta]
        places, gaussians, moved = self.trajectory(cached["joints"])
        combined = logits + self.config.trust * moved
        if self.semantics is not None:
            detail = cached["detail"][:, self.config.delta]
            combined = combined + self.semantics(cached["tokens"], detail, logits, gaussians)[0]
        return torch.sigmoid(combined), places

    def forward(self, stride16: Tensor, stride4: Tensor, heatmaps: Tensor, joints: Tensor) -> SDTCMoveNetOutput:
        """What was seen in windows (see `Seen`), B x T x ..., but stride4 B x ... of the keyframe alone."""
        logits = odds(heatmaps[:, self.config.delta])
        places, gaussians, moved = self.trajectory(joints)
        output = SDTCMoveNetOutput(logits + moved, places)
        parts = self.semantics
        if parts is None:
            return output
        windows = stride16.shape[:2]
        tokens = parts.tokens(stride16.flatten(0, 1), heatmaps.flatten(0, 1)).unflatten(0, windows)
        residual, motion = parts(tokens, parts.detail(stride4), logits, gaussians)
        output.logits = output.logits + residual
        if motion.hybrid is not None:
            output.reconstruction, output.masked = parts.decoder(motion.hybrid), motion.masked
            pooled = F.avg_pool2d(stride16.flatten(0, 1), POOL)
            output.context = pooled.flatten(2).transpose(1, 2).unflatten(0, windows).detach()
        return output
