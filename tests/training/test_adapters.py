# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Adapters beside MoveNet's layers: silent where the gate is closed, and beside every layer from stride 8 on."""

from __future__ import annotations

import pytest
import torch

from training.models.adapters import Adapter, Gate
from training.models.movenet import MoveNet, MoveNetConfig
from training.models.sdtc_movenet_config import SDTCMoveNetConfig
from training.movenet_module import MoveNetTraining

SIZE = (96, 64)
PLAIN = MoveNetConfig(width=0.25, image_size=SIZE)
ADAPTED = MoveNetConfig(width=0.25, image_size=SIZE, adapters=64)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randint(0, 256, (2, *SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def pair() -> tuple[MoveNet, MoveNet]:
    """The same trunk without adapters and with some whose weights are anything."""
    torch.manual_seed(0)
    plain, adapted = MoveNet(PLAIN).eval(), MoveNet(ADAPTED).eval()
    adapted.load_state_dict(adapted.state_dict() | plain.state_dict())
    return plain, adapted


def speak(trunk: MoveNet) -> None:
    """Give the adapters' last layers weights, which are zero before training."""
    assert trunk.adapters is not None
    for module in trunk.adapters.modules():
        if isinstance(module, Adapter):
            torch.nn.init.normal_(module.project.weight, std=0.5)


def opened(trunk: MoveNet, logit: float) -> None:
    assert trunk.adapters is not None
    torch.nn.init.zeros_(trunk.adapters.gate.decide.weight)
    torch.nn.init.constant_(trunk.adapters.gate.decide.bias, logit)


@torch.no_grad()
def test_before_training_and_where_the_gate_is_closed_the_published_network_answers(images: torch.Tensor) -> None:
    plain, adapted = pair()
    for given, expected in zip(adapted(images), plain(images), strict=True):
        torch.testing.assert_close(given, expected)
    speak(adapted)
    opened(adapted, -200.0)
    for given, expected in zip(adapted(images), plain(images), strict=True):
        torch.testing.assert_close(given, expected)
    opened(adapted, 3.0)
    assert not torch.allclose(adapted(images).stride16, plain(images).stride16)
    assert not torch.allclose(adapted(images).heatmap_logits, plain(images).heatmap_logits)


@torch.no_grad()
def test_the_gate_judges_each_crop_by_itself(images: torch.Tensor) -> None:
    _, adapted = pair()
    speak(adapted)
    together = adapted(images).stride4
    torch.testing.assert_close(together[:1], adapted(images[:1]).stride4, atol=1e-5, rtol=1e-5)
    gate = Gate(8, 16)
    answers = gate(torch.rand(3, 8, 8, 4), torch.rand(3, 16, 4, 2))
    assert answers.shape == (3, 1, 1, 1) and bool(((answers > 0) & (answers < 1)).all())


def test_an_adapter_sees_the_cells_that_its_layer_sees() -> None:
    adapter = Adapter(1, 1, 1, stride=2)
    for weight in (adapter.expand.weight, adapter.project.weight, adapter.depthwise.weight):
        torch.nn.init.ones_(weight)
    for bias in (adapter.expand.bias, adapter.depthwise.bias):
        assert bias is not None
        torch.nn.init.zeros_(bias)
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 2, 2] = 1.0  # cells read three rows and columns from their first on, so that all four see this one
    assert adapter(image, torch.ones(1, 1, 1, 1))[0, 0].tolist() == [[1.0, 1.0], [1.0, 1.0]]
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 3, 3] = 1.0
    assert adapter(image, torch.ones(1, 1, 1, 1))[0, 0].tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_the_first_stage_needs_adapters() -> None:
    with pytest.raises(Exception, match="trains adapters"):
        MoveNetTraining(SDTCMoveNetConfig(backbone=PLAIN), stage="trunk")
