# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""One training step of a module, without logs, checkpoints or a progress bar."""

from __future__ import annotations

from pathlib import Path

import lightning


def train_one_step(
    module: lightning.LightningModule, data: lightning.LightningDataModule, folder: Path, validation_batches: int = 1
) -> None:
    """Fit for a step and validate on so many batches; folder: what Lightning may write to."""
    trainer = lightning.Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, limit_val_batches=validation_batches,
        default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
