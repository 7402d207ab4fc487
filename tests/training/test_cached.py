# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Cached windows: cut once, the same for every delta, with the features that the network itself would compute."""

from __future__ import annotations

import lightning
import numpy as np
import pytest
import torch

from sdtc_ros.errors import UsageError
from training.data import cached
from training.data.augment import Augmentation
from training.data.cached import CacheConfig, CachedData
from training.models.baselines import SingleFrameConfig
from training.models.vit import ViTConfig
from training.module import OptimiserConfig, SDTCTraining, SingleFrameTraining

pytestmark = pytest.mark.slow
VIT = ViTConfig(image_size=(64, 48), patch=16, dim=32, depth=2, heads=2)


def data_in(folder, delta=2, **changes):
    return CachedData(
        CacheConfig(
            folder=str(folder), windows=6, widest=2, held_out=9, size=(48, 64), delta=delta, batch=2, **changes,
        )
    )  # fmt: skip


def fit(module, data, steps=2):
    trainer = lightning.Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, check_val_every_n_epoch=None, val_check_interval=steps,
    )  # fmt: skip
    trainer.fit(module, data)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def sdtc(small_config, **changes):
    torch.manual_seed(0)
    return SDTCTraining(small_config, OptimiserConfig(warmup_steps=1), **changes)


@pytest.fixture
def cut(monkeypatch):
    """How many streams were opened."""
    opened = []
    stream = cached.DemoWindows
    monkeypatch.setattr(cached, "DemoWindows", lambda *a, **k: (opened.append(a), stream(*a, **k))[1])
    return opened


def test_cached_features_are_the_backbone_s_and_lie_there_for_the_next_run(small_config, tmp_path, cut):
    module, data = sdtc(small_config), data_in(tmp_path)
    fit(module, data)
    batch = next(iter(data.train_dataloader()))
    expected = module.network.features(batch["crops"].flatten(0, 1)).unflatten(0, (2, 5))
    assert torch.allclose(batch["context"].float(), expected, atol=5e-3)
    files = sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy"))
    fit(sdtc(small_config), data_in(tmp_path))
    assert sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")) == files
    assert len(cut) == 1


def test_training_on_cached_features_is_training_on_the_crops(small_config, tmp_path):
    with_features = sdtc(small_config)
    fit(with_features, data_in(tmp_path), steps=1)
    on_crops = sdtc(small_config)
    data = data_in(tmp_path)
    setup = data.setup

    def without(stage):
        setup(stage)
        data.train_set.arrays.pop("context")
        data.val_set.arrays.pop("context")

    data.setup = without
    on_crops.network.backbone.register_forward_hook(lambda *_: asked.append(1))
    asked: list[int] = []
    fit(on_crops, data, steps=1)
    assert asked
    ours, theirs = with_features.network.state_dict(), on_crops.network.state_dict()
    assert all(torch.allclose(ours[name].float(), theirs[name].float(), atol=2e-3) for name in ours)


def test_a_smaller_delta_is_cut_from_the_same_windows(small_config, tmp_path, cut):
    wide, narrow = data_in(tmp_path), data_in(tmp_path, delta=1)
    fit(sdtc(small_config), wide)
    fit(SingleFrameTraining(SingleFrameConfig(VIT, head_width=8), OptimiserConfig(warmup_steps=1)), narrow)
    assert len(cut) == 1
    assert "context" not in narrow.train_set[0]  # its backbone learns
    np.testing.assert_array_equal(narrow.train_set[3]["crops"], wide.train_set[3]["crops"][1:-1])
    np.testing.assert_array_equal(narrow.train_set[3]["points"], wide.train_set[3]["points"][1:-1])
    np.testing.assert_array_equal(narrow.val_set[1]["crops"], wide.val_set[1]["crops"][1:-1])


def test_a_frozen_single_frame_network_reads_the_keyframe_s_features(tmp_path):
    config = SingleFrameConfig(VIT, head_width=8, freeze_backbone=True)
    torch.manual_seed(0)
    module = SingleFrameTraining(config, OptimiserConfig(warmup_steps=1))
    data = data_in(tmp_path, delta=1)
    assert "val/pckh_all" in fit(module, data)
    batch = next(iter(data.val_dataloader()))
    module.network.eval()
    with torch.no_grad():
        by_features, by_crops = (module.network(batch["crops"], *known) for known in ([batch["context"].float()], []))
    assert torch.allclose(by_features.heatmaps, by_crops.heatmaps, atol=1e-3)


def test_other_augmentations_and_backbones_are_cached_apart(small_config, tmp_path, cut):
    fit(sdtc(small_config), data_in(tmp_path))
    torch.manual_seed(1)
    fit(SDTCTraining(small_config, OptimiserConfig(warmup_steps=1)), data_in(tmp_path))
    assert len(cut) == 1
    assert len(list(tmp_path.glob("windows-*/features-*"))) == 2
    fit(sdtc(small_config), data_in(tmp_path, augmentation=Augmentation(shift=0.0)))
    assert len(cut) == 2


def test_what_was_broken_off_is_made_anew(tmp_path):
    def broken(folder):
        (folder / "half.npy").write_bytes(b"x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached.make_once(tmp_path / "a" / "windows", broken)
    assert list((tmp_path / "a").iterdir()) == []
    cached.make_once(tmp_path / "a" / "windows", lambda folder: np.save(folder / "x.npy", np.arange(3)))
    cached.make_once(tmp_path / "a" / "windows", broken)  # it is there: not asked
    assert cached.read_arrays(tmp_path / "a" / "windows")["x"].tolist() == [0, 1, 2]


def test_a_delta_wider_than_cached_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cached for a delta of up to 2, not 3"):
        data_in(tmp_path, delta=3)
