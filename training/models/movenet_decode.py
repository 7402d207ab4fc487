# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""MoveNet's own decoding in torch operations that export to ONNX: the crop's centre person, one place a joint.

As in the published graphs, the person is the cell with the highest centre score, weighted by its nearness to the
middle of the crop; its regression says about where every joint is; a joint's cell has the highest heatmap, weighted by
its nearness to that place; the offsets place it within the cell. Without the weights a neighbour's joints are taken in
crowds (docs/weights.md). The joints' weight falls off more slowly than MoveNet's, which costs nobody and helps in
unusual poses, where the regression is far off.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdtc_ros.skeleton import COCO, POSETRACK
from training.decode import COVARIANCE_FLOOR
from training.models.movenet import MoveNet

STRIDE = 4  # pixels a cell
CENTRE_REACH = 1.8  # cells at which the centre's weight is half of its largest: MoveNet's
JOINT_REACH = 4.0  # the same for the joints, where MoveNet has 1.8
DRAWN_SIGMA = 1.5  # cells
PIXEL_CENTRE = 0.5  # MoveNet counts from a pixel's edge, crops from its centre

# PoseTrack's head joints from COCO's: how much of the nose, of the middle of the eyes and of the ears, all relative to
# the mid-shoulder, and of the mid-shoulder relative to the mid-hip. A robust fit on 226 photographed people; on
# PoseTrack 92 % lie within half a head.
HEAD_TOP = (-0.413, 0.557, 1.137, 0.097)
HEAD_BOTTOM = (0.193, -0.120, 0.286, -0.011)


class MoveNetDecode(nn.Module):
    """The heads' maps -> poses. heatmap_size is (rows, columns)."""

    rows: Tensor
    columns: Tensor
    middle: Tensor

    def __init__(self, heatmap_size: tuple[int, int], joint_reach: float = JOINT_REACH) -> None:
        super().__init__()
        self.h, self.w = heatmap_size
        self.joint_reach = joint_reach
        rows, columns = torch.arange(self.h).float().view(-1, 1), torch.arange(self.w).float()
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("columns", columns, persistent=False)
        self.register_buffer("middle", self._near(self.h / 2, self.w / 2, CENTRE_REACH), persistent=False)

    def forward(
        self, heatmap_logits: Tensor, centre: Tensor, regression: Tensor, offsets: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """MoveNetOutput's maps -> keypoints B x K x 3, covariance B x K x 3, heatmaps B x K x h x w.

        keypoints: x, y in crop pixels, the probability of the joint's cell; covariance: xx, xy, yy (px^2);
        heatmaps: probabilities weighted as they decide.
        """
        person = self._person(centre)
        probability = torch.sigmoid(heatmap_logits)
        heatmaps = probability * self._about(person, _at(regression, person))
        peak, cells = heatmaps.flatten(2).max(dim=2)
        return self._poses(probability, heatmaps, peak, cells, _at(offsets, cells))

    def of_features(self, network: MoveNet, stride4: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same from the features B x FEATURES x h x w.

        Regression and offsets are computed in the cells alone where they are read: a tenth of the whole network's
        time is saved.
        """
        person = self._person(network.centre_head(stride4))
        probability = torch.sigmoid(network.heatmap_head(stride4))
        heatmaps = probability * self._about(person, network.regression_head.at(stride4, person))
        peak, cells = heatmaps.flatten(2).max(dim=2)
        return self._poses(probability, heatmaps, peak, cells, network.offset_head.at(stride4, cells))

    def _person(self, centre: Tensor) -> Tensor:
        """Logits B x 1 x h x w -> the number of the person's cell, B x 1."""
        return (torch.sigmoid(centre) * self.middle).flatten(1).argmax(dim=1, keepdim=True)

    def _about(self, person: Tensor, regression: Tensor) -> Tensor:
        """The person's cell B x 1 and what is regressed in it, B x 2K x 1 -> the joints' weights, B x K x h x w."""
        row, column = self._cell(person.float().view(-1, 1, 1, 1))
        return self._near(row + regression[:, 0::2, :, None], column + regression[:, 1::2, :, None], self.joint_reach)

    def _poses(
        self, probability: Tensor, heatmaps: Tensor, peak: Tensor, cells: Tensor, offsets: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The maxima and their cells, both B x K, and the offsets in all these, B x 2K x K -> what `forward` gives."""
        joints = range(cells.shape[1])
        own = probability.new_tensor([[float(i == j) for j in joints] for i in joints]).unsqueeze(1)  # of its own cell
        row, column = self._cell(cells.float())
        y, x = (torch.stack([row, column], dim=2) + (offsets.unflatten(1, (-1, 2)) * own).sum(dim=3)).split(1, dim=2)
        score = probability.flatten(2).gather(2, cells.unsqueeze(2))
        place = torch.cat([x, y], dim=2)
        keypoints = torch.cat([place * STRIDE - PIXEL_CENTRE, score], dim=2)
        return keypoints, self._covariance(heatmaps, peak.unsqueeze(2), place) * STRIDE**2, heatmaps

    def _cell(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of a cell's number, as floats: what TensorRT can compute with."""
        row = torch.floor((index + 0.5) / self.w)  # half a cell off the edge, where a rounded quotient cannot hurt
        return row, index - row * self.w

    def _near(self, row: Tensor | float, column: Tensor | float, reach: float) -> Tensor:
        """1 in the cell (row, column), half at `reach` cells from it: ... x h x w."""
        distance = torch.sqrt((self.rows - row) ** 2 + (self.columns - column) ** 2)
        return reach / (distance + reach)

    def _covariance(self, heatmaps: Tensor, peak: Tensor, place: Tensor) -> Tensor:
        """Second moments about the joints, xx xy yy in cells squared: B x K x 3. A cell counts by its middle."""
        weight = F.relu(heatmaps - COVARIANCE_FLOOR * peak.unsqueeze(3))
        x, y = self.columns + 0.5 - place[..., :1], self.rows.view(-1) + 0.5 - place[..., 1:]  # B x K x w, B x K x h
        by_x, by_y = weight.sum(dim=2), weight.sum(dim=3)
        xy = ((weight * x.unsqueeze(2)).sum(dim=3) * y).sum(dim=2)
        sums = torch.stack([(by_x * x * x).sum(dim=2), xy, (by_y * y * y).sum(dim=2)], dim=-1)
        return sums / by_x.sum(dim=2).clamp_min(1e-12).unsqueeze(-1)


def _at(maps: Tensor, cells: Tensor) -> Tensor:
    """Maps B x C x h x w, numbers of cells B x N -> B x C x N."""
    flat = maps.flatten(2)
    return flat.gather(2, cells.unsqueeze(1).expand(-1, flat.shape[1], -1))


class CocoToPoseTrack(nn.Module):
    """COCO's 17 joints -> PoseTrack's 15: thirteen as they are, the two of the head by a linear map."""

    weights: Tensor

    def __init__(self, heatmap_size: tuple[int, int]) -> None:
        super().__init__()
        rows = {joint: {joint: 1.0} for joint in POSETRACK.joints if joint in COCO.joints}
        rows |= {"head_top": _head(HEAD_TOP), "head_bottom": _head(HEAD_BOTTOM)}
        weights = torch.tensor([[rows[joint].get(name, 0.0) for name in COCO.joints] for joint in POSETRACK.joints])
        self.register_buffer("weights", weights, persistent=False)
        self.h, self.w = heatmap_size

    def forward(self, keypoints: Tensor, covariance: Tensor, heatmaps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What MoveNetDecode gives, B x 17 x ..., -> the same, B x 15 x ...

        A head joint's score is the lower of the face's mean and the worse shoulder; its covariance is a weighted
        sum of independent points'; its heatmap is drawn, a Gaussian about its place.
        """
        places, scores = _weighted(self.weights, keypoints[..., :2]), keypoints[..., 2:]
        head = torch.minimum(scores[:, :5].mean(dim=1, keepdim=True), scores[:, 5:7].amin(dim=1, keepdim=True))
        scores = torch.cat([scores[:, :1], head, head, scores[:, 5:]], dim=1)
        covariance = _weighted(self.weights**2, covariance)
        drawn = self._drawn(places[:, 1:3], head)
        heatmaps = torch.cat([heatmaps[:, :1], drawn, heatmaps[:, 5:]], dim=1)
        return torch.cat([places, scores], dim=2), covariance, heatmaps

    def _drawn(self, places: Tensor, score: Tensor) -> Tensor:
        """Gaussians B x K x h x w about places in crop pixels, `score` high.

        Not as wide as the covariance: its rounding errors, large where nothing is found, would be the heatmap's.
        """
        cells = (places + PIXEL_CENTRE) / STRIDE - 0.5
        x = torch.arange(self.w, device=places.device).float() - cells[..., :1]
        y = torch.arange(self.h, device=places.device).float() - cells[..., 1:]
        squared = x.unsqueeze(2) ** 2 + y.unsqueeze(3) ** 2
        return score.unsqueeze(3) * torch.exp(-squared / (2 * DRAWN_SIGMA**2))


def _weighted(weights: Tensor, values: Tensor) -> Tensor:
    """weights J x K, values B x K x C -> B x J x C. Not a matrix product, which FP16 graphs would not keep in FP32."""
    return (weights.unsqueeze(2) * values.unsqueeze(1)).sum(dim=2)


def _head(weights: tuple[float, float, float, float]) -> dict[str, float]:
    """A row of the linear map: how much of every COCO joint a head joint is; together 1."""
    nose, eyes, ears, trunk = weights
    pairs = {"eye": eyes, "ear": ears, "hip": -trunk, "shoulder": 1 - nose - eyes - ears + trunk}
    return {"nose": nose} | {f"{side}_{pair}": share / 2 for pair, share in pairs.items() for side in ("left", "right")}
