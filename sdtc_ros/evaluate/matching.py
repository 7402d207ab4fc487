# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Which predicted person is which annotated one: poseval's greedy assignment by PCKh, a sequence at a time.

A predicted joint hits a truth joint within half a unit (unit = 0.6 x the head box's diagonal, so within 0.3 of the
diagonal). pck[p, g] = joints of g that p hits / joints of g. Each prediction keeps its best truth, the first of
equals; each truth takes its best of the predictions that kept it, again the first; a pck of 0 is no match.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtc_ros.evaluate.frames import People, apply_ignore_regions, pair_frames, stack_predictions, stack_truth
from sdtc_ros.evaluate.protocols import Protocol
from sdtc_ros.ground_truth.sequence import Mask, Sequence

THRESHOLD = 0.5
_BLOCK = 64  # frames at once: bounds the memory of long crowded sequences


@dataclass
class Matches:
    """A sequence's frames that count (F), its people, and who is who.

    owner: F x P int64, the matched truth person of each prediction or -1. hit: F x P x K bool, the predicted joint
    hits its owner's joint. close: all pairs within the threshold, whoever is matched: `close_at` M x 4 int64 (frame,
    prediction, truth, joint) and `close_distance` M float64 (in units).
    """

    truth: People
    predictions: People
    owner: npt.NDArray[np.int64]
    hit: Mask
    close_at: npt.NDArray[np.int64]
    close_distance: npt.NDArray[np.float64]


def match_sequence(truth: Sequence, predictions: Sequence, protocol: Protocol) -> Matches:
    """Match one sequence's predictions to its truth; raises InputError as pair_frames and stack_truth do."""
    pairs = pair_frames(truth, predictions, protocol)
    frames = [frame for frame, _ in pairs]
    true = stack_truth(truth, frames, protocol)
    guess = stack_predictions([people for _, people in pairs], protocol)
    apply_ignore_regions(frames, true)
    apply_ignore_regions(frames, guess)
    for people in (true, guess):
        people.exists &= people.present[..., None]
    blocks = [_match_block(true, guess, slice(f, f + _BLOCK)) for f in range(0, max(len(frames), 1), _BLOCK)]
    owner, hit, at, distance = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return Matches(true, guess, owner, hit, at, distance)


def _match_block(true: People, guess: People, block: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """owner, hit, close_at, close_distance of some frames; shapes F x P x G x K throughout."""
    both = guess.exists[block, :, None] & true.exists[block, None]
    apart = guess.xy[block, :, None] - true.xy[block, None]
    with np.errstate(divide="ignore", invalid="ignore"):  # a head box without extent hits nothing
        distance = np.sqrt((apart**2).sum(-1)) / true.unit[block, None]
        match = both & (distance <= THRESHOLD)
    at = np.argwhere(match)
    close = distance[match]
    at[:, 0] += block.start
    pck = match.sum(-1) / np.maximum(true.exists[block].sum(-1), 1)[:, None]
    owner = np.full(pck.shape[:2], -1, np.int64)
    hit = np.zeros(guess.exists[block].shape, bool)
    if pck.size:
        best = pck.argmax(2)
        kept = np.where(np.arange(pck.shape[2]) == best[..., None], pck, 0.0)
        taker = kept.argmax(1)
        frame, person = np.nonzero(kept.max(1) > 0)
        taken = taker[frame, person]
        owner[frame, taken] = person
        hit[frame, taken] = match[frame, taken, person]
    return owner, hit, at, close
