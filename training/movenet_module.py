# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Training sdtc-lite and sdtc-base: the trunk on single corrupted crops, the temporal part, scores and covariances.

Stage "trunk" takes the published MoveNet as it is and trains adapters beside its layers, which answer for corrupted
crops (training.models.adapters): what was learnt on synthetic people stays, what the published network knows of
photographs as well. Stage "gate" goes on with their gate alone, which needs no more than early features and many
crops. Stage "temporal" freezes that trunk and trains everything else on what it says of windows
(training.data.people_windows). Stage "confidence" freezes that as well.
"""

from __future__ import annotations

import copy
from dataclasses import fields
from typing import Literal

import torch
from torch import Tensor, nn

from sdtc_ros.errors import UsageError
from sdtc_ros.skeleton import COCO
from training.checkpoint import load_backbone, load_part, load_weights
from training.losses.confidence import ConfidenceLosses, confidence_loss, torso_reach
from training.losses.movenet import MoveNetLosses, movenet_loss
from training.losses.sdtc import weighted_mean
from training.losses.trunk import GateLosses, TrunkLosses, gate_loss, trunk_loss
from training.models.decode import Decode
from training.models.frozen import FrozenGraph
from training.models.movenet import MOVENET_SIZES, MoveNet, MoveNetOutput
from training.models.sdtc_movenet import SDTCMoveNet, SDTCMoveNetOutput, Seen
from training.models.sdtc_movenet_config import SDTCMoveNetConfig
from training.module import OptimiserConfig, PoseTraining
from training.weights.movenet import read_movenet

Losses = MoveNetLosses | TrunkLosses | GateLosses | ConfidenceLosses

TRUNK_OPTIMISER = OptimiserConfig(lr=3e-4, weight_decay=1e-4, warmup_steps=30)


class MoveNetTraining(PoseTraining):
    """Stages "trunk", "gate", "temporal" (with or without equations 1 to 13: config's `semantics`) and "confidence".

    published: MoveNet's weights as published, a `movenet-*.json` or the unpacked package's folder, for stage "trunk";
    backbone_checkpoint: whose trunk to go on with.
    trajectory_checkpoint: of a network without equations 1 to 13, whose trajectories to start from;
    weights_checkpoint: all weights to start from (stage "confidence": all but its own). train_gate: False leaves the
    adapters' gate as it is in stage "trunk": footage may be dark or blurred as it was filmed, and would teach it that.
    """

    def __init__(
        self,
        config: SDTCMoveNetConfig = SDTCMoveNetConfig(),
        optimiser: OptimiserConfig = TRUNK_OPTIMISER,
        stage: Literal["trunk", "gate", "temporal", "confidence"] = "temporal",
        published: str | None = None,
        backbone_checkpoint: str | None = None,
        trajectory_checkpoint: str | None = None,
        weights_checkpoint: str | None = None,
        train_gate: bool = True,
        lam: float = 0.01,
    ) -> None:
        super().__init__(optimiser, lam)
        self.stage, self._train_gate = stage, train_gate
        self.network: SDTCMoveNet = SDTCMoveNet(config)
        self._width, joints = config.backbone.width, self.network.skeleton.joints
        self.shared = [i for i, joint in enumerate(joints) if joint in COCO.joints]  # what MoveNet has heatmaps of
        self.published = [COCO.joints.index(joints[i]) for i in self.shared]
        if weights_checkpoint is not None:
            self._load_all(weights_checkpoint)
        if trajectory_checkpoint is not None:
            load_part(self.network, trajectory_checkpoint, "trajectory")
        if backbone_checkpoint is not None:
            load_backbone(self.network, backbone_checkpoint)
        if published is not None:
            self._start_from(published)
        if stage in ("trunk", "gate"):
            self._train_adapters_alone()
        if stage == "confidence":
            self._train_confidence_alone()

    def _load_all(self, path: str) -> None:
        if self.stage != "confidence":
            load_weights(self.network, path)
            return
        for part in ("backbone", "trajectory", *(("semantics",) if self.network.semantics is not None else ())):
            load_part(self.network, path, part)

    def _start_from(self, published: str) -> None:
        """Give the trunk the published weights; adapters have none."""
        trunk, size = self.network.backbone, next(n for n, c in MOVENET_SIZES.items() if c.width == self._width)
        start = read_movenet(published, size)
        if start.config.width != self._width:
            raise UsageError(f"{start.path} holds MoveNet {start.name}; the config's width {self._width} is another")
        trunk.load_state_dict(trunk.state_dict() | start.state)

    def _train_adapters_alone(self) -> None:
        trunk = self.network.backbone
        if trunk.adapters is None:
            raise UsageError(
                f'stage "{self.stage}" trains adapters: set model.init_args.config.backbone.adapters, 64 for instance'
            )
        example = torch.zeros((2, *self.network.config.backbone.image_size, 3), dtype=torch.uint8)
        published = copy.deepcopy(trunk)
        published.adapters = None
        self._early = FrozenGraph(_Early(published), example)
        self.network.requires_grad_(False)
        if self.stage == "gate":
            trunk.adapters.gate.requires_grad_(True)
            return
        self._teacher = FrozenGraph(_Whole(published), example)
        trunk.adapters.requires_grad_(True)
        trunk.adapters.gate.requires_grad_(self._train_gate)
        trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _train_confidence_alone(self) -> None:
        confidence, config = self.network.confidence, self.network.config
        if confidence is None:
            raise UsageError(
                'stage "confidence" needs a network that has it: set model.init_args.config.confidence true'
            )
        self._decode = Decode(config.heatmap_size, config.backbone.image_size)
        self.network.requires_grad_(False)
        confidence.requires_grad_(True)

    def on_train_start(self) -> None:
        """Set the modes; stage "confidence" trains on what the network answers when it is used."""
        super().on_train_start()
        self._train_mode()

    def _train_mode(self) -> None:
        self.network.train(self.stage != "confidence")

    def losses(self, batch: dict[str, Tensor]) -> Losses:
        """The stage's losses of one batch."""
        return self._evaluate(batch)[0]

    def _evaluate(self, batch: dict[str, Tensor]) -> tuple[Losses, Tensor]:
        """The losses, and the keyframe's logits of the joints that are `shared`, B x S x h x w."""
        if self.stage == "confidence":
            return self._judge(batch)
        size, points, weight = self.network.config.backbone.image_size, batch["points"], batch["weight"]
        if self.stage == "temporal":
            output = self.predict_batch(batch)
            return movenet_loss(output, points, weight, size, self.lam), output.logits[:, self.shared]
        trunk, crops, clean = self.network.backbone, batch["crops"][:, 0], batch["clean"][:, 0]
        assert trunk.adapters is not None
        early = self._early(crops)
        gate = gate_loss(trunk.adapters.gate.logit(*early), crops, clean)
        if self.stage == "gate":
            return GateLosses(gate), self._validated(early)
        teacher = MoveNetOutput(*self._teacher(clean))
        features = trunk.late(*early)
        student = MoveNetOutput(features.stride16, features.stride4, *trunk.heads(features.stride4))
        joints = points.new_zeros(len(points), len(COCO), 2)
        labelled = points.new_zeros(len(points), len(COCO))
        joints[:, self.published], labelled[:, self.published] = points[:, 0, self.shared], weight[:, 0, self.shared]
        losses = trunk_loss(student, teacher, joints, labelled, size, gate)
        return losses, student.heatmap_logits[:, self.published]

    def _validated(self, early: tuple[Tensor, ...]) -> Tensor:
        """Stage "gate": the trunk's logits as `_evaluate` gives them; none in training, which has no use for them."""
        trunk = self.network.backbone
        if torch.is_grad_enabled():
            return early[0].new_zeros(len(early[0]), 0, 1, 1)
        return trunk.heads(trunk.late(*early).stride4)[0][:, self.published]

    def _judge(self, batch: dict[str, Tensor]) -> tuple[ConfidenceLosses, Tensor]:
        """Stage "confidence": the losses, and the heatmaps that were answered from."""
        assert self.network.confidence is not None
        with torch.no_grad():
            cached = self.network.encode_windows(Seen(*(batch[name].float() for name in Seen._fields)))
            found = self.network.find(cached, self._decode)
        middle = batch["points"].shape[1] // 2
        points, weight = batch["points"][:, middle], batch["weight"][:, middle]
        reach, known = torso_reach(points, weight, self.network.skeleton.joints)
        logit, factor = self.network.confidence(found.evidence)
        error = found.keypoints[..., :2] - points
        losses = confidence_loss(logit, factor, error, found.covariance, reach, weight * known)
        return losses, found.heatmaps[:, self.shared]

    def predict_batch(self, batch: dict[str, Tensor]) -> SDTCMoveNetOutput:
        """The network's output for windows of what the trunk saw: stride16, stride4, heatmaps and joints."""
        return self.network(*(batch[name].float() for name in ("stride16", "stride4", "heatmaps", "joints")))

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        """Log the losses of windows that training never sees, and the share of joints found."""
        self.network.eval()
        losses, logits = self._evaluate(batch)
        for field in fields(losses):
            self.log(f"val/{field.name}", getattr(losses, field.name), prog_bar=field.name in ("heatmap", "score"))
        points, weight = (batch[name][:, batch[name].shape[1] // 2] for name in ("points", "weight"))
        top, bottom = (self.network.skeleton.joints.index(joint) for joint in ("head_top", "head_bottom"))
        head = (points[:, top] - points[:, bottom]).norm(dim=-1)
        found = share_found(
            logits, points[:, self.shared], weight[:, self.shared], head / 2, self.network.config.backbone.image_size
        )
        self.log("val/pckh_all", found, prog_bar=True)

    def on_validation_epoch_end(self) -> None:
        """Back to training."""
        self._train_mode()


def share_found(logits: Tensor, points: Tensor, weight: Tensor, reach: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Per cent of the joints whose heatmap's maximum is within reach of the label.

    logits B x K x h x w, points B x K x 2 and reach B in crop pixels, weight B x K; image_size is (height, width).
    """
    h, w = logits.shape[-2:]
    cell = logits.flatten(2).argmax(dim=2)
    scale = points.new_tensor([(image_size[1] - 1) / (w - 1), (image_size[0] - 1) / (h - 1)])
    places = torch.stack([cell % w, cell // w], dim=-1) * scale
    near = ((places - points).norm(dim=-1) <= reach[:, None]).float()
    return 100 * weighted_mean(near, weight)


class _Whole(nn.Module):
    """All of a MoveNet, for uint8 BGR crops."""

    def __init__(self, trunk: MoveNet) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.trunk(crops.flip(-1)))


class _Early(_Whole):
    """Its first blocks."""

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        return self.trunk.early(crops.flip(-1))
