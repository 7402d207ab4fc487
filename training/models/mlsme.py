# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""MLSME, the Multi-Level Semantic Motion Encoder (SDTC section 3.1, equations 1-5) and its training-only decoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.models.masking import MaskToken, frame_mask, masked_samples, tube_mask
from training.models.spacetime import MotionEncoder
from training.models.vit import Mlp, SelfAttention


@dataclass(frozen=True)
class MLSMEConfig:
    """Sizes and parts of the motion encoder.

    frame_level=False leaves the second encoder out (Table 5 b). mask_ratio 0 trains without masks and without the
    decoder (Table 5 a's plain ViT motion encoder is mask_ratio=0, frame_level=False). masked_share: how many samples
    of a batch are masked at all; the paper masks all of them, and then first sees whole motion features at inference.
    """

    heads: int = 4
    ffn_ratio: float = 4.0
    joint_blocks: int = 1
    divided_blocks: int = 1
    frame_level: bool = True
    mask_ratio: float = 0.5
    masked_share: float = 1.0


@dataclass
class Motion:
    """What MLSME gives. motion: M of equation 5, B x T x L x C.

    frame: R^F, the frame-level encoder's output (R^P where there is none). Training with masks only (else None):
    `hybrid` is R^P_fm of equation 4, and `masked` B x T x L x 1 bool says where both masks hide, M-hat_c * M-hat_f of
    equation 15 (the tube mask alone without a frame level).
    """

    motion: Tensor
    frame: Tensor
    hybrid: Tensor | None = None
    masked: Tensor | None = None


class MLSME(nn.Module):
    """R (B x T x L x C, positions included) -> M = R^P + R^F (equation 5)."""

    def __init__(self, channels: int, config: MLSMEConfig) -> None:
        super().__init__()
        self.config = config
        sizes = (channels, config.heads, config.ffn_ratio, config.joint_blocks, config.divided_blocks)
        self.patch_encoder = MotionEncoder(*sizes)
        self.frame_encoder = MotionEncoder(*sizes) if config.frame_level else None
        masks = config.mask_ratio > 0
        self.tube_token = MaskToken(channels) if masks else None
        self.frame_token = MaskToken(channels) if masks and config.frame_level else None

    def forward(self, embedded: Tensor, position: Tensor) -> Motion:
        """embedded B x T x L x C, position T x L x C. Masks act in training mode only."""
        batch, frames, places, _ = embedded.shape
        masked: Tensor | None = None
        masking = self.training and self.tube_token is not None
        if self.training and self.tube_token is not None:
            chosen = masked_samples(batch, self.config.masked_share, embedded.device)
            masked = tube_mask(batch, places, self.config.mask_ratio, embedded.device) & chosen
            embedded = self.tube_token(embedded, masked, position)  # (1)
        patch = self.patch_encoder(embedded)  # (2), (3)
        if self.frame_encoder is None:
            everywhere = None if masked is None else masked.expand(-1, frames, -1, -1)
            return Motion(patch, patch, patch if masking else None, everywhere)
        hybrid = patch
        if masked is not None and self.frame_token is not None:
            whole = frame_mask(batch, frames, self.config.mask_ratio, embedded.device) & chosen
            hybrid = self.frame_token(patch, whole, position)  # (4)
            masked = masked & whole
        frame = self.frame_encoder(hybrid)
        return Motion(patch + frame, frame, hybrid if masking else None, masked)  # (5)


@dataclass
class Reconstruction:
    """The decoder's answers for every token. context B x T x L x D (backbone width); poses B x T x K x h x w."""

    context: Tensor
    poses: Tensor


class MotionDecoder(nn.Module):
    """Training only: two MHSA layers, then one MLP head for feature contexts and one for pose heatmaps.

    A token answers for its own cell of the heatmaps: cell x cell values for each joint.
    """

    def __init__(
        self, channels: int, heads: int, backbone_dim: int, joints: int, grid: tuple[int, int], cell: int = 4
    ) -> None:
        super().__init__()
        self.joints, self.grid, self.cell = joints, grid, cell
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.layers = nn.ModuleList(SelfAttention(channels, heads) for _ in range(2))
        self.context = Mlp(channels, channels, backbone_dim)
        self.pose = Mlp(channels, channels, joints * cell * cell)

    def forward(self, hybrid: Tensor) -> Reconstruction:
        """hybrid B x T x L x C -> Reconstruction."""
        batch, frames, places, channels = hybrid.shape
        x = hybrid.reshape(batch, frames * places, channels)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + layer(norm(x))
        x = x.reshape(batch, frames, places, channels)
        rows, columns = self.grid
        cells = self.pose(x).reshape(batch, frames, rows, columns, self.joints, self.cell, self.cell)
        poses = cells.permute(0, 1, 4, 2, 5, 3, 6)  # B T K rows cell columns cell
        return Reconstruction(
            context=self.context(x),
            poses=poses.reshape(batch, frames, self.joints, rows * self.cell, columns * self.cell),
        )


def cells_masked(masked: Tensor, grid: tuple[int, int], cell: int = 4) -> Tensor:
    """Token mask B x T x L x 1 -> heatmap mask B x T x 1 x h x w: which heatmap cells belong to masked tokens."""
    batch, frames = masked.shape[:2]
    image = masked.reshape(batch, frames, 1, *grid)
    return torch.repeat_interleave(torch.repeat_interleave(image, cell, dim=3), cell, dim=4)
