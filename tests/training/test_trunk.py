# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The trunk's stage: the published network teaches, labels mend it, and frozen layers give the same in ONNX Runtime."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.losses.sdtc import gaussian_heatmaps
from training.losses.trunk import gate_loss, heatmap_target, trunk_loss
from training.models.frozen import FrozenGraph
from training.models.movenet import MoveNet, MoveNetConfig, MoveNetOutput
from training.movenet_module import share_found

CELLS = (32, 16)
SIZE = (128, 64)
JOINTS = 17


def maps(peaks: Tensor) -> MoveNetOutput:
    """Heads that have each joint at peaks B x K x 2 (crop pixels)."""
    logits = torch.logit(gaussian_heatmaps(peaks, CELLS, SIZE, 1.2).clamp(1e-4, 0.9))
    batch = len(peaks)
    zeros = [torch.zeros(batch, channels, *CELLS) for channels in (1, 2 * JOINTS, 2 * JOINTS)]
    return MoveNetOutput(torch.zeros(0), torch.zeros(0), logits, *zeros)


def test_the_teacher_says_where_a_joint_is_but_where_it_is_wrong_or_unsure() -> None:
    peaks = torch.tensor([[[20.0, 20.0], [40.0, 100.0], [30.0, 60.0]]])
    labels = torch.tensor([[[22.0, 22.0], [20.0, 50.0], [30.0, 60.0]]])
    teacher = torch.logit(gaussian_heatmaps(peaks, CELLS, SIZE, 1.2).clamp(1e-4, 0.9))
    teacher[:, 2] -= 4.0  # sees nothing there
    drawn = gaussian_heatmaps(labels, CELLS, SIZE, 1.2)
    target = heatmap_target(teacher, drawn, torch.ones(1, 3))
    torch.testing.assert_close(target[0, 0], torch.sigmoid(teacher[0, 0]))
    torch.testing.assert_close(target[0, 1:], drawn[0, 1:])
    without = heatmap_target(teacher, drawn, torch.zeros(1, 3))
    torch.testing.assert_close(without, torch.sigmoid(teacher))


def test_every_heads_error_is_in_the_loss() -> None:
    peaks = torch.rand(2, JOINTS, 2, generator=torch.Generator().manual_seed(0)) * 60
    teacher, weight = maps(peaks), torch.ones(2, JOINTS)
    nothing = torch.zeros(())
    same = trunk_loss(teacher, teacher, peaks, weight, SIZE, nothing)
    assert same.regression == same.offsets == 0
    for head in ("heatmap_logits", "centre", "regression", "offsets"):
        worse = teacher._replace(**{head: getattr(teacher, head) + 1.5})
        assert trunk_loss(worse, teacher, peaks, weight, SIZE, nothing).total > same.total
    assert trunk_loss(teacher, teacher, peaks, weight, SIZE, torch.ones(())).total > same.total


def test_the_gate_should_open_as_far_as_crops_were_changed() -> None:
    clean = torch.full((2, 8, 8, 3), 100, dtype=torch.uint8)
    crops = torch.stack([clean[0], clean[0] + 50])  # as it was, and darkened
    right, wrong = torch.tensor([-6.0, 6.0]), torch.tensor([6.0, -6.0])
    assert gate_loss(right, crops, clean) < 0.01 < 5 < gate_loss(wrong, crops, clean)
    half = torch.stack([clean[0], clean[0] + 2])
    assert gate_loss(torch.tensor([-6.0, 0.0]), half, clean) < gate_loss(torch.tensor([-6.0, 3.0]), half, clean)


@pytest.mark.slow
def test_frozen_layers_answer_as_torch_does_and_learn_nothing() -> None:
    torch.manual_seed(0)
    trunk = MoveNet(MoveNetConfig(width=0.25, image_size=SIZE))
    images = torch.randint(0, 256, (3, *SIZE, 3), dtype=torch.uint8)
    frozen = FrozenGraph(trunk, images[:2])
    expected = trunk.eval()(images)
    for given, wanted in zip(frozen(images), expected, strict=True):
        torch.testing.assert_close(given, wanted.detach(), atol=1e-4, rtol=1e-4)
        assert not given.requires_grad
    assert all(parameter.requires_grad for parameter in trunk.parameters())


def test_joints_are_found_within_reach_of_their_labels() -> None:
    labels = torch.tensor([[[10.0, 20.0], [40.0, 80.0], [50.0, 50.0]]])
    logits = torch.logit(
        gaussian_heatmaps(labels + torch.tensor([[[0.0, 0.0], [9.0, 0.0], [9.0, 0.0]]]), CELLS, SIZE, 1.2)
    )
    weight = torch.tensor([[1.0, 1.0, 0.0]])
    assert share_found(logits, labels, weight, torch.tensor([5.0]), SIZE) == 50
    assert share_found(logits, labels, weight, torch.tensor([12.0]), SIZE) == 100
