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

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdtc_ros.skeleton import skeleton_by_name
from training.models.confidence import Confidence, evidence
from training.models.decode import Decode
from training.models.mlsme import Reconstruction
from training.models.movenet import MoveNet
from training.models.movenet_decode import CocoToPoseTrack, MoveNetDecode
from training.models.realign import realigned_joints
from training.models.sdtc_movenet_config import SDTCMoveNetConfig
from training.models.semantics import POOL, Semantics
from training.models.trajectory import Tracks, Trajectory

SAME = 1.5  # cells: a maximum this near to a joint is the joint
CALM = 1.25  # cells from the line through its frames at which a joint is moved 1/e of the way to it
DOUBT = 0.85  # of a score is lost where the crop is corrupted: what is guessed there weighs less than what is seen
FLOOR = 1e-4  # of heatmaps, so that their logits are finite


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


class Found(NamedTuple):
    """keypoints and covariance B x K x 3 (crop pixels), heatmaps B x K x h x w; evidence: of models.confidence."""

    keypoints: Tensor
    covariance: Tensor
    heatmaps: Tensor
    evidence: Tensor


def odds(heatmaps: Tensor) -> Tensor:
    """Probabilities -> logits between -9.2 and 9.2."""
    known = heatmaps.clamp(FLOOR, 1 - FLOOR)
    return torch.log(known / (1 - known))  # torch.logit is exported as comparisons and choices, which take longer


def calmed(own: Tensor, line: Tensor) -> Tensor:
    """The keyframe's joints, d cells from the line, moved exp(-(d / CALM)^2) of the way to it; B x K x 2 cells each.

    What is a part of a cell off the line trembles; what is further off turns, as swinging hands and feet do.
    """
    return own + (line - own) * torch.exp(-((_apart(own, line) / CALM) ** 2))


def _apart(one: Tensor, other: Tensor) -> Tensor:
    """The larger of the distances along and across, B x K x 1."""
    return (one - other).abs().amax(dim=-1, keepdim=True)


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
        self.confidence = Confidence(len(self.skeleton)) if config.confidence else None
        if config.freeze_backbone:
            self.backbone.requires_grad_(False)

    @property
    def token_names(self) -> tuple[str, ...]:
        """Names of what is cached of a crop, in order."""
        return "joints", "logits", *(() if self.semantics is None else self.semantics.names)

    def look(self, crops: Tensor) -> Seen:
        """The single-frame network: uint8 BGR crops N x H x W x 3 -> what it sees."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze_backbone):
            features = self.backbone.features(crops, bgr=True)
            keypoints, _, heatmaps = self.to_skeleton(*self.decode.of_features(self.backbone, features.stride4))
        width, height = self.config.cell
        cells = keypoints * keypoints.new_tensor([1 / width, 1 / height, 1.0])
        if features.corruption is not None:
            sure = cells[..., 2:] * (1 - DOUBT * features.corruption.flatten(2))
            cells = torch.cat([cells[..., :2], sure], dim=-1)
        return Seen(features.stride16, features.stride4, heatmaps, cells)

    def encode(self, crops: Tensor) -> dict[str, Tensor]:
        """uint8 BGR crops N x H x W x 3 -> what streaming keeps of each, by name.

        joints N x K x 3 as in `Seen`; logits N x K x h x w of its heatmaps; with semantics tokens N x L x C, and
        detail, a few channels of the stride-4 features, N x detail x h x w.
        """
        seen = self.look(crops)
        cached = {"joints": seen.joints, "logits": odds(seen.heatmaps)}
        if self.semantics is not None:
            more = self.semantics.cached(seen.stride16, seen.stride4, seen.heatmaps, cached["logits"])
            cached |= zip(self.semantics.names, more, strict=True)
        return cached

    def encode_windows(self, seen: Seen) -> dict[str, Tensor]:
        """`encode` of windows of what was seen, B x T x ..., but stride4 B x ... of the keyframe alone."""
        cached = {"joints": seen.joints, "logits": odds(seen.heatmaps)}
        if self.semantics is not None:
            windows = seen.heatmaps.shape[:2]
            tokens = self.semantics.tokens(seen.stride16.flatten(0, 1), seen.heatmaps.flatten(0, 1))
            cached["tokens"] = tokens.unflatten(0, windows)
            cached["detail"] = self.semantics.detail(seen.stride4).unsqueeze(1).expand(-1, windows[1], -1, -1, -1)
        return cached

    def estimate(self, cached: dict[str, Tensor]) -> Tensor:
        """The cached tensors of windows, B x T x ... by name -> the keyframe's heatmaps B x K x h x w."""
        return torch.sigmoid(self._combine(cached)[0])

    def poses(
        self, cached: dict[str, Tensor], decode: Decode, moves: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The cached tensors of windows -> keypoints, covariance (B x K x 3, crop pixels), heatmaps B x K x h x w.

        moves: B x T x 4, from each frame's crop to the keyframe's (training.models.realign); None: all are one.
        """
        if moves is not None:
            cached = cached | {"joints": realigned_joints(cached["joints"], moves, self.config.cell)}
            if self.semantics is not None:
                cached |= self.semantics.realigned(cached, moves)
        found = self.find(cached, decode)
        if self.confidence is None:
            return found.keypoints, found.covariance, found.heatmaps
        logit, factor = self.confidence(found.evidence)
        keypoints = torch.cat([found.keypoints[..., :2], torch.sigmoid(logit).unsqueeze(-1)], dim=-1)
        return keypoints, found.covariance * torch.exp(factor).unsqueeze(-1), found.heatmaps

    def find(self, cached: dict[str, Tensor], decode: Decode) -> Found:
        """The keyframe's joints, their scores and covariance from the heatmaps alone.

        A maximum where the keyframe itself has the joint, or else where its trajectory has it, is that joint: MoveNet's
        offsets, and a line through several of them, know places better than cells do. The keyframe's own is calmed.
        """
        combined, tracks = self._combine(cached)
        places = tracks.places
        heatmaps = torch.sigmoid(combined)
        keypoints, covariance = decode(heatmaps)
        cell = keypoints.new_tensor(self.config.cell)
        peak, own = keypoints[..., :2] / cell, cached["joints"][:, self.config.delta, :, :2]
        seen = _apart(own, peak) < SAME
        place = torch.where(_apart(places, peak) < SAME, places, peak)
        calm = torch.where(seen, calmed(own, tracks.line), place)
        place = torch.where(seen, own, place)
        keypoints = torch.cat([calm * cell, keypoints[..., 2:]], dim=-1)
        logits, joints = cached["logits"][:, self.config.delta], cached["joints"]
        return Found(keypoints, covariance, heatmaps, evidence(logits, combined, joints, places, place))

    def _combine(self, cached: dict[str, Tensor]) -> tuple[Tensor, Tracks]:
        """The keyframe's logits B x K x h x w, and what the trajectories say."""
        tracks = self.trajectory(cached["joints"])
        combined = cached["logits"][:, self.config.delta] + self.trajectory.logits(tracks, self.config.trust)
        if self.semantics is not None:
            combined = combined + self.semantics.residual(cached, self.trajectory, tracks)
        return combined, tracks

    def forward(self, stride16: Tensor, stride4: Tensor, heatmaps: Tensor, joints: Tensor) -> SDTCMoveNetOutput:
        """What was seen in windows (see `Seen`), B x T x ..., but stride4 B x ... of the keyframe alone."""
        logits = odds(heatmaps[:, self.config.delta])
        tracks = self.trajectory(joints)
        output = SDTCMoveNetOutput(logits + self.trajectory.logits(tracks), tracks.places)
        parts = self.semantics
        if parts is None:
            return output
        windows = stride16.shape[:2]
        tokens = parts.tokens(stride16.flatten(0, 1), heatmaps.flatten(0, 1)).unflatten(0, windows)
        residual, motion = parts(tokens, parts.detail(stride4), logits, self.trajectory.gaussians(tracks))
        output.logits = output.logits + residual
        if motion.hybrid is not None:
            output.reconstruction, output.masked = parts.decoder(motion.hybrid), motion.masked
            pooled = F.avg_pool2d(stride16.flatten(0, 1), POOL)
            output.context = pooled.flatten(2).transpose(1, 2).unflatten(0, windows).detach()
        return output
