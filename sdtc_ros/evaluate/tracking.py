# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""MOTA and MOTP of joints' tracks, as poseval counts them: CLEAR MOT over every joint for itself.

poseval's own habits are kept, so that figures compare with published ones: the last counted frame of every sequence
is left out; a frame where truth or predictions list nobody counts one miss and one false positive a joint, however
many people the other side has; and its MOTP divides the distances of ALL pairs within the threshold plus those of
the matches (and again of identity changes) by the number of matches, so it is about half of what the name promises.
`clear_motp` is the plain mean over matches. Matching order and identity bookkeeping are py-motmetrics'
(https://github.com/cheind/py-motmetrics), which poseval calls; the assignment itself is SciPy's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from sdtc_ros.evaluate.matching import Matches
from sdtc_ros.ground_truth.sequence import Array

Pair = tuple[int, int, float]  # truth person, predicted person, distance in units


@dataclass
class Counts:
    """Sums over sequences, each K float64: the terms of MOTA and MOTP."""

    objects: Array
    misses: Array
    false_positives: Array
    switches: Array
    matches: Array
    distance: Array
    poseval_distance: Array

    def scores(self) -> dict[str, Array]:
        """mota, motp, clear_motp: each K float64 in percent; NaN (motp: 0) where there is nothing to divide by."""
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = self.misses + self.switches + self.false_positives
            mota = np.where(self.objects > 0, 100 * (1 - errors / self.objects), np.nan)
            motp = np.where(self.matches > 0, 100 * (1 - self.poseval_distance / self.matches), 0.0)
            clear = np.where(self.matches > 0, 100 * (1 - self.distance / self.matches), np.nan)
        return {"mota": mota, "motp": motp, "clear_motp": clear}


@dataclass
class _Track:
    """One joint's identities in one sequence; `hypothesis_of` and `object_of` hold who was last matched to whom."""

    hypothesis_of: dict[int, int] = field(default_factory=dict)
    object_of: dict[int, int] = field(default_factory=dict)
    seen_objects: set[int] = field(default_factory=set)
    seen_hypotheses: set[int] = field(default_factory=set)


def track_counts(matches: list[Matches]) -> Counts | None:
    """MOT counts over all sequences, or None where a side has no track ids or no two frames are counted.

    A person without a track id among others is left out, and with an annotated one the prediction that was matched to
    them: see `without_ids`.
    """
    joints = matches[0].hit.shape[-1] if matches else 0
    total = np.zeros((7, joints))
    frames = 0
    for m in matches:
        if any(people.present.any() and (people.ids[people.present] < 0).all() for people in (m.truth, m.predictions)):
            return None
        m = _tracked(m)
        last = len(m.hit) - 1
        frames += max(last, 0)
        _count_presence(m, max(last, 0), total)
        for k in range(joints):
            _follow_joint(m, k, last, total[:, k])
    return Counts(*total) if frames else None


def without_ids(matches: list[Matches]) -> tuple[int, int]:
    """How many annotated and how many predicted people have no track id."""
    sides = ([m.truth for m in matches], [m.predictions for m in matches])
    true, guess = (sum(int((p.ids[p.present] < 0).sum()) for p in side) for side in sides)
    return true, guess


def _tracked(m: Matches) -> Matches:
    """The matches of people who have a track id, less the predictions that were matched to others."""
    lost_true, lost_guess = (people.present & (people.ids < 0) for people in (m.truth, m.predictions))
    if not lost_true.any() and not lost_guess.any():
        return m
    owned = np.take_along_axis(lost_true, np.maximum(m.owner, 0), axis=1) if lost_true.size else lost_guess
    lost_guess = lost_guess | (owned & (m.owner >= 0))
    truth, predictions = (
        replace(people, present=people.present & ~lost, exists=people.exists & ~lost[..., None])
        for people, lost in ((m.truth, lost_true), (m.predictions, lost_guess))
    )
    frame, guess, true = m.close_at[:, 0], m.close_at[:, 1], m.close_at[:, 2]
    kept = ~lost_true[frame, true] & ~lost_guess[frame, guess]
    return replace(
        m, truth=truth, predictions=predictions, close_at=m.close_at[kept], close_distance=m.close_distance[kept]
    )


def _count_presence(m: Matches, last: int, total: npt.NDArray[np.float64]) -> None:
    """Add the objects, and misses and false positives as if nothing matched; matches are taken off later."""
    true, guess = m.truth.exists[:last], m.predictions.exists[:last]
    both = np.any(m.truth.present[:last], axis=1, keepdims=True)
    both = both & np.any(m.predictions.present[:last], axis=1, keepdims=True)
    objects = np.where(both, true.sum(1), 1).sum(0)
    total[0] += objects
    total[1] += objects
    total[2] += np.where(both, guess.sum(1), 1).sum(0)


def _follow_joint(m: Matches, joint: int, last: int, total: npt.NDArray[np.float64]) -> None:
    """Walk one joint's pairs through the frames of a sequence and add what matched to its column of the totals."""
    mine = (m.close_at[:, 3] == joint) & (m.close_at[:, 0] < last)
    frames, pairs = m.close_at[mine, 0], m.close_at[mine]
    distances = m.close_distance[mine]
    starts = np.flatnonzero(np.diff(frames, prepend=-1))
    track = _Track()
    for begin, end in zip(starts, [*starts[1:], len(frames)], strict=False):
        f = frames[begin]
        rows = list(
            zip(pairs[begin:end, 2].tolist(), pairs[begin:end, 1].tolist(), distances[begin:end].tolist(), strict=True)
        )
        ids = m.truth.ids[f], m.predictions.ids[f]
        kept, rest = _keep_established(rows, ids, track)
        matched = len(kept)
        switches, extra = 0, 0.0
        distance = sum(d for _, _, d in kept)
        for g, p, d in _assign(rest):
            switched, again = _note_match(int(ids[0][g]), int(ids[1][p]), track)
            matched, switches, distance, extra = matched + 1, switches + switched, distance + d, extra + again * d
        raw = sum(d for _, _, d in rows)
        total += 0, -matched, -matched, switches, matched, distance, raw + distance + extra


def _keep_established(
    rows: list[Pair], ids: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], track: _Track
) -> tuple[list[Pair], list[Pair]]:
    """Pairs that continue the last frame's match, and the pairs among all who are still free."""
    kept: list[Pair] = []
    busy: set[int] = set()
    for g, p, d in sorted(rows):
        o, h = int(ids[0][g]), int(ids[1][p])
        if track.hypothesis_of.get(o) == h and p not in busy:
            busy.add(p)
            kept.append((g, p, d))
            track.seen_objects.add(o)
            track.seen_hypotheses.add(h)
    taken = {g for g, _, _ in kept}
    return kept, [row for row in rows if row[0] not in taken and row[1] not in busy]


def _assign(rows: list[Pair]) -> list[Pair]:
    """The assignment with the most pairs and, among those, the least distance; ordered by truth person."""
    truth, guess = sorted({g for g, _, _ in rows}), sorted({p for _, p, _ in rows})
    if len(truth) == len(rows) == len(guess):
        return sorted(rows)
    from scipy.optimize import linear_sum_assignment  # only conflicts need it: most frames have none

    cost = np.full((len(truth), len(guess)), 2.0 * min(len(truth), len(guess)) * 2 + 1)  # dearer than any full match
    for g, p, d in rows:
        cost[truth.index(g), guess.index(p)] = d
    allowed = {(g, p) for g, p, _ in rows}
    chosen = zip(*linear_sum_assignment(cost), strict=True)
    return [(truth[i], guess[j], float(cost[i, j])) for i, j in chosen if (truth[i], guess[j]) in allowed]


def _note_match(o: int, h: int, track: _Track) -> tuple[int, int]:
    """Book a new match; returns (1 if the object changed its hypothesis, how often poseval adds its distance again)."""
    switched = o in track.hypothesis_of and track.hypothesis_of[o] != h
    transferred = h in track.object_of and track.object_of[h] != o
    again = int(switched and h not in track.seen_hypotheses)
    again += int(transferred) + int(transferred and o not in track.seen_objects)
    track.hypothesis_of[o], track.object_of[h] = h, o
    track.seen_objects.add(o)
    track.seen_hypotheses.add(h)
    return int(switched), again
