# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Factorisation of motion into useful and noisy parts."""

import pytest
import torch

from training.models.rdm import RDM, RDMConfig


def motion(channels=8):
    return torch.randn(3, channels, 5, 4, generator=torch.Generator().manual_seed(0))


def module(kind="attention", channels=8):
    torch.manual_seed(0)
    return RDM(channels, RDMConfig(kind))


def test_gates_are_weights_of_channels():
    rdm, m = module(), motion()
    for part, gate in ((rdm.useful(m), rdm.useful_gate(m)), (rdm.noisy(m), rdm.noisy_gate(m))):
        assert gate.shape == (3, 8)
        assert ((gate > 0) & (gate < 1)).all()
        ratio = (part / m).flatten(2)
        assert torch.allclose(ratio, gate.unsqueeze(2).expand_as(ratio), atol=1e-5)  # one weight for all places


def test_the_two_gates_are_independent():
    rdm, m = module(), motion()
    assert not torch.allclose(rdm.useful_gate(m), rdm.noisy_gate(m), atol=1e-3)
    before = rdm.noisy(m)
    rdm.useful_gate.mlp[-1].bias.data.fill_(-50.0)
    assert torch.equal(rdm.noisy(m), before)
    assert torch.allclose(rdm.useful(m), torch.zeros_like(m), atol=1e-6)


def test_a_gate_sees_the_whole_map_and_nothing_but_its_mean():
    rdm, m = module(), motion()
    shuffled = m.flatten(2)[:, :, torch.randperm(20)].view_as(m)
    assert torch.allclose(rdm.useful_gate(m), rdm.useful_gate(shuffled), atol=1e-5)
    assert not torch.allclose(rdm.useful_gate(m), rdm.useful_gate(m + 1), atol=1e-3)


def test_split_parts_are_disjoint_and_whole():
    rdm, m = module("split", 7), motion(7)
    assert (rdm.useful_channels, rdm.noisy_channels) == (4, 3)
    assert torch.equal(torch.cat([rdm.useful(m), rdm.noisy(m)], dim=1), m)
    assert list(rdm.parameters()) == []


def test_without_the_module_all_motion_is_useful():
    rdm, m = module("none"), motion()
    assert torch.equal(rdm.useful(m), m)
    assert rdm.noisy(m) is None
    assert (rdm.useful_channels, rdm.noisy_channels) == (8, 0)


@pytest.mark.parametrize("part", ["useful", "noisy"])
def test_gradients_reach_the_part_s_own_gate_and_the_motion(part):
    rdm, m = module(), motion().requires_grad_()
    getattr(rdm, part)(m).square().sum().backward()
    other = "noisy" if part == "useful" else "useful"
    assert m.grad.any()
    assert all(p.grad.any() for p in getattr(rdm, f"{part}_gate").parameters())
    assert all(p.grad is None for p in getattr(rdm, f"{other}_gate").parameters())
