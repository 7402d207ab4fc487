# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The Lightning modules: one training step, one validation measure, one optimiser for every network."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, cast

import lightning
import torch
from torch import Tensor

from sdtc_ros.errors import UsageError
from training.checkpoint import KEY, Trainable, describe, load_backbone, load_weights
from training.losses.confidence import ConfidenceLosses
from training.losses.movenet import MoveNetLosses
from training.losses.sdtc import Losses, PoseCells, sdtc_loss
from training.losses.tdmi import TDMILosses, tdmi_loss
from training.losses.trunk import GateLosses, TrunkLosses
from training.models.baselines import SingleFrame, SingleFrameConfig
from training.models.sdtc import SDTC, SDTCConfig, SDTCOutput
from training.models.sdtc_movenet import SDTCMoveNetOutput
from training.models.tdmi import TDMI, TDMIConfig, TDMIOutput
from training.validation import Validation


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW with a linear warm-up, then "cosine" to zero at the last step or "steps": x `factor` at each milestone.

    Milestones count steps, or epochs where `milestone_unit` says so. The SDTC paper: 5e-4, x 0.1 at epochs 20 and 40
    of 50. clip_norm: the gradient's largest norm, 0 for none (neither paper names one).
    """

    lr: float = 5e-4
    weight_decay: float = 0.05
    warmup_steps: int = 500
    schedule: Literal["cosine", "steps"] = "cosine"
    milestones: tuple[int, ...] = ()
    milestone_unit: Literal["steps", "epochs"] = "steps"
    factor: float = 0.1
    clip_norm: float = 1.0

    def scale(self, step: int, last: float, epoch_steps: float = math.inf) -> float:
        """Learning rate at a step as a multiple of `lr`; last: the run's steps, epoch_steps: an epoch's."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.schedule == "steps":
            unit = epoch_steps if self.milestone_unit == "epochs" else 1
            return float(self.factor ** sum(step >= m * unit for m in self.milestones))
        progress = (step - self.warmup_steps) / max(1, last - self.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class PoseTraining(lightning.LightningModule):
    """What all networks share; subclasses build `self.network`. Logs losses, PCKh and AP by joint group."""

    network: Trainable

    def __init__(
        self, optimiser: OptimiserConfig, lam: float, target_sigma: float = 2.0, pose_cells: PoseCells = "masked"
    ) -> None:
        super().__init__()
        self.optimiser, self.lam, self.target_sigma, self.pose_cells = optimiser, lam, target_sigma, pose_cells
        self.validation = Validation()

    def losses(
        self, batch: dict[str, Tensor]
    ) -> Losses | TDMILosses | MoveNetLosses | TrunkLosses | GateLosses | ConfidenceLosses:
        """Forward and equation 16 for one batch of windows (see training.data.windows.Window)."""
        output, config = cast(SDTCOutput, self.predict_batch(batch)), cast(SDTC | SingleFrame, self.network).config
        sigma = config.location_sigma or self.target_sigma
        size, cells = config.backbone.image_size, self.pose_cells
        return sdtc_loss(output, batch["points"], batch["weight"], size, self.lam, sigma, cells)

    def predict_batch(self, batch: dict[str, Tensor]) -> SDTCOutput | TDMIOutput | SDTCMoveNetOutput:
        """The network's output; `context` are the frozen backbone's features, where the data keep them."""
        known = [batch["context"].float()] if "context" in batch else []
        return self.network(batch["crops"], *known)

    def on_train_start(self) -> None:
        """Set the modes: Lightning leaves them as they are, and a frozen backbone must stay in eval mode.

        Raises UsageError where the schedule counts what has no end.
        """
        self.network.train()
        (last, epoch), o = self._steps(), self.optimiser
        if o.schedule == "cosine" and not math.isfinite(last):
            raise UsageError("the cosine schedule needs trainer.max_steps (now unlimited)")
        if o.schedule == "steps" and o.milestone_unit == "epochs" and not math.isfinite(epoch):
            raise UsageError(
                "these data have no epochs to count milestones in: "
                "set model.init_args.optimiser.milestone_unit to steps"
            )

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        """One step; logs each part of the loss."""
        losses = self.losses(batch)
        self.log("train/loss", losses.total, prog_bar=True)
        self.log_dict({f"train/{f.name}": getattr(losses, f.name) for f in fields(losses) if f.name != "total"})
        return losses.total

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        """Collect what `training.validation` measures."""
        self.validation.add(batch, self.predict_batch(batch).heatmaps, self.network.config.backbone.image_size)

    def on_validation_epoch_end(self) -> None:
        """Log PCKh and, where the data module knows the truth's whole frames, AP."""
        data = getattr(self.trainer, "datamodule", None)
        truth = data.validation_truth() if data is not None and hasattr(data, "validation_truth") else None
        for name, value in self.validation.figures(self.network.skeleton, truth).items():
            self.log(f"val/{name}", value, prog_bar=name in ("pckh_all", "ap_total"))

    def configure_optimizers(self) -> Any:
        """AdamW; norms, biases, position codes and mask tokens without weight decay."""
        decayed: list[Tensor] = []
        plain: list[Tensor] = []
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                is_position = name.endswith(("pos_embed", "embedding.time"))
                (plain if parameter.dim() == 1 or is_position else decayed).append(parameter)
        o = self.optimiser
        groups = [{"params": decayed, "weight_decay": o.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, lr=o.lr)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: o.scale(step, *self._steps()))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _steps(self) -> tuple[float, float]:
        """Optimiser steps of the run and of an epoch, infinite where there is no end (or none is known yet)."""
        trainer = self.trainer
        epoch = trainer.num_training_batches / trainer.accumulate_grad_batches
        epoch = math.ceil(epoch) if math.isfinite(epoch) else math.inf
        ends = [trainer.max_steps if trainer.max_steps > 0 else math.inf]
        ends += [trainer.max_epochs * epoch] if trainer.max_epochs and trainer.max_epochs > 0 else []
        return min(ends), epoch

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """Clip by the gradient's norm, if at all."""
        if self.optimiser.clip_norm > 0:
            self.clip_gradients(optimizer, gradient_clip_val=self.optimiser.clip_norm, gradient_clip_algorithm="norm")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the network's kind, config and last validation, with the boxes it was on, beside its weights."""
        metrics = self.trainer.callback_metrics if self._trainer is not None else {}
        validation = {name: round(float(value), 3) for name, value in metrics.items() if name.startswith("val/")}
        boxes = getattr(getattr(self._trainer, "datamodule", None), "boxes", None)
        said = {"boxes": boxes} if validation and boxes is not None else {}
        checkpoint[KEY] = describe(self.network) | {"validation": validation, **said}


class SDTCTraining(PoseTraining):
    """SDTC on windows.

    lam: of equation 15; target_sigma: of all target heatmaps' Gaussians, in cells (logits take the config's
    location_sigma); pose_cells: what equation 15's pose term counts (see sdtc_loss).
    backbone_checkpoint: where the frozen backbone comes from, a checkpoint or published weights (training.weights);
    weights_checkpoint: all weights to start from.
    """

    def __init__(
        self,
        config: SDTCConfig = SDTCConfig(),
        optimiser: OptimiserConfig = OptimiserConfig(),
        lam: float = 0.01,
        target_sigma: float = 2.0,
        pose_cells: PoseCells = "masked",
        backbone_checkpoint: str | None = None,
        weights_checkpoint: str | None = None,
    ) -> None:
        super().__init__(optimiser, lam, target_sigma, pose_cells)
        self.network = SDTC(config)
        if weights_checkpoint is not None:
            load_weights(self.network, weights_checkpoint)
        if backbone_checkpoint is not None:
            load_backbone(self.network, backbone_checkpoint)


class SingleFrameTraining(PoseTraining):
    """The single-frame baseline, which also gives SDTC its backbone where no ViTPose weights are at hand.

    backbone_checkpoint: where the backbone starts from; weights_checkpoint: all weights to start from.
    """

    def __init__(
        self,
        config: SingleFrameConfig = SingleFrameConfig(),
        optimiser: OptimiserConfig = OptimiserConfig(),
        backbone_checkpoint: str | None = None,
        weights_checkpoint: str | None = None,
    ) -> None:
        super().__init__(optimiser, lam=0.0)
        self.network: SingleFrame = SingleFrame(config)
        if weights_checkpoint is not None:
            load_weights(self.network, weights_checkpoint)
        if backbone_checkpoint is not None:
            load_backbone(self.network, backbone_checkpoint)


# 20 epochs; with no weight decay AdamW is the paper's Adam
TDMI_OPTIMISER = OptimiserConfig(
    lr=1e-3, weight_decay=0.0, warmup_steps=0, schedule="steps", milestones=(6, 12, 18), milestone_unit="epochs"
)


class TDMITraining(PoseTraining):
    """TDMI and TDMI-ST on windows; the defaults are the paper's recipe.

    alpha: of equation 15; target_sigma: of the target heatmaps' Gaussians, in cells (logits take the config's
    location_sigma). The checkpoints as in SDTCTraining.
    """

    def __init__(
        self,
        config: TDMIConfig = TDMIConfig(),
        optimiser: OptimiserConfig = TDMI_OPTIMISER,
        alpha: float = 1.0,
        target_sigma: float = 3.0,
        backbone_checkpoint: str | None = None,
        weights_checkpoint: str | None = None,
    ) -> None:
        super().__init__(optimiser, lam=0.0, target_sigma=target_sigma)
        self.alpha = alpha
        self.network: TDMI = TDMI(config)
        if weights_checkpoint is not None:
            load_weights(self.network, weights_checkpoint)
        if backbone_checkpoint is not None:
            load_backbone(self.network, backbone_checkpoint)

    def losses(self, batch: dict[str, Tensor]) -> TDMILosses:
        """Forward and equation 15 for one batch of windows."""
        config, network = self.network.config, self.network
        sigma = config.location_sigma or self.target_sigma
        size = config.backbone.image_size
        output = network(batch["crops"])
        return tdmi_loss(output, network.information, batch["points"], batch["weight"], size, self.alpha, sigma)
