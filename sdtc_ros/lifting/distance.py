# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How far each person is as a whole, before joints are looked at one by one; no two people are at one place.

A hypothesis is a depth that some joint's pixels show, or the torso's last, or that of the person's size in the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtc_ros.lifting.body import Body
from sdtc_ros.lifting.memory import Past
from sdtc_ros.lifting.size import size_costs

Float64Array = npt.NDArray[np.float64]

CLOSE = 0.35  # metres: pixels of one body
# joints whose pixels lie farther than a person by so many metres show that he is not there: votes against, and at most
BEHIND, SEEN_THROUGH, MOST_THROUGH = 0.6, 3.0, 12.0
STEADY, TORSO_SPEED = 0.2, 1.5  # deviation of a torso's expected depth: metres at once, and more for every second
# joints that one unit of doubt about a person's distance weighs, and how great doubts get: by size not so great that a
# small child whom all joints see is overruled, by what earlier frames saw so great that whoever passes before him is
VOTES, SIZE_DOUBT, DOUBT = 5.0, 3.0, 4.0
ONE_PLACE = 0.25  # metres beside each other: two people's torsos are not nearer
FITS = 40.0  # votes for somebody whose joints fill his box, as against one who has another's
NOBODY = 3.0  # metres, where nothing says anything


@dataclass(frozen=True)
class Distances:
    """Of P people: how far they are (metres), and the least depth (metres) of what can be theirs."""

    rough: Float64Array
    nearest: Float64Array


def distances(
    near: Float64Array, past: Past, size: Float64Array, middle: Float64Array, fits: Float64Array, body: Body
) -> Distances:
    """How far P people are: the depth that most joints' pixels agree on.

    near: P x K metres, what the pixels around joints show (NaN: nothing); size: P metres, where they would be by their
    size; middle: P x 2, the torso's place on its ray (NaN: unknown); fits: P, how well joints fill the box, 0 to 1.

    A torso joint counts twice. Against that counts how far it lies from what the person's size in the image says, and
    from the torso's last depth: somebody who covers all of a person has all votes; and the joints that lie far behind,
    for through whom one sees is not there. Of equals the farther is taken, since an occluder is nearer.
    """
    joints, earlier = near.shape[1], past.torso
    near = np.column_stack([near, earlier, size])
    votes = np.append(np.ones(joints), [2.0, 0.0])
    votes[body.torso] = 2
    agree = np.abs(near[:, :, None] - near[:, None, :]) < CLOSE  # NaN agrees with nothing
    moved = 0.5 * ((near - earlier[:, None]) / (STEADY + TORSO_SPEED * past.torso_age[:, None])) ** 2
    against = VOTES * (np.fmin(size_costs(near, size[:, None]), SIZE_DOUBT) + np.nan_to_num(np.fmin(moved, DOUBT)))
    farther = near[:, None, :joints] - near[:, :, None] > BEHIND  # P x hypotheses x joints
    against += np.minimum(SEEN_THROUGH * farther.sum(axis=2), MOST_THROUGH)
    count = np.where(np.isfinite(near), (agree * votes).sum(axis=2) - against + 1e-3 * near, -np.inf)
    found = _apart(near, count, middle, fits)
    return Distances(np.where(np.isfinite(found.rough), found.rough, NOBODY), found.nearest)


def _apart(near: Float64Array, count: Float64Array, middle: Float64Array, fits: Float64Array) -> Distances:
    """The hypotheses (P x H) with the most votes `count`, of which no two are at one place.

    Of two who would be, he with fewer votes is behind the other, who covers him: nothing as near as the other is his.
    """
    rough, nearest = near[np.arange(len(near)), count.argmax(axis=1)], np.full(len(near), -np.inf)
    order = np.argsort(-(count.max(axis=1) + FITS * fits), kind="stable").tolist()
    for number, one in enumerate(order):
        for other in order[:number]:
            aside = np.hypot(*(middle[one] - middle[other])) * rough[other]
            if aside < ONE_PLACE and abs(rough[one] - rough[other]) < CLOSE:  # NaN is not
                nearest[one] = rough[other] + CLOSE
                behind = np.where(near[one] > nearest[one], count[one], -np.inf)
                rough[one] = near[one, behind.argmax()] if np.isfinite(behind).any() else nearest[one] + CLOSE
    return Distances(rough, nearest)


def filled(keypoints: Float64Array, boxes: Float64Array) -> Float64Array:
    """How well P people's keypoints (P x K x 3) fill their boxes (P x 4, x, y, w, h): intersection over union."""
    low, high = keypoints[..., :2].min(axis=1), keypoints[..., :2].max(axis=1)
    first, last = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    both = np.prod(np.maximum(np.minimum(high, last) - np.maximum(low, first), 0), axis=1)
    either = np.prod(high - low, axis=1) + np.prod(boxes[:, 2:], axis=1) - both
    return np.nan_to_num(both / np.maximum(either, 1.0))
