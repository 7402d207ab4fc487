# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""MoveNet whole as a single-frame network: what a bundle of its published weights alone is made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from sdtc_ros.skeleton import skeleton_by_name
from training.models.movenet import MoveNet, MoveNetConfig
from training.models.movenet_decode import CocoToPoseTrack, MoveNetDecode

SKELETONS = ("coco", "posetrack")


@dataclass(frozen=True)
class MoveNetPoseConfig:
    """The network and its joints: COCO's 17, or PoseTrack's 15 with the head's by a linear map."""

    backbone: MoveNetConfig = field(default_factory=MoveNetConfig)
    skeleton: str = "coco"

    @property
    def delta(self) -> int:
        """Always 0: no neighbours."""
        return 0

    @property
    def heatmap_size(self) -> tuple[int, int]:
        """Rows and columns of a heatmap: a quarter of the image's."""
        height, width = self.backbone.image_size
        return height // 4, width // 4


class MoveNetPose(nn.Module):
    """MoveNet and its decoding. The features of stride 4 are what streaming keeps; the heads read the keyframe's."""

    def __init__(self, config: MoveNetPoseConfig) -> None:
        """Raises ValueError for a skeleton that COCO's joints do not give."""
        super().__init__()
        if config.skeleton not in SKELETONS:
            raise ValueError(f"MoveNet's joints are those of {' or '.join(SKELETONS)}, not of {config.skeleton}")
        self.config = config
        self.skeleton = skeleton_by_name(config.skeleton)
        self.backbone = MoveNet(config.backbone)
        self.decode = MoveNetDecode(config.heatmap_size)
        self.joints = CocoToPoseTrack(config.heatmap_size) if config.skeleton == "posetrack" else None

    def encode(self, crops: Tensor) -> Tensor:
        """uint8 BGR crops N x H x W x 3 -> features N x 24 x H/4 x W/4."""
        return self.backbone.features(crops, bgr=True).stride4

    def poses(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of windows B x 1 x 24 x h x w -> keypoints, covariance and heatmaps of MoveNetDecode, B x K x ..."""
        decoded = self.decode.of_features(self.backbone, windows[:, 0])
        return decoded if self.joints is None else self.joints(*decoded)

    def estimate(self, windows: Tensor) -> Tensor:
        """Features of windows B x 1 x 24 x h x w -> heatmaps B x K x h x w."""
        return self.poses(windows)[2]
