# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""SDTC: backbone -> embeddings -> MLSME -> SMML -> heatmaps.

Feng & Chen, "Learning Semantical Dynamics and SpatioTemporal Collaboration for Human Pose Estimation in Video".

The network is in two halves that meet in the cache: `encode` sees one frame (backbone and projection), `estimate` sees
the tokens of a window. Training runs both and the motion decoder on top.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from sdtc_ros.errors import BundleError
from sdtc_ros.skeleton import skeleton_by_name
from training.models.embedding import Projection, SpaceTimeEmbedding
from training.models.flow import FlowMotion
from training.models.head import HeatmapHead, location_heatmaps
from training.models.mlsme import MLSME, MLSMEConfig, Motion, MotionDecoder, Reconstruction
from training.models.smml import SMML, SMMLConfig
from training.models.vit import ViT, ViTConfig

MEAN = (0.485, 0.456, 0.406)  # ImageNet, RGB, of pixels / 255: what every ViTPose checkpoint was trained with
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class SDTCConfig:
    """Every size and part of the network; the defaults are SDTC-B.

    motion: where M comes from, MLSME or (Table 4's baselines, training and evaluation only) optical flow.
    decode_from: what the motion decoder reads. "hybrid" is the paper's sentence (R^P_fm, equation 4's output);
    "frame" reads the frame-level encoder's output, which lets the reconstruction train that encoder too.
    location_sigma: None for the paper's heatmap regression (equation 14); else the head gives logits of where a joint
    is, trained by cross-entropy against a Gaussian of this sigma (cells). For tiny models trained from scratch.
    """

    backbone: ViTConfig = field(default_factory=ViTConfig)
    skeleton: str = "posetrack"
    delta: int = 2
    channels: int = 256
    head_width: int = 96
    spatial_encoding: bool = True
    temporal_encoding: bool = True
    freeze_backbone: bool = True
    motion: Literal["mlsme", "optical-flow"] = "mlsme"
    decode_from: Literal["hybrid", "frame"] = "hybrid"
    location_sigma: float | None = None
    mlsme: MLSMEConfig = field(default_factory=MLSMEConfig)
    smml: SMMLConfig = field(default_factory=SMMLConfig)

    @property
    def frames(self) -> int:
        """Frames in a window, 2 * delta + 1."""
        return 2 * self.delta + 1

    @property
    def heatmap_size(self) -> tuple[int, int]:
        """Rows and columns of a heatmap: four times the token grid."""
        rows, columns = self.backbone.grid
        return 4 * rows, 4 * columns


@dataclass
class SDTCOutput:
    """heatmaps B x K x h x w of the keyframe; logits: what they come from, where the head gives logits.

    The rest in training with masks only (else None):
    context B x T x L x D is the frozen backbone's feature, the reconstruction's target; masked B x T x L x 1 bool.
    """

    heatmaps: Tensor
    logits: Tensor | None = None
    reconstruction: Reconstruction | None = None
    context: Tensor | None = None
    masked: Tensor | None = None

    @classmethod
    def of(cls, maps: Tensor, location_sigma: float | None) -> SDTCOutput:
        """From what the head gives: heatmaps, or logits of places."""
        return cls(maps) if location_sigma is None else cls(location_heatmaps(maps, location_sigma), maps)


def normalise(crops: Tensor) -> Tensor:
    """uint8 BGR crops N x H x W x 3 -> float32 RGB N x 3 x H x W, ImageNet mean and deviation."""
    rgb = crops.float().permute(0, 3, 1, 2).flip(1) / 255.0  # float first: TensorRT can move no uint8 about
    mean, std = (torch.tensor(v, device=crops.device).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (rgb - mean) / std


class SDTC(nn.Module):
    """The whole network; `forward` trains, `encode` and `estimate` are what is exported."""

    def __init__(self, config: SDTCConfig) -> None:
        super().__init__()
        self.config = config
        self.skeleton = skeleton_by_name(config.skeleton)
        joints, grid, frames, channels = len(self.skeleton), config.backbone.grid, config.frames, config.channels
        self.backbone = ViT(config.backbone)
        self.projection = Projection(config.backbone.dim, channels)
        self.embedding = SpaceTimeEmbedding(frames, grid, channels, config.spatial_encoding, config.temporal_encoding)
        self.flow = FlowMotion(channels, config.backbone.patch) if config.motion == "optical-flow" else None
        if self.flow is None:
            self.mlsme = MLSME(channels, config.mlsme)
        if self.flow is None and config.mlsme.mask_ratio > 0:
            self.decoder = MotionDecoder(channels, config.mlsme.heads, config.backbone.dim, joints, grid)
        self.smml = SMML(frames, channels, grid, config.smml)
        self.head = HeatmapHead(channels, config.head_width, joints)
        if config.freeze_backbone:
            self.backbone.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> SDTC:
        """A frozen backbone stays in eval mode, so that its normalisation and drop path do not move."""
        super().train(mode)
        if self.config.freeze_backbone:
            self.backbone.eval()
        return self

    def features(self, crops: Tensor) -> Tensor:
        """Backbone only: uint8 crops N x H x W x 3 -> N x L x D."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze_backbone):
            return self.backbone(normalise(crops))

    def encode(self, crops: Tensor) -> Tensor:
        """uint8 BGR crops N x H x W x 3 -> tokens N x L x C: what streaming keeps."""
        return self.projection(self.features(crops))

    def estimate(self, tokens: Tensor) -> Tensor:
        """Window tokens B x T x L x C -> the keyframe's heatmaps B x K x h x w; no optical flow, which needs images."""
        if self.flow is not None:
            raise BundleError("a network on optical flow is a baseline for the tables: it cannot run on cached tokens")
        embedded, motion = self._motion(tokens)
        return SDTCOutput.of(self.head(self.smml(embedded, motion.motion)), self.config.location_sigma).heatmaps

    def forward(self, crops: Tensor, context: Tensor | None = None) -> SDTCOutput:
        """uint8 BGR windows B x T x H x W x 3 -> SDTCOutput; context B x T x L x D: their features, where known."""
        if context is None:
            context = self.features(crops.flatten(0, 1)).unflatten(0, crops.shape[:2])
        tokens = self.projection(context)
        if self.flow is not None:
            position = self.embedding()
            fused = self.smml(tokens + position, self.flow(crops) + position)
            return SDTCOutput.of(self.head(fused), self.config.location_sigma)
        embedded, motion = self._motion(tokens)
        output = SDTCOutput.of(self.head(self.smml(embedded, motion.motion)), self.config.location_sigma)
        if motion.hybrid is not None:
            read = motion.hybrid if self.config.decode_from == "hybrid" else motion.frame
            output.reconstruction = self.decoder(read)
            output.context, output.masked = context.detach(), motion.masked
        return output

    def _motion(self, tokens: Tensor) -> tuple[Tensor, Motion]:
        position = self.embedding()
        embedded = tokens + position  # R_t of section 3.1
        return embedded, self.mlsme(embedded, position)
