# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Small networks for the tests of training/ and export/."""

import copy

import cv2
import pytest
import torch

from training import movenet_module
from training.data import people_windows
from training.models.mlsme import MLSMEConfig
from training.models.sdtc import SDTC, SDTCConfig
from training.models.vit import ViTConfig

cv2.setNumThreads(1)  # tests fork loader workers, which must not inherit a pool of threads (training.data.loader)

SMALL_VIT = ViTConfig(image_size=(64, 48), patch=16, dim=32, depth=2, heads=2)
SMALL = SDTCConfig(backbone=SMALL_VIT, channels=16, head_width=8, mlsme=MLSMEConfig(heads=2))


@pytest.fixture
def small_config() -> SDTCConfig:
    return SMALL


@pytest.fixture
def small_sdtc() -> SDTC:
    torch.manual_seed(0)
    network = SDTC(SMALL)
    with torch.no_grad():  # the head starts near zero; give it something to say
        network.head.final.weight.normal_(0, 0.1)
    return network


@pytest.fixture
def small_windows() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 5, 64, 48, 3), dtype=torch.uint8, generator=generator)


class InTorch:
    """FrozenGraph without its ONNX graph, which takes seconds to make; test_trunk.py has the real one."""

    def __init__(self, module: torch.nn.Module, images: torch.Tensor) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.module(images))


@pytest.fixture
def in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen layers run in torch."""
    for module in (movenet_module, people_windows):
        monkeypatch.setattr(module, "FrozenGraph", InTorch)
