# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How much of a training's time is spent waiting for data: 0 where the loader keeps up."""

from __future__ import annotations

import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback


class Waiting(Callback):
    """Logs `train/wait`: since the last log, the share of time between a step's end and the next one's start.

    On a GPU a step's end is when its work has been given to the GPU; the loss that is logged makes it wait for that now
    and then, so the share is right over many steps only. Validation is left out.
    """

    def __init__(self) -> None:
        self._ended: float | None = None
        self._waited = self._total = 0.0

    def on_train_batch_start(self, trainer: lightning.Trainer, module: Any, batch: Any, index: int) -> None:
        """The batch is here."""
        self._started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Add the step up."""
        now = time.perf_counter()
        if self._ended is not None:
            self._waited += self._started - self._ended
            self._total += now - self._ended
        self._ended = now
        if (index + 1) % trainer.log_every_n_steps == 0 and self._total > 0:  # type: ignore[attr-defined]
            module.log("train/wait", self._waited / self._total)
            self._waited = self._total = 0.0

    def on_validation_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """What comes now is no waiting for training data."""
        self._ended = None
