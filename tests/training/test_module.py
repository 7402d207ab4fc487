# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The Lightning modules: what validation measures, what the optimiser moves and what it leaves alone."""

from __future__ import annotations

import dataclasses
import warnings

import lightning
import numpy as np
import pytest
import torch
from torch import nn

from sdtc_ros.skeleton import POSETRACK
from training.decode import encode_heatmaps
from training.models.baselines import SingleFrameConfig
from training.models.mlsme import MLSMEConfig
from training.models.sdtc import SDTCConfig, SDTCOutput
from training.models.vit import ViTConfig
from training.module import OptimiserConfig, PoseTraining, SDTCTraining, SingleFrameTraining

SIZE, CELLS = (48, 64), (12, 16)  # width and height of crops and of heatmaps
HEAD = 10.0  # head size, crop pixels
VIT = ViTConfig(image_size=(64, 48), patch=16, padding=0, dim=32, depth=1, heads=2, stem="conv")
SINGLE = SingleFrameConfig(backbone=VIT, head_width=16, location_sigma=1.0)
TEMPORAL = SDTCConfig(backbone=VIT, delta=1, channels=16, head_width=16, location_sigma=1.0, mlsme=MLSMEConfig(heads=2))


class Oracle(nn.Module):
    """Says the heatmaps it was given; a sample's number stands in its crops."""

    def __init__(self, heatmaps: np.ndarray) -> None:
        super().__init__()
        self.config, self.skeleton = SINGLE, POSETRACK
        self.heatmaps = torch.from_numpy(heatmaps)

    def forward(self, crops: torch.Tensor) -> SDTCOutput:
        return SDTCOutput(self.heatmaps[crops[:, 0, 0, 0, 0].long()])


def make_samples(count: int = 5, frames: int = 3) -> list[dict[str, np.ndarray]]:
    """Windows of people whose neighbours in time stand elsewhere and are not labelled."""
    points = np.random.default_rng(0).uniform((8, 8), (39, 55), (count, frames, 15, 2)).astype(np.float32)
    weight = np.zeros((count, frames, 15), np.float32)
    weight[:, frames // 2] = 1
    return [
        {
            "crops": np.full((frames, 64, 48, 3), number, np.uint8), "points": points[number], "weight": weight[number],
            "occluded": np.zeros(15, bool), "blurred": np.zeros(15, bool), "head_size": np.float32(HEAD),
            "to_image": np.eye(2, 3, dtype=np.float32), "sample": np.int64(number),
        }
        for number in range(count)
    ]  # fmt: skip


def trainer(**settings) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, **settings,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice about worker processes
        yield


def measure(samples, off: np.ndarray | float = 0.0) -> dict[str, float]:
    """Validation of predictions that lie `off` head sizes (a number, or one a sample and joint) right of the truth."""
    said = np.stack([sample["points"][len(sample["points"]) // 2] for sample in samples])
    said[..., 0] += off * np.array([sample["head_size"] for sample in samples])[:, None]
    module = PoseTraining(OptimiserConfig(), lam=0.0)
    module.network = Oracle(encode_heatmaps(said, SIZE, CELLS))
    loader = torch.utils.data.DataLoader(samples, batch_size=2)
    (metrics,) = trainer().validate(module, loader, verbose=False)
    return {name.removeprefix("val/pckh_"): value for name, value in metrics.items()}


def test_pckh_counts_joints_within_half_a_head():
    samples = make_samples()
    groups = {"all": 100.0} | {name.lower(): 100.0 for name, _ in POSETRACK.groups}
    assert measure(samples) == groups
    assert measure(samples, 0.42) == groups
    assert measure(samples, 0.58) == dict.fromkeys(groups, 0.0)


def test_pckh_goes_by_each_person_s_own_head():
    samples = make_samples()
    samples[1]["head_size"] = np.float32(2 * HEAD)
    off = np.zeros((5, 15))
    off[:2, 0] = 0.3  # 3 and 6 pixels
    assert measure(samples, off)["all"] == 100
    off[0, 0] = 0.6  # 6 pixels, too far for a head of 10
    assert measure(samples, off)["all"] == pytest.approx(100 * (1 - 1 / 75))


def test_pckh_of_groups_hidden_and_blurred_joints():
    samples = make_samples()
    wrist, knee = POSETRACK.index("left_wrist"), POSETRACK.index("right_knee")
    off = np.zeros((5, 15))
    off[:3, wrist] = 0.8
    samples[0]["occluded"][[wrist, knee]] = True  # one wrong, one right
    samples[4]["occluded"][knee] = True
    samples[2]["blurred"][wrist] = True
    samples[3]["blurred"][[0, 1, 2]] = True
    found = measure(samples, off)
    expected = {"all": 100 * 72 / 75, "wrist": 70.0, "knee": 100.0, "occluded": 200 / 3, "blurred": 75.0}
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_joints_that_are_not_labelled_do_not_count():
    samples = make_samples()
    elbows = [POSETRACK.index("left_elbow"), POSETRACK.index("right_elbow")]
    off = np.zeros((5, 15))
    off[:, elbows] = 2.0
    off[0, 0] = 2.0
    for sample in samples:
        sample["weight"][:, elbows] = 0
        sample["occluded"][elbows] = True
    found = measure(samples, off)
    assert found["all"] == pytest.approx(100 * (1 - 1 / 65))
    assert found["shoulder"] == 100
    assert "elbow" not in found
    assert "occluded" not in found


def spot_windows(count: int = 4) -> list[dict[str, np.ndarray]]:
    """Windows with a bright square at every joint, each frame of them alike."""
    samples = make_samples(count)
    for sample in samples:
        sample["points"][:] = sample["points"][1]
        sample["weight"][:] = 1
        sample["crops"][:] = 0
        for joint, (x, y) in enumerate(sample["points"][1].astype(int)):
            sample["crops"][:, y - 2 : y + 3, x - 2 : x + 3, joint % 3] = 120 + 9 * joint
    return samples


class Losses(lightning.Callback):
    """Keeps each step's loss."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(self, trainer, module, outputs, *_) -> None:
        self.values.append(float(outputs["loss"]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["single-frame", "sdtc"])
def test_a_batch_can_be_learnt_by_heart(kind):
    torch.manual_seed(0)
    optimiser = OptimiserConfig(lr=5e-3, warmup_steps=2, schedule="steps")
    module = SingleFrameTraining(SINGLE, optimiser) if kind == "single-frame" else SDTCTraining(TEMPORAL, optimiser)
    backbone = {name: value.clone() for name, value in module.network.backbone.state_dict().items()}
    losses = Losses()
    loader = torch.utils.data.DataLoader(spot_windows(), batch_size=4)
    trainer(max_steps=25, callbacks=[losses]).fit(module, loader)
    assert len(losses.values) == 25
    assert losses.values[0] == pytest.approx(np.log(12 * 16), abs=0.3)  # it knows nothing
    assert np.mean(losses.values[-3:]) < losses.values[0] - 1.2  # more than by learning where people are on average
    if kind == "single-frame":  # masks keep the other one from it
        (metrics,) = trainer().validate(module, loader, verbose=False)
        assert metrics["val/pckh_all"] > 90  # each its own person, and not another one of the batch
    moved = [n for n, value in module.network.backbone.state_dict().items() if not torch.equal(value, backbone[n])]
    assert moved == (list(backbone) if kind == "single-frame" else [])  # a frozen one keeps its statistics too


@pytest.mark.parametrize("frozen", [True, False])
def test_weight_decay_is_for_weights_alone(frozen):
    module = SDTCTraining(dataclasses.replace(TEMPORAL, freeze_backbone=frozen), OptimiserConfig(weight_decay=0.3))
    module.trainer = attached = trainer(max_steps=10)
    optimiser = module.configure_optimizers()["optimizer"]
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    named = dict(module.network.named_parameters())
    assert len(decay) == sum(len(group["params"]) for group in optimiser.param_groups)  # each once
    assert {n for n, p in named.items() if id(p) in decay} == {n for n, p in named.items() if p.requires_grad}
    assert frozen == ("backbone.pos_embed" not in {n for n, p in named.items() if id(p) in decay})
    for name, parameter in named.items():
        if id(parameter) in decay:
            spared = name.endswith(("bias", "embedding.time", "pos_embed", "_token.token")) or "norm" in name
            spared = spared or parameter.dim() == 1  # batch norms in sequences have numbers for names
            assert decay[id(parameter)] == (0.0 if spared else 0.3), name
    assert decay[id(named["embedding.time"])] == 0
    assert attached.max_steps == 10


def test_learning_rates():
    cosine = OptimiserConfig(warmup_steps=10)
    assert [cosine.scale(step, 110) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert [cosine.scale(step, 110) for step in (10, 60, 110, 200)] == pytest.approx([1.0, 0.5, 0.0, 0.0])
    steps = OptimiserConfig(warmup_steps=0, schedule="steps", milestones=(5, 8))
    assert [steps.scale(step, 110) for step in (0, 4, 5, 7, 8, 99)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
