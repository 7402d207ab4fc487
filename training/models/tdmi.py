# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""TDMI and TDMI-ST: HRNet's four stages -> TDE -> RDM -> enhancement -> heatmaps.

Feng et al., "Mutual Information-Based Temporal Difference Learning for Human Pose Estimation in Video", CVPR 2023.

As in SDTC the network is in two halves that meet in the cache: `encode` sees one frame and gives its feature at every
stage that is read, `estimate` sees a window of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from sdtc_ros.errors import BundleError, UsageError
from sdtc_ros.skeleton import skeleton_by_name
from training.models.flow import FlowMotion
from training.models.head import location_heatmaps
from training.models.hrnet import HRNet, HRNetConfig
from training.models.mutual_information import InformationConfig, InformationObjective, MotionFeatures
from training.models.rdm import RDM, RDMConfig
from training.models.residual import residual_blocks
from training.models.sdtc import normalise
from training.models.tde import TDE, TDEConfig

LAST = 4  # the stage whose feature is the visual one


@dataclass(frozen=True)
class TDMIConfig:
    """Every size and part of the network; the defaults are TDMI on HRNet-W48, 384x288.

    visual: "keyframe" is TDMI, "sequence" TDMI-ST, which takes the last stage of all frames for the keyframe's.
    motion: "difference" is the paper's; "optical-flow" and "none" (the backbone and a head: HRNet) are baselines of
    Table 5. enhance_blocks: residual blocks that make F~ of motion and visual feature, and TDMI-ST's of the sequence.
    location_sigma: as in SDTCConfig.
    """

    backbone: HRNetConfig = field(default_factory=HRNetConfig)
    skeleton: str = "posetrack"
    delta: int = 2
    visual: Literal["keyframe", "sequence"] = "keyframe"
    motion: Literal["difference", "optical-flow", "none"] = "difference"
    enhance_blocks: int = 2
    freeze_backbone: bool = True
    location_sigma: float | None = None
    tde: TDEConfig = field(default_factory=TDEConfig)
    rdm: RDMConfig = field(default_factory=RDMConfig)
    information: InformationConfig = field(default_factory=InformationConfig)

    @property
    def frames(self) -> int:
        """Frames in a window, 2 * delta + 1."""
        return 2 * self.delta + 1

    @property
    def heatmap_size(self) -> tuple[int, int]:
        """Rows and columns of a heatmap: the backbone's highest resolution."""
        return self.backbone.feature_size

    @property
    def stages(self) -> tuple[int, ...]:
        """The backbone's stages that are read, in order."""
        return tuple(sorted({LAST, *(self.tde.stages if self.motion == "difference" else ())}))


@dataclass
class TDMIOutput:
    """What the network says of the keyframe.

    heatmaps: B x K x h x w; logits: what they come from, where the head gives logits; features: what the
    mutual-information objective reads (None without motion).
    """

    heatmaps: Tensor
    logits: Tensor | None = None
    features: MotionFeatures | None = None


class TDMI(nn.Module):
    """The whole network; `forward` trains, `encode` and `estimate` are what is exported."""

    def __init__(self, config: TDMIConfig) -> None:
        """Raises UsageError for a span of no frames, which has no differences."""
        super().__init__()
        if config.delta < 1 and config.motion != "none":
            raise UsageError("motion needs neighbouring frames: set delta >= 1, or motion to 'none'")
        self.config = config
        self.skeleton = skeleton_by_name(config.skeleton)
        self.backbone = HRNet(config.backbone)
        width, blocks = config.backbone.width, config.enhance_blocks
        self.sequence = residual_blocks(config.frames * width, width, blocks) if config.visual == "sequence" else None
        self.information: InformationObjective | None = None
        if config.motion != "none":
            self._build_motion(width)
        self.head = nn.Conv2d(width, len(self.skeleton), 3, padding=1)
        nn.init.normal_(self.head.weight, std=0.001)
        if config.freeze_backbone:
            self.backbone.requires_grad_(False).eval()

    def _build_motion(self, width: int) -> None:
        config, channels = self.config, self.config.tde.channels
        if config.motion == "difference":
            self.tde = TDE(config.frames, width, config.tde)
        else:
            self.flow = FlowMotion(width, patch=4)
            self.flow_blocks = residual_blocks(config.frames * width, channels, 1)
        terms = config.information.terms
        self.rdm = RDM(channels, config.rdm, noisy="separation" in terms)
        self.enhance = residual_blocks(self.rdm.useful_channels + width, width, config.enhance_blocks)
        if terms:
            self.information = InformationObjective(
                config.information, motion=channels, useful=self.rdm.useful_channels, noisy=self.rdm.noisy_channels,
                visual=width, enhanced=width, joints=len(self.skeleton),
            )  # fmt: skip

    def train(self, mode: bool = True) -> TDMI:
        """A frozen backbone stays in eval mode, so that its normalisation does not move."""
        super().train(mode)
        if self.config.freeze_backbone:
            self.backbone.eval()
        return self

    @property
    def token_names(self) -> tuple[str, ...]:
        """What `encode` gives, in order: the stages that are read."""
        return tuple(f"stage{stage}" for stage in self.config.stages)

    def encode(self, crops: Tensor) -> dict[str, Tensor]:
        """uint8 BGR crops N x H x W x 3 -> features by `token_names`, each N x C x h x w: what streaming keeps."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze_backbone):
            features = self.backbone(normalise(crops))
        return dict(zip(self.token_names, (features[stage - 1] for stage in self.config.stages), strict=True))

    def estimate(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """The encoder's features of windows, each B x T x C x h x w -> the keyframe's heatmaps B x K x h x w."""
        if self.config.motion == "optical-flow":
            raise BundleError("a network on optical flow is a baseline for the tables: it cannot run on cached tokens")
        visual = self._visual(tokens)
        if self.config.motion == "none":
            return self._output(visual).heatmaps
        useful = self.rdm.useful(self._differences(tokens))
        return self._output(self.enhance(torch.cat([useful, visual], dim=1))).heatmaps

    def forward(self, crops: Tensor) -> TDMIOutput:
        """uint8 BGR windows B x T x H x W x 3 -> TDMIOutput."""
        window = crops.shape[:2]
        tokens = {name: x.unflatten(0, window) for name, x in self.encode(crops.flatten(0, 1)).items()}
        visual = self._visual(tokens)
        if self.config.motion == "none":
            return self._output(visual)
        motion = self._differences(tokens) if self.config.motion == "difference" else self._flow(crops)
        useful = self.rdm.useful(motion)  # (6)
        enhanced = self.enhance(torch.cat([useful, visual], dim=1))
        output = self._output(enhanced)
        output.features = MotionFeatures(motion, useful, self.rdm.noisy(motion), visual, enhanced)
        return output

    def _differences(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """M by equations 1-5."""
        motion: Tensor = self.tde({stage: tokens[f"stage{stage}"] for stage in self.config.tde.stages})
        return motion

    def _flow(self, crops: Tensor) -> Tensor:
        """M of the Op-Flow baseline: B x channels x h x w."""
        maps = self.flow(crops).transpose(2, 3).unflatten(3, self.config.heatmap_size)  # B T C h w
        motion: Tensor = self.flow_blocks(maps.flatten(1, 2))
        return motion

    def _visual(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """The keyframe's feature (TDMI) or the sequence's (TDMI-ST), B x C x h x w."""
        window = tokens[f"stage{LAST}"]
        return window[:, self.config.delta] if self.sequence is None else self.sequence(window.flatten(1, 2))

    def _output(self, feature: Tensor) -> TDMIOutput:
        maps, sigma = self.head(feature), self.config.location_sigma
        return TDMIOutput(maps) if sigma is None else TDMIOutput(location_heatmaps(maps, sigma), maps)
