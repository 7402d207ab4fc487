# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""MoveNet's decoding: the original's keypoints, the centre person among two, PoseTrack's head joints; the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from movenet_oracle import ORACLES, needs_oracles, shipped

from sdtc_ros.skeleton import COCO, POSETRACK
from training.models.movenet import MOVENET_SIZES, MoveNetConfig
from training.models.movenet_decode import CENTRE_REACH, CocoToPoseTrack, MoveNetDecode
from training.models.movenet_pose import MoveNetPose, MoveNetPoseConfig

ROWS, COLUMNS = 16, 12


def maps(people: list[tuple[float, float, float]]) -> list[torch.Tensor]:
    """Heads' maps of people (row, column of the centre, height of the peaks): joint k lies k rows below the centre."""
    joints = 3
    rows, columns = torch.arange(ROWS).view(-1, 1), torch.arange(COLUMNS)
    heatmaps = torch.full((1, joints, ROWS, COLUMNS), -6.0)
    centre = torch.full((1, 1, ROWS, COLUMNS), -6.0)
    regression = torch.zeros(1, 2 * joints, ROWS, COLUMNS)
    for row, column, height in people:
        centre[0, 0] = centre[0, 0].maximum(height - 3 * ((rows - row) ** 2 + (columns - column) ** 2))
        for joint in range(joints):
            distance = (rows - row - joint) ** 2 + (columns - column) ** 2
            heatmaps[0, joint] = heatmaps[0, joint].maximum(height - 3 * distance)
    regression[0, 0::2] = torch.arange(joints).view(-1, 1, 1) + 0.3
    offsets = torch.full_like(regression, 0.25)
    offsets[0, 1::2] = 0.75
    return [heatmaps, centre, regression, offsets]


def test_the_place_is_the_cell_and_its_offset() -> None:
    decode = MoveNetDecode((ROWS, COLUMNS))
    keypoints, covariance, heatmaps = decode(*maps([(7, 5, 2.0)]))
    expected = [[(5 + 0.75) * 4 - 0.5, (7 + joint + 0.25) * 4 - 0.5, 1 / (1 + np.exp(-2))] for joint in range(3)]
    np.testing.assert_allclose(keypoints[0], expected, rtol=1e-5)
    assert heatmaps.shape == (1, 3, ROWS, COLUMNS)
    xx, xy, yy = covariance.unbind(-1)
    assert ((xx > 0) & (yy > 0) & (xy**2 <= xx * yy)).all()


def test_the_crop_s_centre_person_is_taken() -> None:
    """A neighbour with higher peaks, at the edge, does not win; alone it would."""
    decode = MoveNetDecode((ROWS, COLUMNS))
    keypoints, _, heatmaps = decode(*maps([(7, 5, 2.0), (7, 11, 2.5)]))
    np.testing.assert_allclose(keypoints[0, :, 0], (5 + 0.75) * 4 - 0.5)
    assert heatmaps[0, 0].argmax() == 7 * COLUMNS + 5
    keypoints, _, _ = decode(*maps([(7, 11, 2.5)]))
    np.testing.assert_allclose(keypoints[0, :, 0], (11 + 0.75) * 4 - 0.5)


@needs_oracles
@pytest.mark.parametrize("name", list(MOVENET_SIZES))
def test_equals_the_original_keypoints(name: str) -> None:
    """With the original's reach: y, x as shares of the crop, counted from pixels' edges, and the score.

    The original's tables of distances are in half precision: joints with two cells almost alike are left out.
    """
    oracle = np.load(ORACLES / f"{name}.npz")
    side = oracle["crops"].shape[1]
    with torch.no_grad():
        output = shipped(name)(torch.from_numpy(oracle["crops"]))
        keypoints, _, heatmaps = MoveNetDecode((side // 4, side // 4), CENTRE_REACH)(*output[2:])
    best = heatmaps.flatten(2).topk(2, dim=2).values
    clear = (best[..., 1] < 0.95 * best[..., 0]).numpy()
    assert clear.mean() > 0.5
    ours = np.concatenate([(keypoints[..., [1, 0]] + 0.5) / side, keypoints[..., 2:]], axis=-1)
    np.testing.assert_allclose(ours[clear], oracle["keypoints"][clear], atol=1e-3)


def person() -> torch.Tensor:
    """COCO's joints of somebody who stands upright and looks at the camera, x to his left, in pixels: 17 x 3."""
    places = {"nose": (0, 20), "eye": (4, 16), "ear": (8, 18), "shoulder": (20, 50), "elbow": (26, 80)}
    places |= {"wrist": (28, 105), "hip": (14, 120), "knee": (14, 165), "ankle": (14, 210)}
    rows = []
    for joint in COCO.joints:
        x, y = places[joint.removeprefix("left_").removeprefix("right_")]
        rows.append([100.0 + (x if joint.startswith("left") else -x), 10.0 + y, 0.8])
    return torch.tensor(rows)


def test_posetrack_s_joints() -> None:
    """Thirteen as they are; the head's two above and below the nose, moving and growing with the rest."""
    convert = CocoToPoseTrack((64, 48))
    keypoints, covariance = person()[None], torch.ones(1, 17, 3)
    keypoints[0, COCO.index("left_shoulder"), 2] = 0.3
    heatmaps = torch.rand(1, 17, 64, 48)
    got, got_covariance, got_heatmaps = convert(keypoints, covariance, heatmaps)
    assert (got.shape, got_covariance.shape, got_heatmaps.shape) == ((1, 15, 3), (1, 15, 3), (1, 15, 64, 48))
    for joint in POSETRACK.joints:
        ours, theirs = POSETRACK.index(joint), joint in COCO.joints and COCO.index(joint)
        if theirs is not False:
            torch.testing.assert_close(got[0, ours], keypoints[0, theirs])
            torch.testing.assert_close(got_heatmaps[0, ours], heatmaps[0, theirs])
    nose, bottom, top = got[0, :3]
    assert top[1] < nose[1] < bottom[1] < got[0, 3, 1]
    torch.testing.assert_close(got[0, 1:3, 0], torch.tensor([100.0, 100.0]))
    torch.testing.assert_close(got[0, 1:3, 2], torch.tensor([0.3, 0.3]))
    assert 15 < nose[1] - top[1] < 40  # of a face whose ears are 16 pixels apart
    moved = keypoints * torch.tensor([2.0, 2.0, 1.0]) + torch.tensor([7.0, -3.0, 0.0])
    expected = got * torch.tensor([2.0, 2.0, 1.0]) + torch.tensor([7.0, -3.0, 0.0])
    torch.testing.assert_close(convert(moved, covariance, heatmaps)[0], expected)
    drawn = got_heatmaps[0, 2]
    row, column = divmod(int(drawn.argmax()), 48)
    assert abs(column * 4 + 1.5 - float(top[0])) <= 2 and abs(row * 4 + 1.5 - float(top[1])) <= 2
    assert 0.2 < float(drawn.max()) <= 0.3


@pytest.mark.parametrize(("skeleton", "joints"), [("coco", 17), ("posetrack", 15)])
def test_network(skeleton: str, joints: int) -> None:
    """BGR crops in, one tensor to keep, and poses of its skeleton; heatmaps as `estimate` gives them."""
    torch.manual_seed(0)
    network = MoveNetPose(MoveNetPoseConfig(MoveNetConfig(image_size=(96, 64)), skeleton)).eval()
    crops = torch.randint(0, 256, (2, 96, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        tokens = network.encode(crops)
        keypoints, covariance, heatmaps = network.poses(tokens.unsqueeze(1))
        torch.testing.assert_close(tokens, network.backbone.features(crops.flip(-1)).stride4)
        torch.testing.assert_close(network.estimate(tokens.unsqueeze(1)), heatmaps)
    assert (keypoints.shape, covariance.shape, heatmaps.shape) == ((2, joints, 3), (2, joints, 3), (2, joints, 24, 16))
    assert (network.config.delta, network.config.heatmap_size) == (0, (24, 16))


def test_other_skeletons_are_refused() -> None:
    with pytest.raises(ValueError, match="coco or posetrack, not of hieve"):
        MoveNetPose(MoveNetPoseConfig(skeleton="hieve"))
