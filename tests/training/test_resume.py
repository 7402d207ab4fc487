# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A training that is killed and goes on has the losses of one that was not, masks and fresh clips included."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

import lightning
import pytest

from training.callbacks import LastCheckpoint
from training.data.demo_clip import DemoConfig, DemoData
from training.models.mlsme import MLSMEConfig
from training.models.sdtc import SDTCConfig
from training.models.vit import ViTConfig
from training.module import OptimiserConfig, SDTCTraining

pytestmark = pytest.mark.slow
NETWORK = SDTCConfig(
    ViTConfig(image_size=(64, 48), dim=16, depth=1, heads=2, drop_path=0.2), delta=1, channels=16, head_width=8,
    mlsme=MLSMEConfig(2, masked_share=0.5), freeze_backbone=False,
)  # fmt: skip


class Losses(lightning.Callback):
    """Every step's loss, and a death before one of them."""

    def __init__(self, until: int | None) -> None:
        self.until, self.values = until, {}

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        self.values[trainer.global_step] = float(outputs["loss"])
        if trainer.global_step == self.until:
            raise ConnectionAbortedError


def fit(run: Path, until: int | None = None, resume: Path | None = None, workers: int = 0) -> dict[int, float]:
    lightning.seed_everything(3)
    losses = Losses(until)
    trainer = lightning.Trainer(
        max_steps=8, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[losses, LastCheckpoint(run)], num_sanity_val_steps=0, default_root_dir=run, val_check_interval=2,
        accumulate_grad_batches=1,
    )  # fmt: skip
    config = DemoConfig(held_out=9, size=(48, 64), delta=1, batch=2, workers=workers)
    with warnings.catch_warnings(), contextlib.suppress(ConnectionAbortedError):
        warnings.simplefilter("ignore")
        model = SDTCTraining(NETWORK, OptimiserConfig(warmup_steps=2))
        trainer.fit(model, datamodule=DemoData(config), ckpt_path=resume, weights_only=True)
    return losses.values


def test_a_killed_run_goes_on_exactly(tmp_path):
    workers = 2
    whole = fit(tmp_path / "whole", workers=workers)
    assert list(whole) == list(range(1, 9))
    assert len(set(whole.values())) == 8
    before = fit(tmp_path / "killed", until=5, workers=workers)
    assert before == {step: whole[step] for step in range(1, 6)}
    rest = fit(tmp_path / "killed", resume=tmp_path / "killed" / "last.ckpt", workers=workers)
    assert rest == {step: whole[step] for step in range(5, 9)}  # the last checkpoint is of step 4


def test_it_is_the_random_state_that_makes_it_exact(tmp_path, monkeypatch):
    whole = fit(tmp_path / "whole")
    fit(tmp_path / "killed", until=5)
    monkeypatch.setattr(LastCheckpoint, "load_state_dict", lambda self, state: None)
    rest = fit(tmp_path / "killed", resume=tmp_path / "killed" / "last.ckpt")
    assert rest != {step: whole[step] for step in range(5, 9)}
