# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Scores become the share of joints that are found, ellipses hold 39 % of the labels."""

from __future__ import annotations

import pytest
import torch

from training.losses.confidence import HELD, confidence_loss, mahalanobis, torso_reach
from training.models.confidence import FEATURES, Confidence, evidence

JOINTS = ("left_shoulder", "right_shoulder", "left_hip", "right_hip", "nose")


def test_what_is_learnt_is_the_share_found_and_the_ellipse_that_holds_as_many_as_it_should() -> None:
    random = torch.Generator().manual_seed(0)
    bad = (torch.rand(4000, 1, generator=random) < 0.5).float()  # the only thing that the evidence shows
    shown = torch.cat([bad, torch.zeros(4000, FEATURES - 1)], dim=1).unsqueeze(1)
    errors = torch.randn(4000, 1, 2, generator=random) * (1 + 5 * bad)[..., None]
    covariance, reach, weight = (
        torch.tensor([4.0, 0.0, 4.0]).expand(4000, 1, 3),
        torch.tensor([[3.0]]),
        torch.ones(4000, 1),
    )
    torch.manual_seed(0)
    confidence = Confidence(1)
    optimiser = torch.optim.Adam(confidence.parameters(), 0.02)
    for _ in range(150):
        optimiser.zero_grad()
        logit, factor = confidence(shown)
        confidence_loss(logit, factor, errors, covariance, reach, weight).total.backward()
        optimiser.step()
    logit, factor = (value.detach()[:, 0] for value in confidence(shown))
    found = (errors.norm(dim=-1) <= 3).float()[:, 0]
    held = (mahalanobis(errors, covariance)[:, 0] <= torch.exp(factor)).float()
    for these in (bad[:, 0] == 0, bad[:, 0] == 1):
        assert torch.sigmoid(logit[these]).mean() == pytest.approx(found[these].mean().item(), abs=0.03)
        assert held[these].mean() == pytest.approx(HELD, abs=0.04)


def test_a_torso_is_measured_where_its_ends_are_labelled() -> None:
    points = torch.tensor([[[10.0, 0.0], [0.0, 0.0], [10.0, 30.0], [0.0, 40.0], [5.0, -9.0]]]).repeat(2, 1, 1)
    weight = torch.tensor([[1.0, 0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0, 1.0]])
    reach, known = torso_reach(points, weight, JOINTS)
    assert reach[0, 0] == pytest.approx(0.2 * (10**2 + 40**2) ** 0.5)  # the other diagonal lacks its shoulder
    assert known[:, 0].tolist() == [1, 0]


def test_frames_that_did_not_come_are_no_evidence() -> None:
    logits = torch.full((1, 2, 8, 8), -9.0)
    logits[..., 3, 3] = 5.0
    joints = torch.tensor([3.0, 3.0, 0.8]).expand(1, 5, 2, 3).clone()
    place = torch.full((1, 2, 2), 3.0)
    alone = evidence(logits, logits, joints, place, place)
    joints[:, 0, :, 0] = 7.0
    assert alone[0, 0, 2] == 0 and alone[0, 0, -1] == pytest.approx(0.2)
    beside = evidence(logits, logits, joints, place, place)
    assert beside[0, 0, 2] > 0.5 and beside[0, 0, -1] == pytest.approx(0.4)
