# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a run needs to go on as if it had never stopped: its newest state on disk, and torch's random numbers in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback


class LastCheckpoint(Callback):
    """Keeps `last.ckpt`: the newest state at every validation and at the end (Lightning's own may lag behind both).

    With it goes the state of torch's random numbers (masks, drop path), which is restored when training goes on.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "last.ckpt"
        self._random: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """torch's random state, of the CPU and of every GPU; all processes draw alike, so one's is everybody's."""
        return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep it until training starts, for building and moving the network draws random numbers too."""
        self._random = state_dict

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Go on with the random numbers of the checkpoint."""
        if self._random is not None:
            torch.set_rng_state(self._random["cpu"].cpu())
            for device, state in enumerate(self._random["cuda"][: torch.cuda.device_count()]):
                torch.cuda.set_rng_state(state.cpu(), device)
            self._random = None

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Save after a validation of a fit."""
        if trainer.state.fn == "fit":
            self._save(trainer)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Save the last step's state."""
        self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        if not trainer.sanity_checking:
            trainer.save_checkpoint(self.path, weights_only=False)  # with the optimiser
