# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""HiEve's AP and w_AP of whole poses, as far as the public description goes.

Public (http://humaninevents.org/format.html; TDMI, CVPR 2023, Table 4): 14 joints; AP@50, AP@75, AP@90 and AP@avg,
and each again with the prefix w_, "calculated with frame weight". The test truth and the server's program are
private. What we take from the published table: every row's avg is the mean of its three figures, and figures fall
from 50 to 90, so the number is a similarity to be reached, not a distance to stay under.

ASSUMED here: the similarity is COCO's (mean over annotated joints of exp(-d^2 / (2 area (2 k)^2)), area = the
person's box, k = COCO's, the chest's as the shoulder's); people are matched as COCO does, best score first, each to
its most similar free truth; a frame's weight is the number of people annotated in it. Figures therefore rank methods
on HiEve's training videos, but are not the server's.
"""

from __future__ import annotations

import numpy as np

from sdtc_ros.evaluate.matching import Matches
from sdtc_ros.evaluate.precision import curve_summary
from sdtc_ros.evaluate.result import mean
from sdtc_ros.ground_truth.sequence import Array

LEVELS = (0.5, 0.75, 0.9)


def pose_precision(matches: list[Matches]) -> dict[str, float]:
    """AP@50, AP@75, AP@90, AP@avg and their w_ counterparts in percent."""
    frames = [frame for m in matches for frame in _frames(m)]
    result = {}
    for prefix in ("w_", ""):
        values = []
        for level in LEVELS:
            labels = [_assign(similarity, level) for similarity, _, _ in frames]
            weights = [float(count) if prefix else 1.0 for _, _, count in frames]
            scores = np.concatenate([score for _, score, _ in frames])
            each = np.repeat(weights, [len(label) for label in labels])
            positives = sum(weight * count for weight, (_, _, count) in zip(weights, frames, strict=True))
            values.append(curve_summary(np.concatenate(labels), scores, each, positives)[0])
            result[f"{prefix}AP@{level * 100:.0f}"] = values[-1]
        result[f"{prefix}AP@avg"] = mean(values)
    return result


def _frames(m: Matches) -> list[tuple[Array, Array, int]]:
    """A frame's similarity (P x G, predictions by falling score), the P scores, and the number of true people."""
    found = []
    for f in range(len(m.hit)):
        guess, true = np.flatnonzero(m.predictions.present[f]), np.flatnonzero(m.truth.exists[f].any(-1))
        score = np.array([_pose_score(m, f, p) for p in guess.tolist()])
        order = np.argsort(-score, kind="stable")
        guess = guess[order]
        both = m.predictions.exists[f, guess][:, None] & m.truth.exists[f, true]
        squared = ((m.predictions.xy[f, guess][:, None] - m.truth.xy[f, true]) ** 2).sum(-1)
        unit = np.maximum(m.truth.unit[f, true], np.finfo(float).tiny)
        with np.errstate(over="ignore"):  # half a unit away the similarity is 0.5
            each = np.where(both, 0.5 ** (4 * squared / unit**2), 0.0)
        similarity = each.sum(-1) / np.maximum(m.truth.exists[f, true].sum(-1), 1)
        found.append((similarity, score[order], len(true)))
    return found


def _pose_score(m: Matches, f: int, p: int) -> float:
    """The person's own score, or the mean of its joints' where it has none."""
    person = m.predictions.rows[f, p]
    if person.score is not None or person.joint_scores is None:
        return float(m.predictions.score[f, p])
    exists = m.predictions.exists[f, p]
    return float(m.predictions.scores[f, p][exists].mean()) if exists.any() else 0.0


def _assign(similarity: Array, level: float) -> Array:
    """Which predictions (rows, best score first) take a truth (column) of at least that similarity; each but once."""
    free = similarity.copy()
    labels = np.zeros(len(similarity))
    for p in range(len(similarity)):
        if free.shape[1] and free[p].max() >= level:
            labels[p] = 1.0
            free[:, free[p].argmax()] = -1.0
    return labels
