# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Average precision of joints, as poseval computes it: VOC's all-point area under a stable descending order.

Equal scores make the area depend on their order. "stable" keeps the order of sequences (by name), frames and people
in the file; "poseval" does what the official program does, which reverses NumPy's default sort: that order differs
between processors, and its sequences come in the order in which the folder lists them. "best" and "worst" put the
hits first or last among equals: between them lies every figure that an order of equal scores can give.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from sdtc_ros.evaluate.matching import Matches
from sdtc_ros.ground_truth.sequence import Array

Ties = Literal["stable", "poseval", "best", "worst"]


def joint_precision(matches: list[Matches], floor_recall: bool, ties: Ties = "stable") -> tuple[Array, Array, Array]:
    """(ap, precision, recall), each K float64 in percent, over all sequences.

    Every predicted joint that exists is a detection: true if it hits its owner's joint, else false, also where the
    owner lacks that joint. Recall divides by the annotated joints; a joint that is annotated nowhere has NaN (0 with
    floor_recall, as in PoseTrack21's toolkit); a joint that is predicted nowhere has 0.
    """
    count = matches[0].hit.shape[-1] if matches else 0
    result = np.zeros((3, count))
    for k in range(count):
        labels = np.concatenate([m.hit[..., k][m.predictions.exists[..., k]] for m in matches])
        scores = np.concatenate([m.predictions.scores[..., k][m.predictions.exists[..., k]] for m in matches])
        positives = sum(int(m.truth.exists[..., k].sum()) for m in matches)
        weights = np.ones(len(labels))
        result[:, k] = curve_summary(labels, scores, weights, max(positives, 1) if floor_recall else positives, ties)
    return result[0], result[1], result[2]


def curve_summary(
    labels: Array, scores: Array, weights: Array, positives: float, ties: Ties = "stable"
) -> tuple[float, float, float]:
    """(ap, precision, recall) in percent of N detections: labels N (true or false), scores N, weights N.

    positives: the (weighted) number of things to be found; 0 gives NaN for ap and recall, no detections give 0.
    """
    if not len(labels):
        return 0.0, 0.0, 0.0
    order = _order(labels, scores, ties)
    found = np.cumsum(np.where(labels, weights, 0.0)[order])
    precision = found / np.cumsum(weights[order])
    if positives == 0:
        return np.nan, 100 * precision[-1], np.nan
    recall = found / positives
    return 100 * _area(recall, precision), 100 * precision[-1], 100 * recall[-1]


def _order(labels: Array, scores: Array, ties: Ties) -> npt.NDArray[np.intp]:
    if ties == "poseval":
        return np.argsort(scores)[::-1]
    if ties == "stable":
        return np.argsort(-scores, kind="stable")
    return np.lexsort((labels if ties == "worst" else -labels.astype(np.int8), -scores))


def _area(recall: Array, precision: Array) -> float:
    """Area under the precision envelope over recall 0..1, all points (PASCAL VOC 2010 and later)."""
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))
