# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Rendered windows as training data: both stages of SDTC on MoveNet's trunk learn from a folder of shards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from one_step import train_one_step

from sdtc_ros.errors import BundleError, InputError, UsageError
from training.callbacks import Curves
from training.checkpoint import KEY, describe
from training.data.corrupt import Corruption
from training.data.people_windows import PeopleWindows, PeopleWindowsConfig, Windows, in_time
from training.models.movenet import MoveNetConfig
from training.models.sdtc_movenet_config import SDTCMoveNetConfig
from training.movenet_module import MoveNetTraining
from training.synthetic.shards import read_shard

SIZE = (64, 128)
NETWORK = SDTCMoveNetConfig(
    backbone=MoveNetConfig(image_size=SIZE[::-1], adapters=8),
    channels=16,
    head_width=8,
    trajectory=16,
    freeze_backbone=False,
)


def shard(path: Path, windows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    frames = random.integers(0, 256, (windows * 5, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    files = [cv2.imencode(".jpg", frame)[1].ravel() for frame in frames]
    joints = random.uniform(5, 60, (windows, 5, 15, 2)).astype(np.float32)
    np.savez(
        path, jpeg=np.concatenate(files), offsets=np.cumsum([0, *map(len, files)]), joints=joints,
        visibility=np.full((windows, 5, 15), 2, np.uint8),
    )  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> PeopleWindowsConfig:
    for folder, counts in (("train", (3, 2)), ("val", (2,))):
        (tmp_path / folder).mkdir()
        for number, count in enumerate(counts):
            shard(tmp_path / folder / f"windows-{number:05d}.npz", count, number)
    return PeopleWindowsConfig(
        str(tmp_path / "train"), str(tmp_path / "val"), str(tmp_path / "cached"), size=SIZE, batch=2, draws=2
    )


def fit(config: PeopleWindowsConfig, stage: str, folder: Path) -> tuple[MoveNetTraining, PeopleWindows]:
    torch.manual_seed(0)
    module = MoveNetTraining(NETWORK, stage=stage)  # type: ignore[arg-type]
    data = PeopleWindows(config)
    train_one_step(module, data, folder)
    return module, data


def moved_by(module: MoveNetTraining) -> set[str]:
    """Weights that `fit` changed."""
    torch.manual_seed(0)
    before = MoveNetTraining(NETWORK).network.state_dict()
    return {name for name, value in module.network.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.usefixtures("in_torch")
def test_the_first_stage_moves_adapters_and_nothing_else(config: PeopleWindowsConfig, tmp_path: Path) -> None:
    module, data = fit(config, "trunk", tmp_path)
    moved = moved_by(module)
    assert moved and all(name.startswith("backbone.adapters.") for name in moved)
    assert any(name.startswith("backbone.adapters.gate.") for name in moved)
    assert len(data.train_set) == 5  # type: ignore[arg-type]


@pytest.mark.usefixtures("in_torch")
def test_the_second_stage_moves_the_gate_and_nothing_else(config: PeopleWindowsConfig, tmp_path: Path) -> None:
    module, _ = fit(config, "gate", tmp_path)
    moved = moved_by(module)
    assert moved and all(name.startswith("backbone.adapters.gate.") for name in moved)


@pytest.mark.usefixtures("in_torch")
@pytest.mark.slow
def test_the_third_stage_learns_from_what_the_trunk_saw_once(config: PeopleWindowsConfig, tmp_path: Path) -> None:
    _, data = fit(config, "temporal", tmp_path)
    (cached,) = (tmp_path / "cached").glob("train-*")
    assert len(data.train_set) == 10  # type: ignore[arg-type]  # five windows in two draws of corruption
    written = {path.name: path.stat().st_mtime_ns for path in cached.iterdir()}
    fit(config, "temporal", tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in cached.iterdir()} == written


@pytest.mark.usefixtures("in_torch")
@pytest.mark.slow
def test_the_last_stage_moves_scores_and_covariances_and_nothing_else(
    config: PeopleWindowsConfig, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    before, path = MoveNetTraining(NETWORK).network, tmp_path / "sdtc.ckpt"
    state = {f"network.{name}": value for name, value in before.state_dict().items()}
    torch.save({KEY: describe(before), "state_dict": state}, path)
    whole = replace(NETWORK, confidence=True, freeze_backbone=True)
    module = MoveNetTraining(whole, stage="confidence", weights_checkpoint=str(path))
    start = {name: value.clone() for name, value in module.network.state_dict().items()}
    trainer = lightning.Trainer(
        max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, limit_val_batches=1, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(module, datamodule=PeopleWindows(replace(config, draws=1)))
    moved = {name for name, value in module.network.state_dict().items() if not torch.equal(value, start[name])}
    assert moved and all(name.startswith("confidence.") for name in moved)
    assert all(torch.equal(start[name], value) for name, value in before.state_dict().items())
    with pytest.raises(UsageError, match="config.confidence"):
        MoveNetTraining(NETWORK, stage="confidence")


def test_windows_are_drawn_in_the_size_that_the_network_wants(config: PeopleWindowsConfig) -> None:
    windows = Windows(config.train, MoveNetTraining(NETWORK).network.skeleton, replace(config, size=(96, 128)))
    drawn = windows.draw(2, range(5), np.random.default_rng(0))
    assert drawn.images.shape == drawn.clean.shape == (5, 128, 96, 3)


def test_trajectories_start_where_another_run_left_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    without = MoveNetTraining(replace(NETWORK, semantics=False))
    torch.nn.init.normal_(without.network.trajectory.answer.weight)
    path = tmp_path / "tracks.ckpt"
    state = {f"network.{name}": value for name, value in without.network.state_dict().items()}
    torch.save({KEY: describe(without.network), "state_dict": state}, path)
    whole = MoveNetTraining(NETWORK, trajectory_checkpoint=str(path)).network
    for name, value in whole.trajectory.state_dict().items():
        torch.testing.assert_close(value, without.network.trajectory.state_dict()[name])
    assert not torch.equal(whole.backbone.stem.weight, without.network.backbone.stem.weight)
    with pytest.raises(BundleError, match="trajectory"):
        MoveNetTraining(replace(NETWORK, trajectory=24), trajectory_checkpoint=str(path))


@pytest.mark.slow
@pytest.mark.usefixtures("in_torch")
def test_validations_draw_curves_without_pictures_of_samples(config: PeopleWindowsConfig, tmp_path: Path) -> None:
    module = MoveNetTraining(NETWORK, stage="trunk")
    trainer = lightning.Trainer(
        max_steps=2, accelerator="cpu", logger=CSVLogger(tmp_path, "", ""), callbacks=[Curves()], val_check_interval=1,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=1, log_every_n_steps=1,
        num_sanity_val_steps=0, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=PeopleWindows(config))
    assert (tmp_path / "curves.png").is_file() and not (tmp_path / "samples.png").exists()


@pytest.mark.slow
def test_a_draw_follows_from_its_seed(config: PeopleWindowsConfig) -> None:
    windows = Windows(config.train, MoveNetTraining(NETWORK).network.skeleton, config)
    one, other = (windows.draw(4, range(5), np.random.default_rng(9)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert one.images.shape == one.clean.shape == (5, SIZE[1], SIZE[0], 3)
    assert one.points.shape == (5, 15, 2) and one.weight.shape == (5, 15)


def test_a_restyled_draw_has_the_same_people_in_other_colours(config: PeopleWindowsConfig) -> None:
    skeleton = MoveNetTraining(NETWORK).network.skeleton
    nothing = Corruption(occluded=0, blurred=0, dark=0, coarse=0)
    plain, restyled = (
        Windows(config.train, skeleton, replace(config, corruption=replace(nothing, restyled=share))).draw(
            0, [2], np.random.default_rng(0)
        )
        for share in (0.0, 1.0)
    )
    assert np.array_equal(plain.points, restyled.points) and np.array_equal(plain.weight, restyled.weight)
    assert not np.array_equal(plain.clean, restyled.clean)
    assert np.array_equal(restyled.images, restyled.clean)  # another camera's picture is no corrupted one


def test_windows_in_time_keep_the_keyframe_and_put_near_frames_in_place_of_missing_ones() -> None:
    drawn = {tuple(in_time(0.5, np.random.default_rng(seed))) for seed in range(200)}
    assert {(0, 1, 2, 3, 4), (0, 1, 2, 2, 2), (2, 2, 2, 2, 2)} <= drawn
    assert all(order[2] == 2 and list(order) == sorted(order) for order in drawn)


def test_what_is_no_shard_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "windows-00000.npz"
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match="make it again"):
        read_shard(path)
    with pytest.raises(InputError, match="contains no windows"):
        Windows(tmp_path / "nowhere", MoveNetTraining(NETWORK).network.skeleton, PeopleWindowsConfig())
