# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Two processes on halves of a batch give the gradients of one process on the whole batch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing
from torch.nn.parallel import DistributedDataParallel

from training.losses.sdtc import sdtc_loss
from training.models.masking import frame_mask, masked_samples, tube_mask
from training.models.mlsme import MLSMEConfig
from training.models.sdtc import SDTC, SDTCConfig
from training.models.vit import ViTConfig

pytestmark = pytest.mark.slow

SIZE = (64, 48)
BATCH, FRAMES, JOINTS = 4, 3, 15


def network() -> SDTC:
    """A micro SDTC that masks as in training, its batch norms fixed: what is left is the loss and the gradients."""
    torch.manual_seed(0)
    backbone = ViTConfig(image_size=SIZE, dim=16, depth=1, heads=2)
    config = SDTCConfig(backbone, delta=1, channels=16, head_width=8, mlsme=MLSMEConfig(2, masked_share=0.7))
    network = SDTC(config).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    return network


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Crops, points and weights; the first half has 3 labelled joints a person, the second 12."""
    generator = torch.Generator().manual_seed(1)
    crops = torch.randint(0, 256, (BATCH, FRAMES, *SIZE, 3), dtype=torch.uint8, generator=generator)
    points = torch.rand(BATCH, FRAMES, JOINTS, 2, generator=generator) * 40
    weight = torch.zeros(BATCH, FRAMES, JOINTS)
    weight[:2, :, :3] = 1
    weight[2:, :, :12] = 1
    return crops, points, weight


def gradients(module: torch.nn.Module, part: slice) -> torch.Tensor:
    crops, points, weight = (values[part] for values in batch())
    torch.manual_seed(2)  # every process's masks begin alike, as seed_everything leaves them
    sdtc_loss(module(crops), points, weight, SIZE, lam=0.01).total.backward()
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


def process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    answer = gradients(DistributedDataParallel(network()), slice(2 * rank, 2 * rank + 2))
    torch.manual_seed(3)
    masks = [tube_mask(400, 12, 0.5).flatten(1), frame_mask(400, 5, 0.5).flatten(1), masked_samples(400, 0.3)[:, 0, 0]]
    torch.save((answer, masks), Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_gloo_available(), reason="torch was built without gloo")
def test_two_processes_have_the_gradients_of_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (Path(__file__).parent, Path.cwd()))))
    multiprocessing.spawn(process, (str(tmp_path),), nprocs=2)
    (first, masks), (second, others) = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    whole = gradients(network(), slice(None))
    assert torch.equal(first, second)
    assert whole.abs().max() > 1e-4
    assert torch.allclose(first, whole, rtol=1e-4, atol=1e-7)
    alone = (gradients(network(), slice(0, 2)) + gradients(network(), slice(2, 4))) / 2
    assert not torch.allclose(alone, whole, rtol=1e-2, atol=1e-6)  # what averaging each half's own mean would give
    for one, other in zip(masks, others, strict=True):  # masks differ between processes, but not in distribution
        assert (one != other).any(dim=1).float().mean() > 0.4 * (one.shape[1] > 1)
        assert not torch.equal(one, other)
        assert (one.float().mean(0) - other.float().mean(0)).abs().max() < 0.15
    assert {int(row) for mask in (masks[0], others[0]) for row in mask.sum(1)} == {6}
    assert {int(row) for mask in (masks[1], others[1]) for row in mask.sum(1)} == {3}
