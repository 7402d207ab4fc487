# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Where a joint ought to be in the keyframe, from where it was found in each frame of the window. Not of the papers.

A single-frame network with a line fitted to each joint's positions, weighted by score squared, is hard to beat where
some frame of the window shows the joint. Here that fit is part of the network: a small perceptron reads all joints of
all frames, moves the fitted places, and says how much they are to count.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RIDGE = 0.01  # frames squared, of the slope: with one good frame a joint is where that frame has it
REACH = 8.0  # cells, the unit of positions relative to the fit
SIGMA = 1.5  # cells, of the Gaussian that an untrained trajectory draws
FAR = 4.0  # cells: the Gaussian outside of which the keyframe's own maxima may be held against it
UNIT = 24.0  # logits: a track that all frames agree on outweighs any maximum of the keyframe


def news(joints: Tensor) -> Tensor:
    """Which frames of B x T x K x 3 say something new, B x T x 1 of 0 or 1.

    Frames that have not come yet, or were lost, are replaced by the nearest one: a copy of the frame next to it on the
    keyframe's side is no second sighting.
    """
    frames = joints.shape[1]
    middle = frames // 2
    apart = (joints[:, 1:] - joints[:, :-1]).abs().amax(dim=(2, 3))  # B x (T - 1)
    new = (apart > 0).to(joints.dtype)
    keyframe = torch.ones_like(joints[:, :1, 0, 0])
    return torch.cat([new[:, :middle], keyframe, new[:, middle:]], dim=1).unsqueeze(-1)


def fit_line(joints: Tensor, new: Tensor, trust: Tensor | None = None) -> Tensor:
    """Weighted least squares over time of B x T x K x 3 (column, row, score): places B x K x 2 at the keyframe.

    The weight is score squared, times trust (B x T x K) where that is given.
    """
    half = joints.shape[1] // 2
    time = torch.arange(-half, half + 1, device=joints.device, dtype=joints.dtype).view(1, -1, 1)
    weight = (joints[..., 2] ** 2 + 1e-6) * new
    weight = weight if trust is None else weight * trust
    weight = weight / weight.sum(dim=1, keepdim=True)
    mean_time = (weight * time).sum(dim=1)
    mean = (weight.unsqueeze(-1) * joints[..., :2]).sum(dim=1)
    away = time - mean_time.unsqueeze(1)
    slope = ((weight * away).unsqueeze(-1) * joints[..., :2]).sum(dim=1)
    slope = slope / ((weight * away**2).sum(dim=1) + RIDGE).unsqueeze(-1)
    return mean - slope * mean_time.unsqueeze(-1)


class Tracks(NamedTuple):
    """What the tracks of B x K joints say of the keyframe.

    places B x K x 2: where it has them (column, row in cells); line B x K x 2: where a line between frames on both
    sides has them, which trusts scores alone (where one side has no frame, the keyframe's own places); sigma
    B x K x 1: in cells, how surely; gain and loss B x K x 1: what they are worth inside their Gaussian, and against
    what lies far outside of it.
    """

    places: Tensor
    line: Tensor
    sigma: Tensor
    gain: Tensor
    loss: Tensor


class Trajectory(nn.Module):
    """Joints of all frames -> a Gaussian a joint in the keyframe's heatmap, and the logits that it is worth.

    Logits are added inside it, and taken away far from it, where the keyframe alone takes something else for the joint.
    The perceptron is the same for all joints and sees places relative to the fit alone: one that saw the whole pose
    learnt the rendered people's, and moved real joints away from where the line had them.
    """

    columns: Tensor
    rows: Tensor

    def __init__(self, frames: int, heatmap_size: tuple[int, int], width: int) -> None:
        """heatmap_size: (height, width) in cells; width: of the perceptron's two hidden layers."""
        super().__init__()
        height, columns = heatmap_size
        self.register_buffer("columns", torch.arange(columns, dtype=torch.float32), persistent=False)
        self.register_buffer("rows", torch.arange(height, dtype=torch.float32), persistent=False)
        self.frames = frames
        self.layers = nn.Sequential(nn.Linear(5 * frames, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.answer = nn.Linear(width, frames + 3)
        nn.init.zeros_(self.answer.weight)
        nn.init.zeros_(self.answer.bias)

    def forward(self, joints: Tensor) -> Tracks:
        """joints B x T x K x 3 (column, row, score) -> what their tracks say of the keyframe."""
        new = news(joints)
        first = fit_line(joints, new)
        relative = ((joints[..., :2] - first.unsqueeze(1)) / REACH).clamp(-2, 2) * new.unsqueeze(-1)
        scores = joints[..., 2] * new
        whole = scores.mean(dim=2, keepdim=True).expand_as(scores)  # how well each frame shows the person
        tracks = relative.flatten(3).movedim(3, 1).flatten(1, 2)
        inputs = torch.cat([tracks, scores, whole, new.expand_as(scores)], dim=1)
        outputs = self.answer(self.layers(inputs.transpose(1, 2)))  # B x K x (T + 3)
        trust = torch.exp(outputs[..., : self.frames].clamp(-4, 4)).transpose(1, 2)
        gain, wide, loss = outputs[..., self.frames :].split(1, dim=-1)
        sigma = SIGMA * torch.exp(wide.clamp(-1, 2))
        middle = self.frames // 2
        before, after = (part.sum(dim=1).clamp(max=1).unsqueeze(-1) for part in (new[:, :middle], new[:, middle + 1 :]))
        own = joints[:, middle, :, :2]
        line = own + before * after * (first - own)
        return Tracks(fit_line(joints, new, trust), line, sigma, gain.clamp_min(0), loss.clamp_min(0))

    def gaussians(self, tracks: Tracks, pool: int = 1, empty: int = 0) -> Tensor:
        """Gaussians of height 1, B x (K + empty) x h/pool x w/pool, averaged over pool x pool cells.

        empty: maps of zeros that come behind.
        """
        sides = self._sides(tracks.places, tracks.sigma)
        down, across = (F.pad(side.unflatten(-1, (-1, pool)).mean(dim=-1), (0, 0, 0, empty)) for side in sides)
        return down.unsqueeze(-1) * across.unsqueeze(-2)

    def logits(self, tracks: Tracks, trust: float = 1.0) -> Tensor:
        """What is added to the keyframe's logits, `trust` times: B x K x h x w."""
        down, across = self._sides(tracks.places, tracks.sigma)
        far_down, far_across = self._sides(tracks.places, FAR)
        loss = trust * UNIT * tracks.loss
        inside = (trust * UNIT * tracks.gain * down).unsqueeze(-1) * across.unsqueeze(-2)
        outside = (loss * far_down).unsqueeze(-1) * far_across.unsqueeze(-2) - loss.unsqueeze(-1)
        return inside + outside

    def _sides(self, places: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor]:
        """A Gaussian as a product, its rows B x K x h and its columns B x K x w; sigma (cells) B x K x 1, or one."""
        across = torch.exp(-0.5 * ((self.columns - places[..., :1]) / sigma) ** 2)
        down = torch.exp(-0.5 * ((self.rows - places[..., 1:]) / sigma) ** 2)
        return down, across
