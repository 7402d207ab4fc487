# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Which of its surfaces each joint lies on: the set that fits one body best, over the tree of its bones.

A joint's candidates cost by how little of the ellipse saw them and by how far they lie from where the joint was
expected; a bone costs by how much longer it would be than a bone can be. A further choice, *unseen*, costs a fixed
amount: the joint is where it was expected, or at the torso's depth, and its bones may be longer by a slack. It is
taken where only an occluder or the background is seen, and keeps the joints beyond it from going there too. The
cheapest set is found exactly, by dynamic programming from the leaves of the tree to its root.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtc_ros.lifting.body import Body

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

UNSEEN = 4.0  # cost of none of the surfaces: that of one that 2 % of the ellipse saw
SLACK = 0.2  # metres by which a bone may be longer for every end that is unseen
TOO_LONG = 0.05  # metres by which a bone may exceed its greatest length at a cost of 0.5; the cost grows squared
# what unseen costs more where all of the ellipse sees something behind the joint: it cannot be there, in plain view;
# by how many metres behind, beside the expected depth's deviation (LOOSE at most, and where nothing is expected)
THROUGH, MARGIN, LOOSE = 8.0, 0.15, 0.4
UNEXPECTED = 3.0  # no candidate costs more for lying elsewhere than expected
REACH, REACH_DEVIATION = 0.6, 0.2  # metres from the torso within which joints lie, and how sure that is
HIGHEST = 12.0  # no bone costs more, so that a wrong one cannot turn the whole body over


@dataclass(frozen=True)
class Expected:
    """Where joints are expected: P x K depths in metres from earlier frames (NaN: nothing known) and their deviations.

    unseen: P x K x 3 metres, the joint's place if it is unseen; torso: P metres, how far the person is as a whole.
    """

    depths: Float64Array
    deviations: Float64Array
    unseen: Float64Array
    torso: Float64Array


def choose_surfaces(
    points: Float64Array, weights: Float64Array, expected: Expected, lengths: Float64Array, body: Body
) -> IntArray:
    """The candidate of every joint of P people, -1 for unseen: P x K.

    points: P x K x C x 3, the joint's centre for every candidate surface (metres, optical frame, NaN where there is
    none); weights: P x K x C shares of the ellipse; lengths: P x E, the longest that each bone of body.edges can be.
    """
    cost = _own_costs(points, weights, expected)
    points = np.concatenate([points, expected.unseen[:, :, None]], axis=2)
    bones = _bone_costs(points, lengths, body)
    best = np.zeros((len(body.edges), *cost.shape[::2]), np.int64)  # edge, person, parent's choice -> child's choice
    for index in range(len(body.edges) - 1, -1, -1):
        parent, child = body.edges[index]
        both = bones[:, index] + cost[:, child][:, None, :]
        best[index] = both.argmin(axis=2)
        cost[:, parent] += both.min(axis=2)
    chosen = np.zeros(cost.shape[:2], np.int64)
    for root in body.roots:
        chosen[:, root] = cost[:, root].argmin(axis=1)
    people = np.arange(len(cost))
    for index, (parent, child) in enumerate(body.edges):
        chosen[:, child] = best[index][people, chosen[:, parent]]
    return np.where(chosen == points.shape[2] - 1, -1, chosen)


def _own_costs(points: Float64Array, weights: Float64Array, expected: Expected) -> Float64Array:
    """P x K x (C + 1): every candidate's own cost, unseen last."""
    depths = points[..., 2]
    cost = -np.log(np.maximum(weights, 1e-6))
    off = (depths - expected.depths[..., None]) / expected.deviations[..., None]
    cost += np.fmin(np.where(np.isnan(off), 0.0, 0.5 * off**2), UNEXPECTED)
    beyond = np.maximum(np.abs(depths - expected.torso[:, None, None]) - REACH, 0) / REACH_DEVIATION
    cost += np.minimum(0.5 * beyond**2, UNEXPECTED)
    cost = np.where(np.isfinite(depths), cost, np.inf)
    loose = np.fmin(np.where(np.isnan(expected.deviations), LOOSE, expected.deviations), LOOSE)
    farther = depths > (expected.unseen[..., 2] + MARGIN + loose)[..., None]
    unseen = UNSEEN + THROUGH * np.where(farther, weights, 0.0).sum(axis=2)
    return np.concatenate([cost, unseen[..., None]], axis=2)


def _bone_costs(points: Float64Array, lengths: Float64Array, body: Body) -> Float64Array:
    """Costs of the bones, P x E x (C + 1) x (C + 1), between points P x K x (C + 1) x 3, unseen last."""
    parents, children = np.array(body.edges, np.int64).reshape(-1, 2).T
    slack = np.zeros(points.shape[2])
    slack[-1] = SLACK
    apart = points[:, parents][:, :, :, None] - points[:, children][:, :, None]
    excess = np.sqrt((apart**2).sum(axis=-1)) - (lengths[:, :, None, None] + slack[:, None] + slack)
    cost = 0.5 * (np.maximum(excess, 0.0) / TOO_LONG) ** 2
    return np.where(cost <= HIGHEST, cost, HIGHEST)  # candidates that do not exist (NaN) too
