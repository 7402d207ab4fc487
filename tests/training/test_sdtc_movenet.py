# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""SDTC on MoveNet's trunk: it starts at the single frame's answer, and trajectories follow lines."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from training.checkpoint import describe
from training.losses.movenet import movenet_loss
from training.models.decode import Decode
from training.models.mlsme import MLSMEConfig
from training.models.movenet import MoveNetConfig
from training.models.sdtc_movenet import CALM, SDTCMoveNet, Seen, calmed
from training.models.sdtc_movenet_config import SDTCMoveNetConfig
from training.models.streamed import streamed
from training.models.trajectory import fit_line, news

SMALL = SDTCMoveNetConfig(
    backbone=MoveNetConfig(width=0.25, image_size=(128, 64)), channels=16, head_width=8, trajectory=16
)


@pytest.fixture(scope="module")
def network() -> SDTCMoveNet:
    torch.manual_seed(0)
    return SDTCMoveNet(SMALL)


def windows(network: SDTCMoveNet, batch: int = 2) -> torch.Tensor:
    height, width = network.config.backbone.image_size
    random = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (batch, 5, height, width, 3), dtype=torch.uint8, generator=random)


def test_untrained_it_answers_as_its_trunk_does_in_the_keyframe(network: SDTCMoveNet) -> None:
    crops = windows(network)
    network.eval()
    with torch.no_grad():
        kept = {name: value.unflatten(0, (2, 5)) for name, value in network.encode(crops.flatten(0, 1)).items()}
        answer = network.estimate(kept)
        alone = network.look(crops[:, 2])
    assert answer.shape == (2, 15, 32, 16)
    torch.testing.assert_close(answer, alone.heatmaps.clamp(1e-4, 1 - 1e-4))


def test_a_maximum_beside_the_keyframes_own_joint_is_that_joint(network: SDTCMoveNet) -> None:
    network.eval()
    decode = Decode(network.config.heatmap_size, network.config.backbone.image_size)
    heatmaps = torch.full((1, 5, 15, 32, 16), -9.0)
    heatmaps[..., 10, 5] = 2.0
    joints = torch.tensor([5.7, 10.3, 0.9]).expand(1, 5, 15, 3)
    kept = {"joints": joints, "logits": heatmaps, "tokens": torch.zeros(1, 5, 32, 16)}
    with torch.no_grad():
        near, _, _ = network.poses(kept | {"detail": torch.zeros(1, 5, 8, 32, 16)}, decode)
        far, _, _ = network.poses(kept | {"detail": torch.zeros(1, 5, 8, 32, 16), "joints": joints + 4}, decode)
    cell = torch.tensor([63 / 15, 127 / 31])
    torch.testing.assert_close(near[0, 0, :2], torch.tensor([5.7, 10.3]) * cell)
    torch.testing.assert_close(far[0, 0, :2], torch.tensor([5.0, 10.0]) * cell, atol=1e-2, rtol=0)


def test_a_trembling_joint_is_calmed_and_one_that_turns_is_not(network: SDTCMoveNet) -> None:
    network.eval()
    decode = Decode(network.config.heatmap_size, network.config.backbone.image_size)
    heatmaps = torch.full((1, 5, 15, 32, 16), -9.0)
    heatmaps[..., 10, 5] = 2.0
    kept = {"logits": heatmaps, "tokens": torch.zeros(1, 5, 32, 16), "detail": torch.zeros(1, 5, 8, 32, 16)}
    width = network.config.cell[0]

    def found(*columns: float) -> float:
        joints = torch.tensor([[column, 10.0, 0.9] for column in columns]).view(1, 5, 1, 3).expand(1, 5, 15, 3)
        with torch.no_grad():
            return network.poses(kept | {"joints": joints}, decode)[0][0, 0, 0].item() / width

    assert found(5.1, 4.9, 5.2, 4.9, 5.1) == pytest.approx(5.05, abs=0.02)  # 5.04 on the line
    assert found(0, 2.5, 5, 2.5, 0) == pytest.approx(5.0, abs=0.1)
    assert found(1, 3, 5, 7, 9) == pytest.approx(5.0)
    assert found(5.1, 4.9, 5.2, 5.2, 5.2) == pytest.approx(5.2)  # no later frame has come
    assert found(5.2, 5.2, 5.2, 4.9, 5.1) == pytest.approx(5.2)  # nor an earlier one


def test_the_further_from_the_line_the_less_a_joint_is_moved() -> None:
    own, line = torch.zeros(1, 4, 2), torch.tensor([[[0.1, 0.0], [CALM, 0.0], [0.0, 3 * CALM], [0.0, 0.0]]])
    moved = (calmed(own, line) / line.clamp_min(1e-9)).amax(dim=-1)[0]
    torch.testing.assert_close(moved, torch.tensor([0.9936, 0.3679, 0.0001, 0.0]), atol=1e-3, rtol=0)


def test_training_and_streaming_see_the_same_window(network: SDTCMoveNet) -> None:
    trained = SDTCMoveNet(SMALL)
    trained.load_state_dict(network.state_dict())
    assert trained.semantics is not None
    torch.nn.init.normal_(trained.semantics.head.final.weight)
    torch.nn.init.normal_(trained.trajectory.answer.weight, std=0.1)
    for name, value in trained.semantics.state_dict().items():  # nothing is 0 or 1 that could be lost
        if name.endswith(("bias", "running_mean", "running_var")):
            value.uniform_(0.5, 1.5)
    crops = windows(trained)
    trained.eval()
    with torch.no_grad():
        exported = streamed(trained)
        answers = []
        for form in (trained, exported):
            kept = {name: value.unflatten(0, (2, 5)) for name, value in form.encode(crops.flatten(0, 1)).items()}
            assert tuple(kept) == form.token_names
            answers.append(form.estimate(kept))
        stride16, stride4, heatmaps, joints = (
            value.unflatten(0, (2, 5)) for value in trained.look(crops.flatten(0, 1))
        )
        whole = trained(stride16, stride4[:, 2], heatmaps, joints)
    for answer in answers:
        torch.testing.assert_close(answer, whole.heatmaps)
    assert exported.token_names != trained.token_names
    assert (whole.heatmaps - heatmaps[:, 2]).abs().max() > 0.01  # what was added is not zero any more


def test_without_semantics_the_trunk_and_its_trajectories_remain() -> None:
    torch.manual_seed(0)
    plain = SDTCMoveNet(replace(SMALL, semantics=False)).eval()
    torch.nn.init.normal_(plain.trajectory.answer.bias, std=0.2)
    crops = windows(plain)
    with torch.no_grad():
        kept = {name: value.unflatten(0, (2, 5)) for name, value in plain.encode(crops.flatten(0, 1)).items()}
        stride16, stride4, heatmaps, joints = (value.unflatten(0, (2, 5)) for value in plain.look(crops.flatten(0, 1)))
        whole = plain(stride16, stride4[:, 2], heatmaps, joints)
    assert tuple(kept) == plain.token_names == ("joints", "logits")
    torch.testing.assert_close(plain.estimate(kept), whole.heatmaps)


def test_every_part_but_the_frozen_trunk_learns(network: SDTCMoveNet) -> None:
    network.train()
    torch.manual_seed(0)
    assert network.semantics is not None
    torch.nn.init.normal_(network.semantics.head.final.weight, std=0.01)
    torch.nn.init.normal_(network.trajectory.answer.weight, std=0.01)
    masked = SDTCMoveNet(SMALL)
    masked.load_state_dict(network.state_dict())
    assert masked.semantics is not None
    masked.semantics.mlsme.config = MLSMEConfig(heads=2, ffn_ratio=2.0, masked_share=1.0)
    seen = masked.look(windows(masked).flatten(0, 1))
    stride16, stride4, heatmaps, joints = (value.unflatten(0, (2, 5)) for value in seen)
    output = masked(stride16, stride4[:, 2], heatmaps, joints)
    points = torch.full((2, 5, 15, 2), 30.0)
    losses = movenet_loss(output, points, torch.ones(2, 5, 15), (128, 64), lam=0.01)
    losses.total.backward()
    without = [name for name, p in masked.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert all(p.grad is None for p in masked.backbone.parameters())
    assert losses.context > 0 and losses.pose > 0


def test_a_joint_that_moves_steadily_is_found_where_the_keyframe_does_not_show_it() -> None:
    time = torch.arange(-2.0, 3.0)
    joints = torch.stack([10 + 3 * time, 20 - 1.5 * time, torch.full((5,), 0.8)], dim=-1).view(1, 5, 1, 3)
    joints[0, 2, 0] = torch.tensor([40.0, 3.0, 0.02])  # the keyframe's own guess, far off and unsure
    places = fit_line(joints, news(joints))
    torch.testing.assert_close(places[0, 0], torch.tensor([10.0, 20.0]), atol=0.2, rtol=0)


def test_frames_that_have_not_come_say_nothing_twice() -> None:
    joints = torch.rand(1, 5, 15, 3)
    joints[:, 3] = joints[:, 4] = joints[:, 2]
    assert news(joints).flatten().tolist() == [1, 1, 1, 0, 0]
    joints[:, 0] = joints[:, 1] = joints[:, 2]
    assert news(joints).flatten().tolist() == [0, 0, 1, 0, 0]


def test_what_is_guessed_in_a_corrupted_crop_counts_less() -> None:
    torch.manual_seed(0)
    adapted = SDTCMoveNet(replace(SMALL, backbone=replace(SMALL.backbone, adapters=8))).eval()
    gate = adapted.backbone.adapters.gate  # type: ignore[union-attr]
    torch.nn.init.zeros_(gate.decide.weight)
    scores = []
    for logit in (-50.0, 50.0):
        torch.nn.init.constant_(gate.decide.bias, logit)
        with torch.no_grad():
            scores.append(adapted.look(windows(adapted)[0]).joints)
    torch.testing.assert_close(scores[1][..., :2], scores[0][..., :2])
    torch.testing.assert_close(scores[1][..., 2], scores[0][..., 2] * 0.15)


def test_a_checkpoint_says_all_that_the_network_is_built_from(network: SDTCMoveNet) -> None:
    said = describe(network)
    assert said["kind"] == "sdtc-movenet"
    assert said["config"]["backbone"] == {"width": 0.25, "joints": 17, "image_size": (128, 64), "adapters": 0}


def test_training_confidence_sees_what_streaming_cached(network: SDTCMoveNet) -> None:
    trained = SDTCMoveNet(replace(SMALL, confidence=True)).eval()
    decode = Decode(trained.config.heatmap_size, trained.config.backbone.image_size)
    crops = windows(trained)
    with torch.no_grad():
        cached = {name: value.unflatten(0, (2, 5)) for name, value in trained.encode(crops.flatten(0, 1)).items()}
        seen = Seen(*(value.unflatten(0, (2, 5)) for value in trained.look(crops.flatten(0, 1))))
        again = trained.encode_windows(seen._replace(stride4=seen.stride4[:, 2]))
        found = trained.find(cached, decode)
        keypoints, covariance, _ = trained.poses(cached, decode)
        torch.testing.assert_close(trained.find(again, decode), found)
        assert trained.confidence is not None
        logit, factor = trained.confidence(found.evidence)
    torch.testing.assert_close(keypoints[..., 2], torch.sigmoid(logit))
    torch.testing.assert_close(covariance, found.covariance * torch.exp(factor)[..., None])
    assert found.evidence.shape == (2, 15, 10) and found.evidence.isfinite().all()
